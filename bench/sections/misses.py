"""What a request costs that the cache cannot answer: misses, bypasses, and the first byte of a stream."""

import asyncio
import ctypes
import http.client
import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import uvloop

from bench import load
from bench.environments import environment
from bench.figures import Effort, Row, Section, Spread, Table, in_turns, rows
from bench.first_byte import EXCLUDED, Streams
from bench.machine import cores
from bench.serving import ROOT, Server, on_core, serving
from tests.redis_servers import RedisServer

HOW = """
A trivial handler under uvicorn (uvloop, httptools; one worker on one core) is asked over 64 keep-alive connections
from the other core: as it is, behind a middleware that does nothing, and behind `CacheMiddleware` with 20 rules of
which the last one matches, tags, a `Vary` field and the numbers that are always counted. The cache has 8 MiB and is
full before the first round, so that what is stored evicts something else. On Redis, whose server shares the load's
core, it has its local tier beside.

* **A miss**: no URL is asked for twice. Every round must show as many runs of the handler as requests; behind the
  cache also as many misses and as many stored responses. Samples must say so in their `Cache-Status`, and be hits when
  they are asked for again.
* **A bypass**: `GET` of an excluded path; `POST` with a small body to paths that a rule covers. Every round must show
  as many runs and bypasses as requests. A `POST` that succeeds also invalidates what is stored for its URL, as RFC 9111
  §4.4 demands: that is part of its figure, and on Redis it is a write that every process learns of.
* **First byte**: one connection; the handler sends 1 kB at once, and the rest only when the client, which has that,
  tells it to on another connection. A cache that held the first part back would hold it for ever. Each stream must have
  both parts, and be a miss that is stored.

Contenders take turns in short rounds; each ratio is to the endpoint without middleware in the same turn. One table has
a raw ASGI application as its handler, and what a request costs the server's process in CPU time (all its threads),
which does not depend on how fast the load is.
"""
CONNECTIONS = 64
NAMES = {
    "endpoint": "FastAPI endpoint, no middleware",
    "pass-through": "behind a middleware that does nothing",
    "hotplate": "hotplate, memory",
    "hotplate-redis": "hotplate, Redis",
    "raw": "raw ASGI application, no middleware",
}
FIELDS = "Host: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nUser-Agent: bench\r\n"
UPDATE = json.dumps({"name": "Cast-iron pan", "price_cents": 5400})
SETTLED_SECONDS = 10.0
NUMBERS = itertools.count(10**9)
"""No number is given out twice, to whomever; all have as many digits."""


@dataclass(frozen=True)
class Pace:
    """How long it is measured."""

    rounds: int
    seconds: float
    streams: int


PACES = {Effort.QUICK: Pace(5, 0.25, 100), Effort.FULL: Pace(21, 0.6, 1000)}


# --- A server and what it does ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What the requests of a table are, and what every one of them must be counted as behind a cache."""

    requests: Callable[[], Iterator[bytes]]
    sample: tuple[str, str]
    """Method and target of a request like them."""
    cache_status: str
    """A part of what `Cache-Status` says of the sample."""
    counted: Mapping[str, int]
    """How much each request adds to a number of the cache; a stream is told to go on by a request that is a bypass."""


def distinct(path: str) -> Iterator[bytes]:
    """Requests for URLs that nobody has asked for before."""
    return (f"GET {path}/{number} HTTP/1.1\r\n{FIELDS}\r\n".encode() for number in NUMBERS)


def repeated(path: str) -> Iterator[bytes]:
    """Requests for 200 URLs, again and again."""
    return itertools.cycle([f"GET {path}/{number} HTTP/1.1\r\n{FIELDS}\r\n".encode() for number in range(200)])


def updates(path: str) -> Iterator[bytes]:
    """Requests that send a small body to 200 URLs, again and again."""
    fields = f"{FIELDS}Content-Type: application/json\r\nContent-Length: {len(UPDATE)}\r\n"
    lines = (f"POST {path}/{number} HTTP/1.1\r\n{fields}\r\n{UPDATE}" for number in range(200))
    return itertools.cycle([line.encode() for line in lines])


NOT_CACHED = EXCLUDED + "/products"
MISS = Kind(lambda: distinct("/products"), ("GET", "/products/1"), "fwd=uri-miss", {"misses": 1, "stored": 1})
BYPASS_EXCLUDED = Kind(lambda: repeated(NOT_CACHED), ("GET", NOT_CACHED + "/1"), "detail=excluded", {"bypass": 1})
BYPASS_POST = Kind(lambda: updates("/products"), ("POST", "/products/1"), "fwd=method", {"bypass": 1})
STREAMS = Kind(lambda: distinct("/streams"), ("GET", ""), "", {"misses": 1, "stored": 1, "bypass": 1})


