"""Waking those who waited for a load: a few in each turn of the loop.

A server writes to its sockets at the end of a turn. If five hundred requests were answered in one, the first client
would wait until the last answer is made, and no client could read while the server works.
"""

import asyncio
from collections import deque

from hotplate.per_loop import PerLoop

__all__ = ["resolve", "wake"]

AT_ONCE = 32
"""So many are woken in one turn."""

_turns = PerLoop(lambda _loop: _Turns())


def resolve(future: "asyncio.Future[None]") -> None:
    """Resolves a future of the running loop now, unless it is done: who waited for it may have gone."""
    if not future.done():
        future.set_result(None)


def wake(future: "asyncio.Future[None]") -> None:
    """Resolves a future of the running loop, in this turn or in one of the next; in the order of the calls."""
    loop = future.get_loop()
    _turns.of(loop).wake(loop, future)


class _Turns:
    __slots__ = ("_begun", "_left", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = AT_ONCE
        self._begun = False

    def wake(self, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
        if not self._begun:
            self._begun = True
            loop.call_soon(self._next, loop)
        self._waiting.append(future)
        self._resolve()

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = AT_ONCE
        self._begun = bool(self._waiting)
        if self._begun:
            loop.call_soon(self._next, loop)
            self._resolve()

    def _resolve(self) -> None:
        while self._left and self._waiting:
            self._left -= 1
            resolve(self._waiting.popleft())
