"""Between the shared tier's thread and event loops: every answer reaches its own caller, on its own loop, or nobody."""

import asyncio
import gc
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from hotplate import Cache, CacheMiddleware
from hotplate._core import PENDING
from hotplate.asgi import Receive, Scope, Send
from hotplate.bridges import bridge_of
from tests.driver import call
from tests.proxy import Proxy
from tests.redis_servers import RedisServer
from tests.servers import ROOT
from tests.waiting import eventually, until

# Each test runs loops of its own: which loop, and when it ends, is what is tested.

T = TypeVar("T")
MakeLoop = Callable[[], asyncio.AbstractEventLoop]

FEW_FAULTS = "5s"
"""A ``command_timeout`` that two slow cores keep to."""


class BareLoop(asyncio.SelectorEventLoop):
    """As Windows' proactor: no readers."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


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


@pytest.fixture
def cache(redis: RedisServer) -> Cache:
    """Without a local tier: every lookup goes through the bridge."""
    return Cache(redis.url, prefix=uuid.uuid4().hex, local=False, command_timeout=FEW_FAULTS)


@pytest.fixture
def slow(redis: RedisServer) -> Iterator[Proxy]:
    with Proxy(redis.port) as proxy:
        yield proxy


@contextmanager
def late(proxy: Proxy, seconds: float) -> Iterator[None]:
    """While the block runs, answers of the server take this long."""
    proxy.delay = seconds
    try:
        yield
    finally:
        proxy.delay = 0.0


# --- Each caller its own ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LOOPS)
def test_many_lookups_at_once_give_each_caller_its_own(cache: Cache, make: MakeLoop) -> None:
    async def main() -> None:
        await fill(cache, 500)
        for _ in range(4):
            each_its_own(await asyncio.gather(*(cache.get(name_of(n)) for n in range(500))))

    run(make, main())


@pytest.mark.parametrize("make", LOOPS)
def test_all_kinds_of_calls_at_once(cache: Cache, make: MakeLoop) -> None:
    async def one(number: int) -> None:
        name, tag = f"mixed-{number}", f"tag-{number}"
        assert await cache.get(name) is None
        assert await cache.set(name, content_of(number), ttl=60, tags=[tag])
        assert await cache.get(name) == content_of(number)
        if number % 2:
            assert await cache.delete(name)
        else:
            assert await cache.invalidate(tags=[tag]) > 0
        assert await cache.get(name) is None

    async def main() -> None:
        await fill(cache, 1)
        await asyncio.gather(*(one(number) for number in range(100)))

    run(make, main())


def test_what_a_process_sets_first_of_all_is_found(redis: RedisServer) -> None:
    async def first() -> None:
        fresh = Cache(redis.url, prefix=uuid.uuid4().hex, local=False, command_timeout=FEW_FAULTS)
        assert all(await asyncio.gather(*(fresh.set(name_of(n), content_of(n), ttl=60) for n in range(8))))
        for _ in range(3):
            each_its_own(await asyncio.gather(*(fresh.get(name_of(n)) for n in range(8))))

    async def main() -> None:
        await asyncio.gather(*(first() for _ in range(40)))

    asyncio.run(main())


@pytest.mark.parametrize("make", LOOPS)
def test_requests_of_one_key_wait_for_one_load(cache: Cache, make: MakeLoop) -> None:
    runs = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.02)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def main() -> None:
        await fill(cache, 1)
        site = CacheMiddleware(app, cache=cache, ttl=60)
        answers = await asyncio.gather(*(call("GET", f"/{n % 10}").run(site) for n in range(200)))
        assert [answer.body for answer in answers] == [f"/{n % 10}".encode() for n in range(200)]

    run(make, main())
    assert runs == 10


# --- Who leaves ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LOOPS)
def test_who_is_cancelled_leaves_the_others_their_answers(
    cache: Cache, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        await fill(cache, 200)
        for turn in range(10):
            tasks = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(200)]
            # At different moments: before they start, on their way, half answered.
            for _ in range(turn):
                await asyncio.sleep(0)
            gone = {n for n in range(200) if (n + turn) % 3 == 0 and tasks[n].cancel()}
            found = await asyncio.gather(*tasks, return_exceptions=True)
            for number, value in enumerate(found):
                if isinstance(value, asyncio.CancelledError):
                    assert number in gone
                else:
                    assert value == content_of(number)
        each_its_own(await asyncio.gather(*(cache.get(name_of(n)) for n in range(200))))

    with caplog.at_level(logging.DEBUG):
        run(make, main())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("make", LOOPS)
def test_a_result_that_comes_after_its_future_was_cancelled_is_dropped(
    redis: RedisServer, slow: Proxy, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(slow.url, prefix=uuid.uuid4().hex, local=False, command_timeout=FEW_FAULTS)

    async def main() -> None:
        await fill(cache, 20)
        hits = cache.stats().hits + cache.stats().misses
        with late(slow, 0.1):
            tasks = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(20)]
            await asyncio.sleep(0)
            for task in tasks:
                assert task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in ended)
            # They are delivered all the same, and counted.
            await eventually(lambda: cache.stats().hits + cache.stats().misses == hits + 20, "the answers have come")
        each_its_own(await asyncio.gather(*(cache.get(name_of(n)) for n in range(20))))

    with caplog.at_level(logging.DEBUG):
        run(make, main())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("make", LOOPS)
def test_a_cancelled_request_that_looked_for_a_response_harms_nobody(
    redis: RedisServer, slow: Proxy, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(slow.url, prefix=uuid.uuid4().hex, local=False, command_timeout=FEW_FAULTS, lease="1s")
    runs = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal runs
        runs += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def main() -> None:
        await fill(cache, 1)
        site = CacheMiddleware(app, cache=cache, ttl=60)
        with late(slow, 0.05):
            first = [asyncio.ensure_future(call("GET", f"/{n}").run(site)) for n in range(10)]
            # These wait for the first, in this process.
            second = [asyncio.ensure_future(call("GET", f"/{n}").run(site)) for n in range(10)]
            await asyncio.sleep(0.01)
            for task in first:
                task.cancel()
            await asyncio.gather(*first, return_exceptions=True)
            answers = await asyncio.wait_for(asyncio.gather(*second), 20)
        assert [answer.body for answer in answers] == [f"/{n}".encode() for n in range(10)]

    with caplog.at_level(logging.DEBUG):
        run(make, main())
    assert runs == 10
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- Loops that come and go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LOOPS)
def test_several_loops_in_several_threads_use_one_cache_at_once(cache: Cache, make: MakeLoop) -> None:
    threads, operations = 8, 200
    run(make, fill(cache, operations))
    failures: list[BaseException] = []
    barrier = threading.Barrier(threads)

    async def work(own: int) -> None:
        each_its_own(await asyncio.gather(*(cache.get(name_of(n)) for n in range(operations // 2))))
        for step in range(operations // 8):
            name = f"thread-{own}-{step}"
            assert await cache.set(name, name.encode(), ttl=60)
            names = (name, name_of(step), f"thread-{own}-none")
            found = tuple(await asyncio.gather(*(cache.get(one) for one in names)))
            assert found == (name.encode(), content_of(step), None)

    def thread(own: int) -> None:
        try:
            barrier.wait(20)
            run(make, work(own))
        except BaseException as error:
            failures.append(error)

    running = [threading.Thread(target=thread, args=(own,)) for own in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join(100)
    assert not any(one.is_alive() for one in running)
    assert not failures, failures


@pytest.mark.parametrize("make", LOOPS)
def test_a_loop_closed_in_the_middle_does_not_trouble_the_next(
    redis: RedisServer, slow: Proxy, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(slow.url, prefix=uuid.uuid4().hex, local=False, command_timeout=FEW_FAULTS)
    run(make, fill(cache, 64))

    async def begin() -> None:
        going.extend(asyncio.ensure_future(cache.get(name_of(n))) for n in range(64))
        await asyncio.sleep(0)

    async def again() -> None:
        each_its_own(await _all(cache, 64))

    going: list[asyncio.Future[bytes | None]] = []
    with caplog.at_level(logging.DEBUG):
        for _ in range(5):
            loop = make()
            going.clear()
            with late(slow, 0.05):
                loop.run_until_complete(begin())
                end(loop)
                assert all(one.cancelled() for one in going)
            run(make, again())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


PROGRAM = """
import asyncio, gc, json, os, sys, threading, time, uuid
sys.path.insert(0, os.getcwd())
from tests.test_bridge import LOOPS, end, fill, name_of, open_files
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


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


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
            found = loop.run_until_complete(asyncio.wait_for(_all(cache, 16), 20))
            each_its_own(found)
    finally:
        end(loop)


