"""What OpenTelemetry adds to a hit, in process: `python -m bench.metrics`.

A request for a stored response goes through the middleware, without a server and with a client that keeps nothing. The
first row is a cache that nobody observes; "removed" was instrumented once and is not any more. The others are
instrumented: where no span is current, under one that is not recorded (as a sampler leaves most), and under one that
is, which is the only one that gets attributes. The span is made once for all requests of a round: what the server's
own costs is not in the figures. Beside them, what a scrape and a collection take: in between they cost nothing.

What the engine's counting costs is in every row alike, because it cannot be turned off.

Contenders take turns in short rounds, as in `bench/objects.py`; each ratio is to the first row of the same turn.
`--rounds 101` takes longer and is steadier.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from prometheus_client import CollectorRegistry, generate_latest

from bench.objects import LOOP, Round, measure, report
from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Message, Receive, Scope, Send
from hotplate.metrics import text
from hotplate.metrics.opentelemetry import instrument
from hotplate.metrics.prometheus import HotplateCollector

HITS = 5_000
STORED = 1_000


def scope_of(path: str) -> Scope:
    """A request as uvicorn tells it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What is stored."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 1000})


async def receive() -> Message:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """A client that keeps nothing."""


def stored(instrumented: Callable[[Cache], None]) -> CacheMiddleware:
    """A cache with something in it."""
    cache = Cache()
    instrumented(cache)
    middleware = CacheMiddleware(app, cache=cache, ttl=3_600)

    async def fill() -> None:
        for number in range(STORED):
            await middleware(scope_of(f"/{number}"), receive, send)

    LOOP.run_until_complete(fill())
    return middleware


def hits(middleware: CacheMiddleware, sampler: Sampler | None = None) -> Round:
    """Hits, under a span of a sampler's choice."""
    scope = scope_of(f"/{STORED // 2}")
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
            return LOOP.run_until_complete(ask(number))
        with tracer.start_as_current_span("GET"):
            return LOOP.run_until_complete(ask(number))

    return calls


def put_on(cache: Cache) -> Any:
    """A tracer and a meter of its own for a cache."""
    meters = MeterProvider([InMemoryMetricReader()])
    return instrument(cache, tracer_provider=TracerProvider(), meter_provider=meters)


def contenders() -> dict[str, Round]:
    """A hit, in these circumstances."""
    return {
        "not instrumented": hits(stored(lambda cache: None)),
        "not instrumented, under a recorded span": hits(stored(lambda cache: None), ALWAYS_ON),
        "removed": hits(stored(lambda cache: put_on(cache).remove())),
        "instrumented, no span": hits(stored(put_on)),
        "instrumented, a span that is not recorded": hits(stored(put_on), ALWAYS_OFF),
        "instrumented, a recorded span": hits(stored(put_on), ALWAYS_ON),
    }


def readings(entries: int) -> dict[str, Round]:
    """What it takes to read the numbers of a cache with so many entries."""
    cache = Cache(max_bytes="2GiB")
    for number in range(entries):
        cache.sync.set(f"key:{number}", b"x" * 100, ttl=3_600, tags=[f"tag:{number % 100}"])
    registry = CollectorRegistry()
    registry.register(HotplateCollector(cache))
    reader = InMemoryMetricReader()
    instrument(cache, meter_provider=MeterProvider([reader]))

    def repeated(read: Callable[[], object]) -> Round:
        def calls(number: int) -> float:
            begin = time.perf_counter()
            for _ in range(number):
                read()
            return time.perf_counter() - begin

        return calls

    return {
        "a report": repeated(cache.watch.report),
        "a report as text": repeated(lambda: text([cache.watch.report()])),
        "a scrape of a registry": repeated(lambda: generate_latest(registry)),
        "a collection of the SDK": repeated(reader.get_metrics_data),
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(prog="python -m bench.metrics", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=31, help="turns of each contender (default 31)")
    chosen = arguments.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores; Python {platform.python_version()}")
    packages = ("opentelemetry-sdk", "prometheus-client")
    print(", ".join(f"{name} {version(name)}" for name in packages), end="; ")
    print(f"{chosen.rounds} rounds; load average before: {os.getloadavg()[0]:.2f}")
    report("a hit", measure(contenders(), chosen.rounds, HITS))
    for entries in (1_000, 100_000):
        report(f"reading the numbers, {entries:,} entries", measure(readings(entries), 11, 5))


if __name__ == "__main__":
    main()
