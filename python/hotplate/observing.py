"""Watching a cache at work from outside, for traces: who wants to see, and where it is asked.

Nobody does, unless an observer is set (``hotplate.metrics.opentelemetry`` has one). Then the middlewares of the cache
go through it; until then a hit does not even ask whether there is one. What is counted has nothing to do with this:
the engine does that.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from weakref import WeakSet

from hotplate.asgi import ASGIApp, Message, Send

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotplate._core import Exchange, Step
    from hotplate.targets import Targets

__all__ = ["Lookup", "Observer", "Observing"]

Lookup: TypeAlias = "Callable[..., tuple[Message, Message] | Exchange | Step]"
"""``HttpCache.lookup``."""

_NOTHING: AbstractContextManager[Any] = nullcontext()


class Observer(Protocol):
    """What sees requests, loads and invalidations. What it raises is raised to the one who is seen."""

    def lookup(self, lookup: Lookup) -> Lookup:
        """A lookup in place of ``lookup``: it sees the answers that need nothing else."""
        ...

    def answering(self, kind: str, app: ASGIApp, send: Send) -> tuple[ASGIApp, Send]:
        """An application and a send channel in place of these, for any other request: they see run and answer.

        ``kind`` says why: ``"load"``, ``"forward"``, ``"stale"`` (a refresh runs) or ``"raised"``.
        """
        ...

    def running(self, function: "Callable[..., Any]") -> AbstractContextManager[object]:
        """What is around a run of a function whose result is cached."""
        ...

    def invalidating(self, targets: "Targets") -> AbstractContextManager[object]:
        """What is around an invalidation."""
        ...


class _Observed(Protocol):
    def observe(self, observer: Observer | None) -> None: ...


class Observing:
    """Who observes one cache, and what is to be told when that changes."""

    __slots__ = ("_observed", "observer")

    observer: Observer | None
    """Nobody: ``None``."""

    def __init__(self) -> None:
        self.observer = None
        self._observed: WeakSet[_Observed] = WeakSet()

    def add(self, observed: _Observed) -> None:
        """Has something told who observes, now and whenever that changes."""
        self._observed.add(observed)
        observed.observe(self.observer)

    def begin(self, observer: Observer) -> None:
        """From here on ``observer`` sees what begins."""
        self._tell(observer)

    def end(self) -> None:
        """From here on nobody sees."""
        self._tell(None)

    def _tell(self, observer: Observer | None) -> None:
        self.observer = observer
        for observed in list(self._observed):
            observed.observe(observer)

    def running(self, function: "Callable[..., Any]") -> AbstractContextManager[object]:
        """Around a run of a function whose result is cached."""
        return _NOTHING if self.observer is None else self.observer.running(function)

    def invalidating(self, targets: "Targets") -> AbstractContextManager[object]:
        """Around an invalidation."""
        return _NOTHING if self.observer is None else self.observer.invalidating(targets)
