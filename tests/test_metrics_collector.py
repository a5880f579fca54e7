"""The collector for ``prometheus_client``: names and values of the text; whose numbers; where it may be asked."""

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hotplate import Cache, ConfigError, Rule
from hotplate.metrics import Processes, scrape, selected, text
from hotplate.metrics.prometheus import HotplateCollector
from hotplate.watching import Report
from tests.driver import Reply, Site, call
from tests.loading import Gate, asking
from tests.redis_servers import RedisServer
from tests.reports import report
from tests.samples import Samples
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


def collected(collector: HotplateCollector) -> Samples:
    registry = CollectorRegistry()
    registry.register(collector)
    return Samples.read(generate_latest(registry).decode())


@pytest.fixture
def members(redis: RedisServer) -> list[Cache]:
    """Three members of one cache on Redis, each of which is a process as others see it."""
    prefix = f"collected:{uuid4()}"  # those of the test before may still tell their numbers
    return [Cache(redis.url, prefix=prefix) for _ in range(3)]


async def worked(site: Site) -> None:
    for target in ("/", "/", "/a", "/b?x=1"):
        await site.get(target)
    await site.post("/a")
    await site.cache.invalidate(tags=["a"])


async def test_names_and_values_are_those_of_the_text(site: Site) -> None:
    await worked(site)
    found = collected(HotplateCollector(site.cache))
    assert found == Samples.read(text([site.cache.watch.report()]))
    assert found.sum("hotplate_requests_total", outcome="hit") == 1


async def test_the_shared_tier_is_in_both_too(redis: RedisServer) -> None:
    cache = Cache(redis.url, prefix="both")
    await cache.set("key", "value", ttl=60)
    await eventually(lambda: cache.watch.report()["shared"]["stored"], "the value is stored")  # type: ignore[index]
    found = collected(HotplateCollector(cache))
    assert found.values.keys() == Samples.read(text([cache.watch.report()])).values.keys()
    assert found.sum("hotplate_shared_up") == 1
    assert found.sum("hotplate_breaker_open") == 0


async def test_a_scrape_reads_what_is_counted_by_then(site: Site) -> None:
    collector = HotplateCollector(site.cache)
    assert collected(collector).sum("hotplate_misses_total") == 0
    await site.get("/")
    assert collected(collector).sum("hotplate_misses_total") == 1


async def test_two_caches_stand_beside_each_other() -> None:
    first, second = Site(), Site()
    await first.get("/")
    found = collected(HotplateCollector(first.cache, second.cache))
    assert len(found.labels("hotplate_misses_total", "process")) == 2
    assert found.sum("hotplate_misses_total") == 1


async def test_to_register_the_same_names_twice_is_refused(cache: Cache) -> None:
    registry = CollectorRegistry()
    registry.register(HotplateCollector(cache))
    with pytest.raises(ValueError, match="hotplate_requests"):
        registry.register(HotplateCollector(cache))


async def test_nothing_is_read_when_it_is_registered(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Report:
        raise AssertionError("asked")

    monkeypatch.setattr(cache.watch, "report", refuse)
    CollectorRegistry().register(HotplateCollector(cache))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: HotplateCollector(), "write HotplateCollector"),
        (lambda: HotplateCollector(cast("Any", "redis://localhost")), "write HotplateCollector"),
        (lambda: HotplateCollector(Cache(), processes=cast("Any", "every")), "processes='every' cannot be used"),
    ],
)
async def test_what_cannot_be_meant_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


# Whose numbers.


async def told_by(members: list[Cache], processes: Processes) -> set[str]:
    return {one["process"] for one in await selected(members[0], processes)}


async def everybody_tells(members: list[Cache]) -> None:
    for member in members:
        await member.set("key", "value", ttl=60)
    await eventually(lambda: _all_tell(members), "all tell their numbers")


async def _all_tell(members: list[Cache]) -> bool:
    return len(await members[0].watch.reports()) == len(members)


