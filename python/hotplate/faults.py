"""Faults that are logged: each kind once in a while, however many there are.

What goes wrong in a cache goes wrong for every request at once, and a log that is written at that rate is a fault of
its own. Of each reason, and where an exception is the cause of each type of it, one message in ``EVERY_SECONDS`` is
logged; the next one says how many were left out in between.

A record has its parts as attributes too, for logs that are read by machines: ``reason``, a word; ``left_out``, a
number; and where they are known ``path`` (without the query) and ``seconds``. No message has the content of a request
or a response, a cookie or a token in it, save what the application wrote into an exception of its own.

Not here: what is counted (``Cache.stats``), which leaves nothing out.
"""

import itertools
import logging
import time
from collections.abc import Callable

__all__ = ["EVERY_SECONDS", "Faults"]

EVERY_SECONDS = 10.0
"""How long a reason is silent after a message."""

MOST = 256
"""How many reasons are told apart by what they are about; further ones are silenced together."""

logger = logging.getLogger("hotplate")


class _Kind:
    """What was said of one reason.

    Without a lock, which a fork could leave shut: two threads at the same moment may both speak.
    """

    __slots__ = ("numbers", "said", "silent_until")

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.said = 0
        self.silent_until = float("-inf")


class Faults:
    """The faults of one cache. ``clock`` gives seconds that only grow."""

    __slots__ = ("_clock", "_kinds")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def report(
        self,
        reason: str,
        text: str,
        *values: object,
        about: str = "",
        error: BaseException | None = None,
        **fields: object,
    ) -> bool:
        """Logs a fault, unless its reason has been spoken of just now. Returns whether it did.

        ``text % values`` is the message: a warning; an error, with its traceback, if one is given. Faults of one reason
        are told apart by the type of ``error``, or by ``about``: a name out of the program, never what a client sent.
        ``fields`` become attributes of the record, beside ``reason`` and ``left_out``.
        """
        kind = self._kind(reason, about or ("" if error is None else type(error).__name__))
        number = next(kind.numbers)
        now = self._clock()
        if now < kind.silent_until:
            return False
        kind.silent_until = now + EVERY_SECONDS
        left_out, kind.said = max(0, number - kind.said), number + 1
        if left_out:
            text, values = f"{text} (and %d times before, not logged)", (*values, left_out)
        logger.log(
            logging.WARNING if error is None else logging.ERROR,
            text,
            *values,
            exc_info=error,
            extra={"reason": reason, "left_out": left_out, **fields},
            stacklevel=2,
        )
        return True

    def _kind(self, reason: str, about: str) -> _Kind:
        kinds = self._kinds
        if len(kinds) >= MOST and (reason, about) not in kinds:
            about = ""
        return kinds.setdefault((reason, about), _Kind())
