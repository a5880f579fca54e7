"""Loops of every kind, and a cache that is asked on them through the bridge."""

import asyncio
import gc
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import uvloop

from hotplate import Cache
from tests.proxy import Proxy
from tests.waiting import eventually

T = TypeVar("T")
MakeLoop = Callable[[], asyncio.AbstractEventLoop]

FEW_FAULTS = "5s"
"""A ``command_timeout`` that two slow cores keep to."""


class BareLoop(asyncio.SelectorEventLoop):
    """As Windows' proactor: no readers."""

    add_reader = asyncio.AbstractEventLoop.add_reader


LOOPS = [
    pytest.param(asyncio.SelectorEventLoop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
    pytest.param(BareLoop, id="no-readers"),
]
WATCHING = LOOPS[:2]


def run(make: MakeLoop, main: Awaitable[T]) -> T:
    """As ``asyncio.run``, on such a loop. What the loop finds wrong is raised."""
    wrong: list[dict[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        result = await main
        gc.collect()
        await asyncio.sleep(0)
        return result

    loop = make()
    try:
        result = loop.run_until_complete(watched())
    finally:
        end(loop)
    assert not wrong, wrong
    return result


def end(loop: asyncio.AbstractEventLoop) -> None:
    """Cancels what is under way and closes the loop, as ``asyncio.run`` does."""

    async def cancel_all() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(cancel_all())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def asked_always(url: str, **settings: Any) -> Cache:
    """A cache of its own without a local tier: every lookup goes through the bridge."""
    return Cache(url, prefix=uuid.uuid4().hex, local=False, command_timeout=FEW_FAULTS, **settings)


def name_of(number: int) -> str:
    return f"value-{number}"


def content_of(number: int) -> bytes:
    return f"content of {number} ".encode() * (1 + number % 7)


async def fill(cache: Cache, count: int) -> None:
    await eventually(lambda: is_certain(cache), "the log is read")
    assert all(await asyncio.gather(*(cache.set(name_of(n), content_of(n), ttl=300) for n in range(count))))


def is_certain(cache: Cache) -> bool:
    cache.core.start()
    numbers = cache.shared_stats()
    return numbers is not None and numbers.certain


def each_its_own(found: list[bytes | None]) -> None:
    crossed = {number: value for number, value in enumerate(found) if value != content_of(number)}
    assert not crossed


@contextmanager
def late(proxy: Proxy, seconds: float) -> Iterator[None]:
    """While the block runs, answers of the server take this long."""
    proxy.delay = seconds
    try:
        yield
    finally:
        proxy.delay = 0.0


@contextmanager
def silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What runs in the block logs nothing that anybody would have to look at."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def get_all(cache: Cache, count: int) -> list[Any]:
    return await asyncio.gather(*(cache.get(name_of(n)) for n in range(count)))
