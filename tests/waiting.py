"""Waiting for what comes by itself: ``eventually`` in a coroutine, ``until`` without a loop. Both have a deadline.

``turns`` waits for nothing but the tasks of the loop that can go on at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from tests.redis_client import ErrorReply

DEADLINE_SECONDS = 30.0
"""How long anything may take before the test fails; what works takes three seconds at most."""

PAUSE_SECONDS = 0.002

What: TypeAlias = str | Callable[[], str]
"""What is waited for, in words; made when they are needed, where they are to say how it is by then."""


async def eventually(
    condition: Callable[[], object | Awaitable[object]], what: What, seconds: float = DEADLINE_SECONDS
) -> float:
    """Returns as soon as ``condition`` holds, with the seconds that took; fails with ``what`` if it never does.

    The loop runs meanwhile. The condition may be a coroutine function; what it raises is raised.
    """
    begun = time.monotonic()
    while True:
        holds = condition()
        if isinstance(holds, Awaitable):
            holds = await holds
        if holds:
            return time.monotonic() - begun
        assert time.monotonic() - begun < seconds, _late(what, seconds)
        await asyncio.sleep(PAUSE_SECONDS)


async def turns(count: int = 20) -> None:
    """Lets everything that can go on without being waited for go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def until(condition: Callable[[], object], what: What, seconds: float = DEADLINE_SECONDS) -> None:
    """Returns as soon as ``condition`` holds; fails with ``what`` if it never does. No connection counts as no."""
    deadline = time.monotonic() + seconds
    while True:
        last: Exception | None = None
        try:
            if condition():
                return
        except (OSError, ErrorReply) as error:
            last = error
        assert time.monotonic() < deadline, _late(what, seconds) + (f" ({last!r})" if last else "")
        time.sleep(PAUSE_SECONDS)


def _late(what: What, seconds: float) -> str:
    return f"not within {seconds} s: {what if isinstance(what, str) else what()}"
