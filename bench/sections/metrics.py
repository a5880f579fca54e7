"""What OpenTelemetry and watching cost a hit, in process, and what it takes to read the numbers."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from prometheus_client import CollectorRegistry, generate_latest

from bench.calls import Calls, loop, of_each, timed
from bench.figures import Effort, Section, Table, rows
from bench.in_process import receive, request, send
from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Receive, Scope, Send
from hotplate.metrics import text
from hotplate.metrics.opentelemetry import instrument
from hotplate.metrics.prometheus import HotplateCollector

STORED = 1_000
ENTRIES = {"reading-1k": 1_000, "reading-100k": 100_000}
HIT_ROUNDS = {Effort.QUICK: (75, 0.005), Effort.FULL: (301, 0.02)}
"""Rounds, and the seconds of one."""
READING_ROUNDS = {Effort.QUICK: (15, 0.01), Effort.FULL: (61, 0.1)}
NAMES = {
    "hotplate": "not instrumented",
    "hotplate-span": "not instrumented, under a recorded span",
    "hotplate-removed": "removed",
    "hotplate-instrumented": "instrumented, no span",
    "hotplate-unrecorded": "instrumented, a span that is not recorded",
    "hotplate-recorded": "instrumented, a recorded span",
    "hotplate-report": "a report, with the keys and tags used most",
    "hotplate-text": "the same as Prometheus text",
    "hotplate-scrape": "a scrape of a prometheus_client registry",
    "hotplate-collection": "a collection of the OpenTelemetry SDK",
}
HOW = """
A request for a stored response goes through the middleware, without a server and with a client that keeps nothing. The
reference is a cache that nobody observes; "removed" was instrumented once and is not any more. The others are
instrumented: where no span is current, under one that is not recorded (as a sampler leaves most), and under one that
is, which is the only one that gets attributes. The span is made once for all requests of a round: what the server's own
costs is not in the figures. Then, what a scrape and a collection take, of caches with 1,000 and with 100,000 values: in
between they cost nothing.

What the engine's own counting costs is in every row alike, because it cannot be turned off. Contenders take turns in
short rounds; each ratio is to the reference of the same round.

Verified: the cache counts as many hits as there were requests, or the run fails.
"""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What is stored."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 1000})


def stored(instrumented: Callable[[Cache], None]) -> CacheMiddleware:
    """A cache with something in it."""
    cache = Cache()
    instrumented(cache)
    middleware = CacheMiddleware(app, cache=cache, ttl=3_600)

    async def fill() -> None:
        for number in range(STORED):
            await middleware(request(f"/{number}"), receive, send)

    loop().run_until_complete(fill())
    return middleware


def asked(middleware: CacheMiddleware, sampler: Sampler | None = None) -> Calls:
    """Hits, under a span of a sampler's choice."""
    scope = request(f"/{STORED // 2}")
    tracer = TracerProvider(sampler=sampler or ALWAYS_OFF).get_tracer("server")

    async def ask(number: int) -> float:
        before = middleware.cache.stats().hits
        begin = time.perf_counter()
        for _ in range(number):
            await middleware(scope, receive, send)
        seconds = time.perf_counter() - begin
        if middleware.cache.stats().hits != before + number:
            raise ValueError("not every request was a hit")
        return seconds

    def calls(number: int) -> float:
        if sampler is None:
            return loop().run_until_complete(ask(number))
        with tracer.start_as_current_span("GET"):
            return loop().run_until_complete(ask(number))

    return calls


def put_on(cache: Cache) -> Any:
    """A tracer and a meter of its own for a cache."""
    meters = MeterProvider([InMemoryMetricReader()])
    return instrument(cache, tracer_provider=TracerProvider(), meter_provider=meters)


def hits() -> Mapping[str, Calls]:
    """A hit, in these circumstances."""
    return {
        "hotplate": asked(stored(lambda cache: None)),
        "hotplate-span": asked(stored(lambda cache: None), ALWAYS_ON),
        "hotplate-removed": asked(stored(lambda cache: put_on(cache).remove())),
        "hotplate-instrumented": asked(stored(put_on)),
        "hotplate-unrecorded": asked(stored(put_on), ALWAYS_OFF),
        "hotplate-recorded": asked(stored(put_on), ALWAYS_ON),
    }


def readings(entries: int) -> Mapping[str, Calls]:
    """What it takes to read the numbers of a cache with so many entries."""
    cache = Cache(max_bytes="2GiB")
    for number in range(entries):
        cache.sync.set(f"key:{number}", b"x" * 100, ttl=3_600, tags=[f"tag:{number % 100}"])
    assert cache.stats().entries == entries
    registry = CollectorRegistry()
    registry.register(HotplateCollector(cache))
    reader = InMemoryMetricReader()
    instrument(cache, meter_provider=MeterProvider([reader]))
    return {
        "hotplate-report": timed("read()", read=cache.watch.report),
        "hotplate-text": timed("read()", read=lambda: text([cache.watch.report()])),
        "hotplate-scrape": timed("read()", read=lambda: generate_latest(registry)),
        "hotplate-collection": timed("read()", read=reader.get_metrics_data),
    }


def measure(effort: Effort) -> Sequence[Table]:
    """A hit, then the numbers of a small and of a large cache."""
    found = [Table("hit", "A hit, in process", "ns", False, rows(of_each(hits(), *HIT_ROUNDS[effort]), NAMES))]
    for name, entries in ENTRIES.items():
        taken = of_each(readings(entries), *READING_ROUNDS[effort], step=1)
        microseconds = {reading: [one / 1_000 for one in figures] for reading, figures in taken.items()}
        title = f"Reading the numbers, {entries:,} entries"
        found.append(Table(name, title, "µs", False, rows(microseconds, NAMES)))
    return found


SECTION = Section("metrics", "What OpenTelemetry and watching cost", HOW, measure)
