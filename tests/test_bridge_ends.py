"""Loops that come and go, and caches: what is under way reaches who is still there, and nothing is left behind."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hotplate import Cache, CacheMiddleware
from hotplate._core import PENDING
from hotplate.asgi import Receive, Scope, Send
from hotplate.bridges import bridge_of
from tests.bridging import (
    FEW_FAULTS,
    LOOPS,
    BareLoop,
    MakeLoop,
    asked_always,
    content_of,
    each_its_own,
    end,
    fill,
    get_all,
    late,
    name_of,
    open_files,
    run,
    silent,
)
from tests.driver import call
from tests.proxy import Proxy
from tests.redis_servers import RedisServer
from tests.servers import ROOT
from tests.threads import run_in_threads
from tests.waiting import eventually, until

# Each test runs loops of its own: which loop, and when it ends, is what is tested.


@pytest.fixture
def cache(redis: RedisServer) -> Cache:
    return asked_always(redis.url)


# --- Loops that come and go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LOOPS)
def test_several_loops_in_several_threads_use_one_cache_at_once(cache: Cache, make: MakeLoop) -> None:
    threads, operations = 8, 200
    run(make, fill(cache, operations))

    async def work(own: int) -> None:
        each_its_own(await asyncio.gather(*(cache.get(name_of(n)) for n in range(operations // 2))))
        for step in range(operations // 8):
            name = f"thread-{own}-{step}"
            assert await cache.set(name, name.encode(), ttl=60)
            names = (name, name_of(step), f"thread-{own}-none")
            found = tuple(await asyncio.gather(*(cache.get(one) for one in names)))
            assert found == (name.encode(), content_of(step), None)

    assert run_in_threads(threads, lambda own: run(make, work(own))) == [None] * threads


@pytest.mark.parametrize("make", LOOPS)
def test_a_loop_closed_in_the_middle_does_not_trouble_the_next(
    redis: RedisServer, slow: Proxy, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    cache = asked_always(slow.url)
    run(make, fill(cache, 64))

    async def begin() -> None:
        going.extend(asyncio.ensure_future(cache.get(name_of(n))) for n in range(64))
        await asyncio.sleep(0)

    async def again() -> None:
        each_its_own(await get_all(cache, 64))

    going: list[asyncio.Future[bytes | None]] = []
    with silent(caplog):
        for _ in range(5):
            loop = make()
            going.clear()
            with late(slow, 0.05):
                loop.run_until_complete(begin())
                end(loop)
                assert all(one.cancelled() for one in going)
            run(make, again())


PROGRAM = """
import asyncio, gc, json, os, sys, threading, time, uuid
sys.path.insert(0, os.getcwd())
from tests.bridging import LOOPS, end, fill, name_of, open_files
from hotplate import Cache

make = {one.id: one.values[0] for one in LOOPS}[sys.argv[2]]
cache = Cache(sys.argv[1], prefix=uuid.uuid4().hex, local=False, command_timeout="5s")

def run(main):
    loop = make()
    try:
        loop.run_until_complete(main)
    finally:
        end(loop)

async def finished():
    found = await asyncio.gather(*(cache.get(name_of(n)) for n in range(16)))
    assert None not in found

async def unfinished():
    for n in range(16):
        asyncio.ensure_future(cache.get(name_of(n)))
    await asyncio.sleep(0)

def count():
    return [open_files(), threading.active_count(), len(os.listdir("/proc/self/task"))]

run(fill(cache, 16))
run(finished())
gc.collect()
before = count()
main = {"finished": finished, "unfinished": unfinished}[sys.argv[3]]
for turn in range(200):
    run(main())
deadline = time.monotonic() + 10
for look in range(1_000_000):
    if look % 40 == 0:
        run(finished())  # not each time: a thread that watches for a loop lives a second longer
    gc.collect()
    now = count()
    if all(a <= b + 4 for a, b in zip(now, before)) or time.monotonic() > deadline:
        break
    time.sleep(0.05)
print(json.dumps([before, now]))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files by /proc")
@pytest.mark.parametrize("how", ["finished", "unfinished"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "no-readers"])
def test_two_hundred_loops_one_after_another_leave_nothing_behind(slow: Proxy, loop: str, how: str) -> None:
    # So that answers come when their loop is closed already.
    slow.delay = 0.02 if how == "unfinished" else 0.0
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, slow.url, loop, how], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert ended.returncode == 0, ended.stderr
    before, after = json.loads(ended.stdout)
    # A few come and go with a connection, and with the last loop. None stays of two hundred.
    for what, first, last in zip(("open files", "threads", "the system's threads"), before, after, strict=True):
        assert last <= first + 4, f"{what}: {first}, then {last}"


@pytest.mark.parametrize("make", LOOPS)
def test_a_loop_that_is_run_again_and_again_goes_on(cache: Cache, make: MakeLoop) -> None:
    loop = make()
    try:
        loop.run_until_complete(fill(cache, 16))
        for _ in range(20):
            found = loop.run_until_complete(asyncio.wait_for(get_all(cache, 16), 20))
            each_its_own(found)
    finally:
        end(loop)


