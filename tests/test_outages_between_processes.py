"""What processes that share a server tell each other before, during and after an outage, one step at a time."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from hotplate import Cache, Rule
from hotplate.asgi import Scope
from hotplate.cache import SharedStats
from hotplate.testing import ManualClock
from tests.driver import START, Response, Site
from tests.outage_load import COMMAND_DEADLINE, NOTICED, RECOVERY, SLOW_MACHINE, STUCK, Kind, Load
from tests.outages import BYPASS, DIRECT, FAULTS, SERVE, in_thread
from tests.proxy import Proxy
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

_caches = itertools.count()


def sites(url: str, *kinds: Kind, **settings: Any) -> list[Site]:
    """Processes that share a cache at ``url``, before one origin: ``run 1``, ``run 2``, ..."""
    settings.setdefault("prefix", f"outages-{next(_caches)}")
    made: list[Site] = []
    for kind in kinds:
        on_outage: Any = kind.on_outage
        cache = Cache(url, local=kind.local, on_outage=on_outage, **settings)
        rules = [Rule("/a/{rest:path}", tags=["t"])]
        site = Site(cache=cache, app=made[0].origin if made else None, rules=rules)
        if made:
            site.origin = made[0].origin
        made.append(site)
    return made


def shared(site: Site) -> SharedStats:
    stats = site.cache.shared_stats()
    assert stats is not None
    return stats


def works(site: Site) -> bool:
    return shared(site).up and shared(site).certain


async def all_work(*processes: Site, seconds: float = RECOVERY) -> None:
    # A cache connects when it is first used.
    for site in processes:
        await site.cache.get("nothing")
    await eventually(lambda: all(map(works, processes)), f"all work: {[*map(shared, processes)]}", seconds)


async def none_work(*processes: Site) -> None:
    """Nobody asks by itself whether the server is there but the reader of the log, twice a second."""
    for site in processes:
        while shared(site).up:
            await site.cache.get("nothing")
    await eventually(lambda: not any(map(works, processes)), "all know", NOTICED)


async def stored(site: Site, target: str) -> Response:
    """What a process loads, once the others can find it."""
    before = shared(site).stored
    response = await site.get(target)
    await eventually(lambda: shared(site).stored > before, "it is stored", NOTICED)
    return response


async def in_time(request: Coroutine[Any, Any, Response]) -> Response:
    """An answer that no lease and no server has delayed."""
    begun = time.monotonic()
    response = await asyncio.wait_for(request, STUCK)
    assert time.monotonic() - begun < COMMAND_DEADLINE + SLOW_MACHINE
    return response


async def becomes(site: Site, target: str, outdated: set[bytes]) -> None:
    """What is not true any more is not served any more within the time of a recovery, and not again."""

    async def is_true() -> bool:
        return (await site.get(target)).body not in outdated

    await eventually(is_true, lambda: f"{target} is not one of {outdated}: {shared(site)}", RECOVERY)
    for _ in range(5):
        assert (await site.get(target)).body not in outdated


async def has_not(site: Site, key: str, outdated: bytes) -> None:
    """A value that is not true any more is not found any more within the time of a recovery."""

    async def is_true() -> bool:
        return bool(await site.cache.get(key) != outdated)

    await eventually(is_true, lambda: f"{key} is not {outdated!r}: {shared(site)}", RECOVERY)


class LosingProxy(Proxy):
    """Passes everything on but the server's chunks that contain what it ``loses``."""

    GRANT = b"*2\r\n:0\r\n:0\r\n"
    """The answer that grants a lease."""
    RECORDS = b":{log}:stream"
    """What stands in every answer with records of the log."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__(upstream_port)
        self.loses: bytes | None = None
        self.lost = 0

    def _spoil(self, chunk: bytes) -> bytes:
        if self.loses is not None and self.loses in chunk:
            self.lost += 1
            return b""
        return chunk


async def test_a_lease_whose_grant_is_lost_delays_nobody(redis_server: RedisServer) -> None:
    with LosingProxy(redis_server.port) as proxy:
        first, second = sites(proxy.url, SERVE, SERVE)
        await all_work(first, second)
        # The script is known to the server from here on: what comes next is one question and one answer.
        await stored(first, "/before")
        proxy.loses = proxy.GRANT
        assert (await in_time(first.get("/"))).body == b"run 2"
        assert proxy.lost == 1
        proxy.loses = None
        await all_work(first, second)
        await in_time(second.get("/"))
        await first.cache.invalidate(paths=["/"])
        await in_time(first.get("/"))


async def test_a_lease_whose_release_is_lost_delays_nobody(proxy: Proxy) -> None:
    first, second = sites(proxy.url, SERVE, SERVE)
    await all_work(first, second)

    async def answer(scope: Scope) -> bytes:
        proxy.refuse = True
        proxy.cut()
        await eventually(lambda: not shared(first).up, "it knows")
        return b"loaded meanwhile"

    first.origin.answer = answer
    assert (await first.get("/")).body == b"loaded meanwhile"
    first.origin.answer = None
    proxy.refuse = False
    await all_work(first, second)
    await in_time(second.get("/"))
    await first.cache.invalidate(paths=["/"])
    await in_time(first.get("/"))


async def test_a_lease_from_before_an_outage_is_not_waited_for_after_it(redis_server: RedisServer) -> None:
    with Proxy(redis_server.port) as cut_off, Proxy(redis_server.port) as proxy:
        (first,) = sites(cut_off.url, SERVE, prefix="cut-off")
        (second,) = sites(proxy.url, SERVE, prefix="cut-off")
        await all_work(first, second)
        loading, go_on = asyncio.Event(), asyncio.Event()

        async def answer(scope: Scope) -> bytes:
            loading.set()
            await go_on.wait()
            return b"from the process that is cut off"

        first.origin.answer = answer
        load = asyncio.create_task(first.get("/"))
        await loading.wait()
        cut_off.refuse = True
        cut_off.cut()
        proxy.cut()
        await none_work(second)
        await all_work(second)
        # Whoever has the lease may be gone, as the connection was.
        assert (await in_time(second.get("/"))).body == b"run 1"
        go_on.set()
        assert (await load).body == b"from the process that is cut off"


async def test_a_process_that_is_behind_the_log_answers_in_time(redis_server: RedisServer) -> None:
    with LosingProxy(redis_server.port) as proxy:
        (first,) = sites(redis_server.url, SERVE, prefix="behind")
        (second,) = sites(proxy.url, SERVE, prefix="behind")
        await all_work(first, second)
        proxy.loses = proxy.RECORDS
        await first.cache.invalidate(tags=["t"])
        assert (await stored(first, "/a/b")).body == b"run 1"
        # Whether the record names this response, it cannot know: it loads, and nothing else happens to the request.
        second.origin.answer = b"run by itself"
        assert (await in_time(second.get("/a/b"))).body == b"run by itself"
        assert shared(second).behind == 1
        assert proxy.lost > 0
        proxy.loses = None
        await all_work(first, second)
        await first.cache.invalidate(tags=["t"])
        await becomes(second, "/a/b", {b"run 1"})


async def test_what_one_request_asks_of_the_server_has_one_deadline(proxy: Proxy) -> None:
    # A miss asks for the response, then for the lease. Each answer alone would come in time.
    (site,) = sites(proxy.url, DIRECT, command_timeout=0.4)
    await all_work(site)
    await stored(site, "/before")
    proxy.delay = 0.3
    begun = time.monotonic()
    assert (await site.get("/")).body == b"run 2"
    assert time.monotonic() - begun < 0.4 + SLOW_MACHINE


TARGETS: dict[str, Callable[[Cache], Awaitable[object]]] = {
    "paths": lambda cache: cache.invalidate(paths=["/a/b"]),
    "prefixes": lambda cache: cache.invalidate(prefixes=["/a"]),
    "tags": lambda cache: cache.invalidate(tags=["t"]),
}


@pytest.mark.parametrize("fault", ["killed", "paused"])
@pytest.mark.parametrize("target", TARGETS)
async def test_an_invalidation_during_an_outage_acts_here_at_once_and_there_afterwards(
    redis_server: RedisServer, fault: str, target: str
) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    assert (await stored(first, "/a/b")).body == b"run 1"
    await second.hit("/a/b")
    await third.hit("/a/b")
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second, third)
    begun = time.monotonic()
    assert await TARGETS[target](first.cache) == 0
    assert time.monotonic() - begun < COMMAND_DEADLINE
    assert (await first.get("/a/b")).body == b"run 2"
    # Nobody could tell the other.
    assert (await second.hit("/a/b")).body == b"run 1"
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second, third)
    for site in (third, second, first):
        await becomes(site, "/a/b", {b"run 1"})


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_values_set_and_deleted_during_an_outage(redis_server: RedisServer, fault: str) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    for key in ("kept", "set", "deleted", "cleared"):
        assert await first.cache.set(key, b"before", ttl=60)
        assert [await site.cache.get(key) for site in (first, second, third)] == [b"before"] * 3
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second, third)
    assert not await first.cache.set("set", b"meanwhile", ttl=60)
    assert not await first.cache.delete("deleted")
    assert [await first.cache.get(key) for key in ("kept", "set", "deleted")] == [b"before", b"meanwhile", None]
    assert [await second.cache.get(key) for key in ("kept", "set", "deleted")] == [b"before"] * 3
    assert await third.cache.get("kept") is None
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second, third)
    for site in (second, third):
        for key in ("set", "deleted"):
            await has_not(site, key, b"before")
        assert await site.cache.get("kept") in ([b"before"] if fault == "paused" else [None])
    assert await first.cache.get("deleted") is None
    assert await first.cache.set("set", b"after", ttl=60)
    assert await third.cache.get("set") == b"after"


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_everything_cleared_during_an_outage_is_cleared_for_all(redis_server: RedisServer, fault: str) -> None:
    first, second = sites(redis_server.url, SERVE, SERVE)
    await all_work(first, second)
    await stored(first, "/")
    await second.hit("/")
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second)
    first.cache.clear()
    assert (await first.get("/")).body == b"run 2"
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second)
    await becomes(second, "/", {b"run 1"})
    await becomes(first, "/", {b"run 1"})


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_more_invalidations_than_are_kept_still_reach_the_others(redis_server: RedisServer, fault: str) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    paths = [f"/item/{number}" for number in range(0, 1100, 100)]
    outdated = set()
    for path in paths:
        outdated.add((await stored(first, path)).body)
        await second.hit(path)
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second, third)
    begun = time.monotonic()
    for number in range(1100):
        assert await first.cache.invalidate(paths=[f"/item/{number}"]) == 0
    assert time.monotonic() - begun < 2.0
    for path in paths:
        assert (await first.get(path)).body not in outdated
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second, third)
    for site in (second, third, first):
        for path in paths:
            await becomes(site, path, outdated)
    # And they are not sent for ever: what is stored from now on stays.
    await stored(third, "/item/new")
    await second.hit("/item/new")
    position = await first.cache.invalidate(tags=["unrelated"])
    await eventually(lambda: shared(second).position >= position, "it is applied")
    assert await first.cache.invalidate(tags=["unrelated"]) == position + 1
    await second.hit("/item/new")
    await third.hit("/item/new")


async def test_what_was_stored_before_an_outage_is_right_after_it(redis_server: RedisServer) -> None:
    first, second = sites(redis_server.url, SERVE, DIRECT, prefix="before")
    await all_work(first, second)
    bodies = {path: (await stored(first, path)).body for path in ("/1", "/2", "/3")}
    await first.cache.set("value", b"before", ttl=60)
    redis_server.pause()
    await none_work(first, second)
    await first.cache.invalidate(paths=["/2"])
    redis_server.resume()
    await all_work(first, second)
    await becomes(second, "/2", {bodies["/2"]})
    # A process that began after it knows nothing but what the server has.
    (third,) = sites(redis_server.url, SERVE, prefix="before")
    third.origin.answer = b"not from the server"
    await all_work(third)
    for site in (first, second, third):
        assert {path: (await site.hit(path)).body for path in ("/1", "/3")} == {
            path: bodies[path] for path in ("/1", "/3")
        }
        assert await site.cache.get("value") == b"before"
        assert (await site.get("/2")).body != bodies["/2"]
        assert shared(site).epochs == 0


async def test_nothing_that_was_stored_or_invalidated_before_a_flush_comes_back(redis_server: RedisServer) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    old = {(await stored(first, path)).body for path in ("/before", "/after", "/kept")}
    for path in ("/before", "/after", "/kept"):
        await second.hit(path)
    await first.cache.invalidate(paths=["/before"])
    redis_server.command("FLUSHALL")
    # The record is in the new log, or in the old one, which is gone: it is obeyed either way.
    await first.cache.invalidate(paths=["/after"])
    assert (await first.get("/after")).body not in old
    await eventually(lambda: all(shared(site).epochs == 1 for site in (first, second, third)), "the epoch is counted")
    for site in (second, third, first):
        for path in ("/before", "/after", "/kept"):
            await becomes(site, path, old)
    await stored(third, "/new")
    await second.hit("/new")
    await first.hit("/new")


async def test_a_response_is_served_from_memory_during_an_outage_for_its_lifetime(redis_server: RedisServer) -> None:
    clock = ManualClock(START)
    first, second = sites(redis_server.url, SERVE, BYPASS, clock=clock)
    await all_work(first, second)
    for number, site in enumerate((first, second), 1):
        await site.cache.set("value", f"value {number}".encode(), ttl=60)
    await stored(first, "/")
    await second.hit("/")
    await in_thread(redis_server.kill)
    await none_work(first, second)
    clock.advance(59)
    assert (await first.hit("/")).body == b"run 1"
    # The other forwards everything, and keeps nothing.
    for run in (2, 3):
        response = await second.get("/")
        assert (response.body, response.hit) == (f"run {run}".encode(), False)
    assert await second.cache.get("value") is None
    clock.advance(2)
    assert (await first.get("/")).body == b"run 4"
    assert (await first.hit("/")).body == b"run 4"
    assert await first.cache.get("value") is None
    await in_thread(redis_server.start)
    await all_work(first, second)
    await stored(first, "/again")
    await second.hit("/again")
    assert (await second.hit("/again")).body == (await first.hit("/again")).body


async def test_processes_come_back_at_different_times(redis_server: RedisServer) -> None:
    # Drawn at random: what they would do to a server that has just come back if they did it all at once.
    many = sites(redis_server.url, *[SERVE] * 6)
    await all_work(*many)
    await in_thread(redis_server.kill)
    await none_work(*many)
    await in_thread(redis_server.start)
    back: dict[int, float] = {}

    def seen() -> bool:
        for number, site in enumerate(many):
            if number not in back and shared(site).up:
                back[number] = time.monotonic()
        return len(back) == len(many)

    await eventually(seen, "all are back", RECOVERY)
    assert max(back.values()) - min(back.values()) > 0.002


async def test_the_log_says_once_that_a_server_is_down_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RedisServer(password="very-secret") as server, caplog.at_level(logging.INFO, "hotplate"):
        async with Load(server.url, [SERVE], tasks=2) as load:
            await load.works()
            caplog.clear()
            await in_thread(server.kill)
            await eventually(lambda: not load["serve"].works, "it knows")
            await load.more(200)
            down = [record.getMessage() for record in caplog.records]
            await in_thread(server.start)
            await load.works()
            said = [record.getMessage() for record in caplog.records]
        assert len(down) == 1, down
        assert str(server.port) in down[0]
        assert len(said) == 2, said
        assert "very-secret" not in caplog.text
