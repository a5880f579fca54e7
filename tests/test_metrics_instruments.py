"""Instruments of OpenTelemetry: the numbers of the text under names of their own, read when the SDK collects."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hotplate import Cache, ConfigError, Rule
from hotplate.metrics.catalogue import METRICS, Metric, Timing
from hotplate.metrics.exposition import cumulative
from hotplate.watching import Report
from tests.driver import Reply, Site
from tests.redis_servers import RedisServer
from tests.servers import ROOT
from tests.telemetry import Point, Telemetry
from tests.waiting import eventually, turns

pytestmark = pytest.mark.asyncio


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def expected(report: Report, name: str = "default") -> dict[Point, float]:
    """What the catalogue says of a report, as points."""

    def point(instrument: str, attributes: dict[str, Any]) -> Point:
        return instrument, frozenset({"hotplate.cache.name": name, **attributes}.items())

    def points() -> Iterator[tuple[Point, float]]:
        for metric in METRICS:
            if isinstance(metric, Metric) and metric.instrument:
                names = [f"hotplate.cache.{label}" for label in metric.labels]
                for values, number in metric.read(report):
                    yield point(metric.instrument, dict(zip(names, values, strict=True))), number
            elif isinstance(metric, Timing) and (histogram := metric.read(report)) is not None:
                of = {"hotplate.cache.duration.of": metric.what}
                yield point("hotplate.cache.duration.sum", of), histogram["sum"]
                yield point("hotplate.cache.duration.count", of), histogram["count"]
                for bound, number in cumulative(histogram):
                    yield point("hotplate.cache.duration.bucket", of | {"le": bound}), number

    return dict(points())


def total(points: dict[Point, float], metric: str, **attributes: str) -> float:
    wanted = {(f"hotplate.cache.{key}", value) for key, value in attributes.items()}
    return sum(number for (instrument, has), number in points.items() if instrument == metric and wanted <= has)


async def test_every_number_of_a_report_is_told(telemetry: Telemetry) -> None:
    site = Site(rules=[Rule("/slow/*", ttl=5)], exclude=["/admin"])
    telemetry.instrument(site.cache)
    for target in ("/", "/", "/slow/1", "/admin"):
        await site.get(target)
    site.origin.answer = Reply(headers=[("cache-control", "no-store")])
    await site.get("/private")
    points = telemetry.points()
    assert points == expected(site.cache.watch.report())
    assert total(points, "hotplate.cache.requests", outcome="hit", rule="default") == 1
    assert total(points, "hotplate.cache.bypasses", reason="excluded") == 1
    assert total(points, "hotplate.cache.not_stored", reason="no-store") == 1


async def test_the_shared_tier_is_told_too(telemetry: Telemetry, redis: RedisServer) -> None:
    cache = Cache(redis.url, prefix="instruments")
    telemetry.instrument(cache)
    await cache.set("key", "value", ttl=60)
    await eventually(lambda: cache.watch.report()["shared"]["stored"], "the value is stored")  # type: ignore[index]
    points = telemetry.points()
    assert points.keys() == expected(cache.watch.report()).keys()
    assert total(points, "hotplate.cache.shared.up") == 1
    assert total(points, "hotplate.cache.shared.stored") == 1


async def test_each_collection_has_the_numbers_of_its_moment(telemetry: Telemetry, site: Site) -> None:
    telemetry.instrument(site.cache)
    for hits in range(5):
        assert total(telemetry.points(), "hotplate.cache.hits") == max(0, hits - 1)
        await site.get("/")


async def test_a_collection_makes_one_report(
    telemetry: Telemetry, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = 0
    report = cache.watch.report

    def counted(*, top: bool) -> Report:
        nonlocal made
        made += 1
        return report(top=top)

    monkeypatch.setattr(cache.watch, "report", counted)
    telemetry.instrument(cache)
    for number in range(1, 4):
        telemetry.points()
        assert made == number


async def test_two_caches_are_told_apart_by_their_names(telemetry: Telemetry) -> None:
    first, second = Site(), Site()
    telemetry.instrument(first.cache, name="pages")
    telemetry.instrument(second.cache, name="sessions")
    await first.get("/")
    points = telemetry.points()
    assert total(points, "hotplate.cache.misses", name="pages") == 1
    assert total(points, "hotplate.cache.misses", name="sessions") == 0
    assert len(points) == len(expected(first.cache.watch.report())) + len(expected(second.cache.watch.report()))


async def test_a_name_is_one_caches(telemetry: Telemetry) -> None:
    first, second = Cache(), Cache()
    telemetry.instrument(first)
    with pytest.raises(ConfigError, match="name='default' is another cache's"):
        telemetry.instrument(second)
    assert second.observing.observer is None


async def test_what_is_removed_has_no_numbers(telemetry: Telemetry, cache: Cache) -> None:
    instrumentation = telemetry.instrument(cache)
    assert telemetry.points()
    instrumentation.remove()
    assert telemetry.points() == {}
    telemetry.instrument(cache)
    assert telemetry.points()


async def test_a_cache_that_is_gone_has_no_numbers_and_leaves_its_name(telemetry: Telemetry) -> None:
    telemetry.instrument(Cache())
    gc.collect()
    assert telemetry.points() == {}
    kept = Cache()
    telemetry.instrument(kept)
    assert telemetry.points()


async def test_counters_are_monotonic_sums_and_sizes_are_not(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)
    kinds = telemetry.kinds()
    for metric in METRICS:
        if isinstance(metric, Metric) and metric.instrument in kinds:
            assert kinds[metric.instrument] == {"counter": "sum", "level": "level", "gauge": "gauge"}[metric.kind]
    assert kinds["hotplate.cache.memory.usage"] == "level"
    assert kinds["hotplate.cache.duration.bucket"] == "sum"


async def test_collecting_in_a_thread_while_requests_are_served(telemetry: Telemetry, site: Site) -> None:
    telemetry.instrument(site.cache)
    loop = asyncio.get_running_loop()
    collecting = loop.run_in_executor(None, lambda: [telemetry.points() for _ in range(20)])
    served = 0
    while not collecting.done():
        await site.get("/")
        served += 1
        await turns(1)
    hits = [total(points, "hotplate.cache.hits") for points in await collecting]
    assert hits == sorted(hits)
    assert total(telemetry.points(), "hotplate.cache.hits") == served - 1


GLOBALLY = """
from hotplate import Cache
from hotplate.metrics.opentelemetry import instrument
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from tests.telemetry import Telemetry

before, after, telemetry = Cache(), Cache(), Telemetry()
instrument(before, name="before")
metrics.set_meter_provider(telemetry.meters)
trace.set_tracer_provider(telemetry.tracers)
instrument(after, name="after")
for cache in (before, after):
    cache.sync.invalidate(tags=["a"])
names = {dict(attributes)["hotplate.cache.name"] for _, attributes in telemetry.points()}
print(sorted(names), len(telemetry.spans("hotplate invalidate")))
"""


async def test_the_global_providers_may_be_set_before_or_after() -> None:
    program = [sys.executable, "-W", "error", "-c", GLOBALLY]
    ended = await asyncio.to_thread(subprocess.run, program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("['after', 'before'] 2\n", "")