async def _all(cache: Cache, count: int) -> list[Any]:
    return await asyncio.gather(*(cache.get(name_of(n)) for n in range(count)))


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
        each_its_own(await _all(cache, 64))
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


# --- Wake-ups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", WATCHING)
def test_one_wake_up_is_for_many_results(cache: Cache, make: MakeLoop) -> None:
    """64 callers, each with one lookup after another: 64 results are on their way at any time."""
    drains = 0
    each, callers = 50, 64

    async def caller(number: int) -> None:
        for _ in range(each):
            assert await cache.get(name_of(number)) == content_of(number)

    async def main() -> None:
        nonlocal drains
        await fill(cache, callers)
        loop = asyncio.get_running_loop()
        bridge = bridge_of(loop)

        def counting() -> None:
            nonlocal drains
            drains += 1
            bridge.drain()

        loop.remove_reader(bridge.fileno())
        loop.add_reader(bridge.fileno(), counting)
        await asyncio.gather(*(caller(number) for number in range(callers)))

    run(make, main())
    assert 0 < drains < each * callers / 3, f"{drains} wake-ups for {each * callers} results"


def test_a_bridge_with_nothing_to_do_does_not_wake_its_loop(cache: Cache) -> None:
    class Counting(selectors.DefaultSelector):
        turns = 0

        def select(self, timeout: float | None = None) -> Any:
            self.turns += 1
            return super().select(timeout)

    selector = Counting()
    loop = asyncio.SelectorEventLoop(selector)

    async def main() -> int:
        await fill(cache, 8)
        await _all(cache, 8)
        before = selector.turns
        await asyncio.sleep(0.3)
        return selector.turns - before

    try:
        assert loop.run_until_complete(main()) <= 3
    finally:
        end(loop)


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
            each_its_own(await _all(cache, 2))
            del cache
            gc.collect()
        await eventually(lambda: clients(redis_server) == before, "the connections are closed", 10)

    files = open_files()
    run(asyncio.SelectorEventLoop, main())
    until(lambda: open_files() <= files + 2, "the files are closed", 10)