class Contender:
    """A server, and what it was seen to do in the rounds of one table."""

    def __init__(self, name: str, server: Server, kind: Kind) -> None:
        self.id = name
        self.server = server
        self.kind = kind
        self.cached = name.startswith("hotplate")
        self.requests = 0
        self.counted: Counter[str] = Counter()
        self.cpu_microseconds: list[float] = []
        """A request's share of the process's, one figure a round."""
        self.rates: list[float] = []
        """Requests a second, one figure a round."""
        self._told()
        self._evicted_before = self._evicted

    def verify(self) -> None:
        """Raises unless `Cache-Status` says of a sample what it should; of a miss, that it was stored and is hit."""
        method, target = self.kind.sample
        if not self.cached or not target:
            return
        if self.kind is MISS:
            target = f"/products/{next(NUMBERS)}"
        expected = [self.kind.cache_status, "; hit;"] if self.kind is MISS else [self.kind.cache_status]
        for part in expected:
            said = asked(self.server.port, target, method, UPDATE if method == "POST" else None)[0]
            if part not in said or (part == "fwd=uri-miss" and "; stored" not in said):
                raise ValueError(f"{self.id}: {method} {target} is not {part}: {said!r}")

    def load(self, seconds: float) -> None:
        """One round with 64 connections."""
        self.watch(lambda: uvloop.run(loaded(self.server.port, self.kind.requests(), seconds)))

    def watch(self, ask: Callable[[], tuple[int, float]]) -> None:
        """Has something ask, which gives its number of requests and their seconds; raises when one was not right."""
        before, cpu = self._told(), cpu_seconds(self.server.pid)
        requests, seconds = ask()
        spent = cpu_seconds(self.server.pid) - cpu
        expected = Counter({name: number * requests for name, number in self.kind.counted.items()})
        expected = Counter({"runs": requests}) + (expected if self.cached else Counter())
        deadline = time.monotonic() + SETTLED_SECONDS  # what ends after its response may be counted after it
        while (counted := self._told() - before) != expected:
            if time.monotonic() > deadline:
                raise ValueError(f"{self.id}: {requests} requests were counted as {counted}, not as {expected}")
        self.requests += requests
        self.counted += counted
        self.cpu_microseconds.append(spent / requests * 1e6)
        self.rates.append(requests / seconds)

    def _told(self) -> Counter[str]:
        told = json.loads(asked(self.server.port, EXCLUDED + "/counted")[1])
        bypasses = sum(told["bypass"].values()) - told["looks"] if self.cached else 0
        self._evicted = told["evictions"]
        return Counter(runs=told["runs"], misses=told["misses"], stored=told["stored"], bypass=bypasses)

    def beside(self) -> dict[str, Spread | float | str]:
        """What was verified, and CPU."""
        columns: dict[str, Spread | float | str] = {
            "CPU a request, µs": Spread.of(self.cpu_microseconds),
            "requests": self.requests,
            "handler runs": self.counted["runs"],
        }
        if self.cached:
            columns |= {"misses": self.counted["misses"], "stored": self.counted["stored"]}
            columns |= {"bypasses": self.counted["bypass"], "evictions": self._evicted - self._evicted_before}
        return columns


async def loaded(port: int, requests: Iterator[bytes], seconds: float) -> tuple[int, float]:
    """Loads a server for a time; gives how many requests it answered, each with 200, and the seconds that took."""
    latencies: list[float] = []
    began = time.perf_counter()
    deadline = began + seconds
    connections = [load.Connection(requests, deadline, latencies) for _ in range(CONNECTIONS)]
    for connection in connections:
        await asyncio.get_running_loop().create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.wait_for(asyncio.gather(*(one.done for one in connections)), seconds + load.GRACE_SECONDS)
    return len(latencies), time.perf_counter() - began


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have used of the processor since it began."""
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise ProcessLookupError(pid)
    return time.clock_gettime(clock.value)


def asked(port: int, target: str, method: str = "GET", body: str | None = None) -> tuple[str, bytes]:
    """The `Cache-Status` and the content of the answer to one request, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body, {"Content-Type": "application/json", "Accept-Encoding": "gzip"})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise ValueError(f"{method} {target} gave {response.status}: {content!r}")
        return response.getheader("Cache-Status", ""), content
    finally:
        connection.close()


# --- Tables ----------------------------------------------------------------------------------------------------------

Servers = Mapping[str, Server]


