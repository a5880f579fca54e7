"""What each event loop has one of."""

import asyncio
import weakref
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One of something for each event loop, made when it is first asked for by the loop's own thread.

    It goes with its loop: what ``make`` makes must not hold that for good.
    """

    __slots__ = ("_all", "_last", "_make")

    def __init__(self, make: "Callable[[asyncio.AbstractEventLoop], T]") -> None:
        self._make = make
        self._all: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()
        # Of the loop that asked last: in most processes there is no other.
        self._last: tuple[weakref.ref[asyncio.AbstractEventLoop], T] | None = None

    def of(self, loop: asyncio.AbstractEventLoop) -> T:
        """That of a loop."""
        last = self._last
        if last is not None and last[0]() is loop:
            return last[1]
        its = self._all.get(loop)
        if its is None:
            # A closed loop would be kept for ever by what was under way on it.
            for closed in [known for known in list(self._all) if known.is_closed()]:
                self._all.pop(closed, None)
            its = self._all[loop] = self._make(loop)
        self._last = (weakref.ref(loop), its)
        return its

    def forget(self) -> None:
        """Forgets all of them: for a process that was forked off, whose parent's loops are not its own."""
        self._last = None
        self._all.clear()
