"""Between the shared tier's thread and event loops: every answer reaches its own caller, on its own loop, or nobody."""

import asyncio
import selectors
from typing import Any

import pytest

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Scope
from hotplate.bridges import bridge_of
from tests.bridging import (
    LOOPS,
    WATCHING,
    MakeLoop,
    asked_always,
    content_of,
    each_its_own,
    end,
    fill,
    get_all,
    late,
    name_of,
    run,
    silent,
)
from tests.driver import Origin, call
from tests.proxy import Proxy
from tests.redis_servers import RedisServer
from tests.waiting import eventually

# Each test runs loops of its own: which loop, and when it ends, is what is tested.


@pytest.fixture
def cache(redis: RedisServer) -> Cache:
    return asked_always(redis.url)


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
        fresh = asked_always(redis.url)
        assert all(await asyncio.gather(*(fresh.set(name_of(n), content_of(n), ttl=60) for n in range(8))))
        for _ in range(3):
            each_its_own(await asyncio.gather(*(fresh.get(name_of(n)) for n in range(8))))

    async def main() -> None:
        await asyncio.gather(*(first() for _ in range(40)))

    asyncio.run(main())


@pytest.mark.parametrize("make", LOOPS)
def test_requests_of_one_key_wait_for_one_load(cache: Cache, make: MakeLoop) -> None:
    async def answer(scope: Scope) -> bytes:
        await asyncio.sleep(0.02)
        return str(scope["path"]).encode()

    app = Origin(answer)

    async def main() -> None:
        await fill(cache, 1)
        site = CacheMiddleware(app, cache=cache, ttl=60)
        answers = await asyncio.gather(*(call("GET", f"/{n % 10}").run(site) for n in range(200)))
        assert [answer.body for answer in answers] == [f"/{n % 10}".encode() for n in range(200)]

    run(make, main())
    assert app.runs == 10


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

    with silent(caplog):
        run(make, main())


@pytest.mark.parametrize("make", LOOPS)
def test_a_result_that_comes_after_its_future_was_cancelled_is_dropped(
    redis: RedisServer, slow: Proxy, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    cache = asked_always(slow.url)

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

    with silent(caplog):
        run(make, main())


@pytest.mark.parametrize("make", LOOPS)
def test_a_cancelled_request_that_looked_for_a_response_harms_nobody(
    redis: RedisServer, slow: Proxy, make: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    cache = asked_always(slow.url, lease="1s")
    app = Origin(lambda scope: str(scope["path"]).encode())

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

    with silent(caplog):
        run(make, main())
    assert app.runs == 10


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
        await get_all(cache, 8)
        before = selector.turns
        await asyncio.sleep(0.3)
        return selector.turns - before

    try:
        assert loop.run_until_complete(main()) <= 3
    finally:
        end(loop)