async def test_own_is_this_process_alone(members: list[Cache]) -> None:
    await everybody_tells(members)
    assert await told_by(members, "own") == {members[0].watch.report()["process"]}


@pytest.mark.parametrize("processes", ["host", "all"])
async def test_all_are_all_that_share_the_cache(members: list[Cache], processes: Processes) -> None:
    await everybody_tells(members)
    assert await told_by(members, processes) == {member.watch.report()["process"] for member in members}


async def test_those_of_another_host_are_told_by_all_only(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    own = cache.watch.report()

    async def reports(*, top: bool) -> list[Report]:
        assert not top, "what is used most is in no metric"
        return [own, report("elsewhere:1:0"), report("neighbour:1:0", host=own["host"])]

    monkeypatch.setattr(cache.watch, "reports", reports)
    told: dict[Processes, set[str]] = {
        processes: {one["process"] for one in await selected(cache, processes)} for processes in ("host", "all")
    }
    assert told["host"] == {own["process"], "neighbour:1:0"}
    assert told["all"] == told["host"] | {"elsewhere:1:0"}


async def test_a_scrape_has_all_unless_told(members: list[Cache]) -> None:
    await everybody_tells(members)
    found = Samples.read(await scrape(members[0]))
    assert found.sum("hotplate_processes") == 3
    assert Samples.read(await scrape(members[0], processes="own")).sum("hotplate_processes") == 1


async def test_a_scrape_of_what_is_not_meant_is_refused(cache: Cache) -> None:
    with pytest.raises(ConfigError, match="processes='each'"):
        await scrape(cache, processes="each")  # type: ignore[arg-type]


async def test_the_collector_asks_for_all_from_a_thread(members: list[Cache]) -> None:
    await everybody_tells(members)
    for processes, number in (("all", 3), ("host", 3), ("own", 1)):
        collector = HotplateCollector(members[0], processes=processes)  # type: ignore[arg-type]
        found = await asyncio.to_thread(collected, collector)
        assert found.sum("hotplate_processes") == number


@pytest.mark.parametrize("processes", ["host", "all"])
async def test_on_an_event_loop_it_refuses_to_wait(cache: Cache, processes: Processes) -> None:
    collector = HotplateCollector(cache, processes=processes)
    with pytest.raises(RuntimeError, match=r"await hotplate\.metrics\.scrape"):
        collected(collector)


async def test_while_redis_is_down_a_process_tells_its_own(redis_server: RedisServer) -> None:
    cache = Cache(redis_server.url, prefix="down")
    await cache.set("key", "value", ttl=60)
    redis_server.kill()
    await eventually(lambda: cache.watch.report()["shared"]["up"] is False, "it is known")  # type: ignore[index]
    found = Samples.read(await scrape(cache))
    assert found.sum("hotplate_processes") == 1
    assert found.sum("hotplate_shared_up") == 0
    assert found.sum("hotplate_breaker_open") == 1


# Counters: one that falls is taken for one that began at zero again, and `rate` jumps by all it ever counted.


@pytest.mark.parametrize("end", [Reply(b"", 304, [("etag", '"v1"')]), Reply(status=503)])
async def test_no_counter_ever_falls(end: Reply) -> None:
    site = Site(Reply(headers=[("etag", '"v1"')]), rules=[Rule("*", stale_if_error=300)])
    await site.get("/")
    site.clock.advance(61)
    gate = Gate(end)
    site.origin.answer = gate
    asked = asking(site, call("GET", "/"))
    await gate.entered()
    before = Samples.read(await scrape(site.cache))
    gate.opened.set()
    await asked
    after = Samples.read(await scrape(site.cache))
    falling = [
        (name, dict(labels))
        for (name, labels), number in before.values.items()
        if name.endswith(("_total", "_bucket", "_count")) and after.values[name, labels] < number
    ]
    assert falling == []
