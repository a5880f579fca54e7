"""What a process does with a cache, and how processes are forked, watched and waited for."""

import asyncio
import contextlib
import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from hotplate import Cache, CacheMiddleware
from tests.driver import Origin, call
from tests.process_app import FEW_FAULTS

DEADLINE_SECONDS = 30
"""After this long a scenario prints every thread's stack and ends."""

LATE = 77
"""The exit status of a process that did not end in time."""


def shared_cache(url: str, *, local: bool = False) -> Cache:
    """Without a local tier every lookup is an operation of the runtime's thread."""
    return Cache(url, prefix="programs", local=local, command_timeout=FEW_FAULTS)


def name_of(number: int) -> str:
    return f"value-{number}"


def content_of(number: int) -> bytes:
    return f"content of {number} ".encode() * 20


async def fill(cache: Cache, count: int) -> None:
    stored = await asyncio.gather(*(cache.set(name_of(n), content_of(n), ttl=300) for n in range(count)))
    assert all(stored), f"not stored: {stored.count(False)}, {cache.shared_stats()}"


async def check(cache: Cache, count: int) -> None:
    """Many lookups at once: each gets its own."""
    found = await asyncio.gather(*(cache.get(name_of(n)) for n in range(count)))
    crossed = {n: value for n, value in enumerate(found) if value != content_of(n)}
    assert not crossed, f"in {os.getpid()}: {crossed}, {cache.shared_stats()}"


async def use(cache: Cache, count: int = 64) -> None:
    """All that a process does with a cache: look up, store, remove, invalidate, answer requests."""
    await check(cache, count)
    own = f"own-{os.getpid()}"
    assert await cache.set(own, own.encode(), ttl=300, tags=[own])
    assert await cache.get(own) == own.encode()
    assert await cache.delete(own)
    assert await cache.get(own) is None
    assert await cache.invalidate(tags=[own]) > 0

    app = Origin(lambda scope: str(scope["path"]).encode())
    site = CacheMiddleware(app, cache=cache, ttl=300)
    answers = await asyncio.gather(*(call("GET", f"/{own}").run(site) for _ in range(8)))
    assert {answer.body for answer in answers} == {f"/{own}".encode()}
    assert app.runs == 1, f"the handler ran {app.runs} times"


@contextlib.contextmanager
def deadline(seconds: int = DEADLINE_SECONDS) -> Iterator[None]:
    """Ends this process, with every thread's stack, when it is late."""
    timer = threading.Timer(seconds, _late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _late() -> NoReturn:
    faulthandler.dump_traceback(all_threads=True)
    os._exit(LATE)


def fork(child: Callable[[], None]) -> int:
    """Runs ``child`` in a forked process, which then ends: 0, or 1 with what was raised on standard error."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with deadline():
            child()
        status = 0
    except BaseException as error:
        sys.stderr.write(f"child {os.getpid()}: {error!r}\n")
    finally:
        sys.stderr.flush()
        os._exit(status)


def join(children: list[int]) -> None:
    """Waits for all; each has to end well."""
    ends = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children}
    assert not any(ends.values()), f"children ended with {ends}"