def contenders(servers: Servers, kind: Kind) -> dict[str, Contender]:
    """Each server, its sample verified."""
    made = {name: Contender(name, server, kind) for name, server in servers.items()}
    for contender in made.values():
        contender.verify()
    return made


def loads(
    servers: Servers, kind: Kind, pace: Pace, figure: Callable[[Contender], float]
) -> tuple[list[Row], Sequence[Contender]]:
    """Rows with a figure of each round under load, and whose they are."""
    for contender in contenders(servers, kind).values():
        contender.load(pace.seconds)  # warm: code paths
    made = contenders(servers, kind)

    def round_of(contender: Contender) -> float:
        contender.load(pace.seconds)
        return figure(contender)

    found = in_turns({name: partial(round_of, contender) for name, contender in made.items()}, pace.rounds)
    return rows(found, NAMES), list(made.values())


def throughput(name: str, title: str, servers: Servers, kind: Kind, pace: Pace) -> Table:
    """Requests a second."""
    found, made = loads(servers, kind, pace, lambda contender: contender.rates[-1])
    complete = [replace(row, beside=one.beside()) for row, one in zip(found, made, strict=True)]
    return Table(name, title, "requests/s", True, complete)


def cost(servers: Servers, pace: Pace) -> Table:
    """CPU time of a miss whose handler costs next to nothing."""
    found, made = loads(servers, MISS, pace, lambda contender: contender.cpu_microseconds[-1])
    complete = []
    for row, one in zip(found, made, strict=True):
        more = [mine - least for mine, least in zip(one.cpu_microseconds, made[0].cpu_microseconds, strict=True)]
        beside = one.beside() | {"requests/s": Spread.of(one.rates)}
        del beside["CPU a request, µs"]
        if one is not made[0]:
            beside = {"more than without, µs": Spread.of(more)} | beside
        complete.append(replace(row, beside=beside))
    note = "CPU time of the server's process. The load may be what bounds the raw application's requests/s."
    return Table("miss-raw", "A miss of a raw ASGI application: its cost", "µs", False, complete, note)


def first_bytes(servers: Servers, pace: Pace) -> Table:
    """Time to the first byte of a streamed miss."""
    made = contenders(servers, STREAMS)
    with ExitStack() as opened:
        streams = {name: Streams(one.server.port, NUMBERS) for name, one in made.items()}
        for one in streams.values():
            opened.callback(one.close)
            for _ in range(pace.streams):
                one.ask()  # warm

        def round_of(name: str) -> float:
            seconds: list[float] = []

            def ask() -> tuple[int, float]:
                seconds.extend(streams[name].ask() for _ in range(pace.streams))
                return len(seconds), sum(seconds)

            made[name].watch(ask)
            return statistics.median(seconds) * 1e6

        found = in_turns({name: partial(round_of, name) for name in made}, pace.rounds)
    complete = [replace(row, beside=made[row.id].beside()) for row in rows(found, NAMES)]
    note = "The median of a round. CPU is that of the whole stream, its going on included."
    return Table("first-byte", "Time to the first byte of a streamed miss", "µs", False, complete, note)


APPLICATIONS = {
    "endpoint": "endpoint",
    "pass-through": "pass_through",
    "hotplate": "hotplate",
    "hotplate-redis": "hotplate_redis",
}


def measure(effort: Effort) -> list[Table]:
    """All tables."""
    pace = PACES[effort]
    server_core, load_core = cores()
    with ExitStack() as started:
        started.enter_context(on_core(load_core))
        redis = started.enter_context(RedisServer("--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"))

        python = environment("fastapi")
        settings = {"PYTHONPATH": str(ROOT / "python"), "BENCH_REDIS_URL": redis.url}

        def served(function: str) -> Server:
            app = f"bench.miss_apps:{function}"
            server = started.enter_context(
                serving(app, core=server_core, python=python, factory=True, environment=settings)
            )
            asked(server.port, EXCLUDED + "/fill")
            return server

        servers = {name: served(function) for name, function in APPLICATIONS.items()}
        raw = {name.replace("endpoint", "raw"): served(f"{function}_raw") for name, function in APPLICATIONS.items()}
        return [
            throughput("miss", "A miss that is stored", servers, MISS, pace),
            cost(raw, pace),
            throughput("bypass-excluded", "A bypass: GET of an excluded path", servers, BYPASS_EXCLUDED, pace),
            throughput("bypass-post", "A bypass: POST", servers, BYPASS_POST, pace),
            first_bytes(servers, pace),
        ]


SECTION = Section("misses", "Misses and bypasses: what the cache costs when it cannot answer", HOW, measure)