def test_results_that_come_while_the_loop_is_not_run_are_there_when_it_is(cache: Cache) -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(fill(cache, 64))

        async def begin() -> list[asyncio.Task[bytes | None]]:
            tasks = [asyncio.get_running_loop().create_task(cache.get(name_of(n))) for n in range(64)]
            await asyncio.sleep(0)
            return tasks

        before = counted(cache)
        tasks = loop.run_until_complete(begin())
        until(lambda: counted(cache) >= before + 64, "the answers have come")
        each_its_own(loop.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks), 20)))
    finally:
        end(loop)


def counted(cache: Cache) -> int:
    numbers = cache.shared_stats()
    assert numbers is not None
    return numbers.hits + numbers.misses


def watching() -> int:
    """Threads that watch a bridge for a loop that cannot."""
    return sum(thread.name == "hotplate bridge" for thread in threading.enumerate())


def test_a_loop_without_readers_has_a_thread_of_its_own_that_ends_with_it(cache: Cache) -> None:
    until(lambda: watching() == 0, "those of other tests have ended")

    async def main() -> None:
        await fill(cache, 64)
        each_its_own(await get_all(cache, 64))
        assert watching() == 1

    run(BareLoop, main())
    until(lambda: watching() == 0, "the thread has ended")


def test_a_loop_without_readers_that_closes_with_a_wake_up_on_its_way_ends_its_thread(cache: Cache) -> None:
    until(lambda: watching() == 0, "those of other tests have ended")
    loop = BareLoop()
    loop.run_until_complete(fill(cache, 8))
    assert watching() == 1
    for number in range(8):
        assert cache.values.get(name_of(number), bridge_of(loop), loop.create_future()) is PENDING
    ready: Any = loop
    # The results are there, and the loop is told; but it is not run any more.
    until(lambda: len(ready._ready) > 0, "the loop is told")
    loop.close()
    until(lambda: watching() == 0, "the thread has ended", 10)


# --- The end of a cache ----------------------------------------------------------------------------------------------


def clients(redis: RedisServer) -> int:
    """Connections to the server, but for the one that asks."""
    listed = redis.command("CLIENT", "LIST")
    assert isinstance(listed, str)
    return len(listed.strip().splitlines()) - 1


def test_a_cache_nobody_holds_ends_its_connections(redis_server: RedisServer) -> None:
    before = clients(redis_server)

    async def main() -> None:
        caches = [Cache(redis_server.url, prefix=f"gone-{n}", command_timeout=FEW_FAULTS) for n in range(5)]
        for cache in caches:
            await fill(cache, 4)
        assert clients(redis_server) >= before + 5

    run(asyncio.SelectorEventLoop, main())
    gc.collect()
    until(lambda: clients(redis_server) == before, "the connections are closed", 10)


def test_a_cache_nobody_holds_ends_although_it_has_been_behind_a_middleware(redis_server: RedisServer) -> None:
    before = clients(redis_server)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 5000})

    async def main() -> None:
        site = CacheMiddleware(app, cache=Cache(redis_server.url, command_timeout=FEW_FAULTS), ttl=60)
        await fill(site.cache, 1)
        for _ in range(2):
            assert len((await call("GET", "/").run(site)).body) == 5000
        assert clients(redis_server) > before

    run(asyncio.SelectorEventLoop, main())
    gc.collect()
    until(lambda: clients(redis_server) == before, "the connections are closed", 10)


def test_a_cache_that_is_dropped_with_operations_in_flight_ends(redis_server: RedisServer) -> None:
    before = clients(redis_server)

    async def main() -> None:
        cache = Cache(redis_server.url, local=False, command_timeout=FEW_FAULTS)
        await fill(cache, 64)
        going = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(64)]
        await asyncio.sleep(0)
        del cache
        # Those who wait still get theirs, or nothing; they are not left alone.
        found = await asyncio.wait_for(asyncio.gather(*going), 20)
        for number, value in enumerate(found):
            assert value in (content_of(number), None)

    run(asyncio.SelectorEventLoop, main())
    gc.collect()
    until(lambda: clients(redis_server) == before, "the connections are closed", 10)


def test_caches_made_and_dropped_again_and_again_leave_nothing_behind(redis_server: RedisServer) -> None:
    before = clients(redis_server)

    async def main() -> None:
        for number in range(20):
            cache = Cache(redis_server.url, prefix=f"turn-{number}", local=False, command_timeout=FEW_FAULTS)
            await fill(cache, 2)
            each_its_own(await get_all(cache, 2))
            del cache
            gc.collect()
        await eventually(lambda: clients(redis_server) == before, "the connections are closed", 10)

    files = open_files()
    run(asyncio.SelectorEventLoop, main())
    until(lambda: open_files() <= files + 2, "the files are closed", 10)
