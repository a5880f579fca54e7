"""How the sections `http` and `http_redis` measure: contenders that serve the same, loaded in turns.

Nothing of a contender is taken on trust. Before it is measured every body it serves is compared; around its rounds its
handlers are asked how often they ran; and hotplate's own metrics must have counted the requests that it was sent.
"""

import http.client
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import uvloop

from bench import load
from bench.apps.answers import BODY, LARGE
from bench.environments import environment, pinned
from bench.figures import Spread, Table, ratios, rows
from bench.machine import cores
from bench.serving import ROOT, Server, on_core, serving

STORED_DEADLINE_SECONDS = 20.0
WARM_SECONDS = 0.3
STARTED_AT_ONCE = 4


class Handler(Enum):
    """What a contender has behind it."""

    NONE = "none"
    """No handler: it sends constants."""
    CACHED = "cached"
    """A handler that must not run once its answer is stored."""
    ALWAYS = "always"
    """A handler that every request runs."""


@dataclass(frozen=True)
class Contender:
    """An application that is measured."""

    id: str
    name: str
    app: str
    """As uvicorn takes it, below `bench`: `peers.cashews:app`."""
    packages: str = "fastapi"
    """Its environment: `requirements/bench/NAME.txt`."""
    handler: Handler = Handler.CACHED
    lifespan: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    """Whether it is hotplate: a handler that runs is an error then, and `GET /metrics` must tell every hit."""
    latency_of: str | None = None
    """Another contender, to whose latency its own is compared beside the reference's."""


def library(name: str, form: str, *, lifespan: bool = False) -> Contender:
    """A peer: its application is in `bench/peers`, its packages and its version in `requirements/bench`."""
    module = name.replace("-", "_")
    return Contender(name, f"{name} {pinned(name)[name]}, {form}", f"peers.{module}:app", name, lifespan=lifespan)


@dataclass(frozen=True)
class Shape:
    """A way to load a server."""

    id: str
    title: str
    targets: tuple[str, ...]
    connections: int
    body: bytes

    @property
    def latency(self) -> bool:
        """Whether the time of one request is the figure, and not how many there are in a second."""
        return self.connections == 1


SHAPES = (
    Shape("keys", "200 URLs, 190 bytes of JSON, 64 connections", tuple(f"/products/{n}" for n in range(200)), 64, BODY),
    Shape("large", "One URL, 49 kB of JSON, 64 connections", ("/large/0",), 64, LARGE),
    Shape("single", "190 bytes of JSON, one connection: p50 of a request", ("/products/17",), 1, BODY),
)


@dataclass(frozen=True)
class Plan:
    """How long it is measured."""

    rounds: int
    seconds: float
    shown: frozenset[str] | None = None
    """The contenders of `large` and `single`, where time does not suffice for all."""


def measured(contenders: Sequence[Contender], plan: Plan) -> list[Table]:
    """A table for each shape; the first contender is the reference.

    All servers run at once and idle but for the one whose turn it is. Raises `RuntimeError`, with the contender's
    name, for one that cannot be measured.
    """
    server_core, load_core = cores()
    pythons = {contender.packages: environment(contender.packages) for contender in contenders}
    with ExitStack() as stack:
        stack.enter_context(on_core(load_core))

        def start(contender: Contender) -> Server:
            try:
                return stack.enter_context(
                    serving(
                        f"bench.{contender.app}",
                        core=server_core,
                        python=pythons[contender.packages],
                        lifespan=contender.lifespan,
                        environment={"PYTHONPATH": str(ROOT / "python"), **contender.environment},
                    )
                )
            except (OSError, RuntimeError) as error:
                raise RuntimeError(f"{contender.id} does not start") from error

        # The pool ends first, so that what has started is ended even if another one did not start.
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            started = list(pool.map(start, contenders))
        measures = [Measured(one, server) for one, server in zip(contenders, started, strict=True)]
        for one in measures:
            one.verify()
        return [table(shape, measures, plan) for shape in SHAPES]


class Measured:
    """A contender and the server that runs it."""

    def __init__(self, contender: Contender, server: Server) -> None:
        self.contender = contender
        self._server = server

    def verify(self) -> None:
        """Asks for every URL until all are stored; each body must be right, byte by byte."""
        deadline = time.monotonic() + STORED_DEADLINE_SECONDS
        while True:
            before = self.runs()
            for shape in SHAPES:
                for target, body in zip(shape.targets, self._bodies("GET", shape.targets), strict=True):
                    if body != shape.body:
                        raise RuntimeError(f"{self.contender.id} answers {target} with {body[:200]!r}")
            if self.contender.handler is not Handler.CACHED or self.runs() == before:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.contender.id} does not store what it is asked for")

    def round(self, shape: Shape, seconds: float) -> load.Load:
        """One round of load."""
        try:
            loading = load.run(self._server.port, shape.targets, shape.connections, seconds, length=len(shape.body))
            return uvloop.run(loading)
        except (ValueError, OSError, TimeoutError) as error:
            raise RuntimeError(f"{self.contender.id} fails under load ({shape.id})") from error

    def runs(self) -> int:
        """How often its handlers have run; 0 if there are none."""
        if self.contender.handler is Handler.NONE:
            return 0
        told = next(self._bodies("POST", ["/runs"]))
        if not told.isdigit():
            raise RuntimeError(f"{self.contender.id} does not tell its handler runs: {told[:200]!r}")
        return int(told)

    def hits(self) -> int:
        """How many hits hotplate's own metrics have counted; 0 for others."""
        if not self.contender.ours:
            return 0
        text = next(self._bodies("GET", ["/metrics"])).decode()
        return sum(int(float(count)) for count in re.findall(r"^hotplate_hits_total\S* (\S+)", text, re.MULTILINE))

    def cpu_seconds(self) -> float | None:
        """The processor time that the server's process has used, where the system tells."""
        try:
            stat = Path(f"/proc/{self._server.pid}/stat").read_text()
        except OSError:
            return None
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _bodies(self, method: str, targets: Sequence[str]) -> Iterator[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=STORED_DEADLINE_SECONDS)
        try:
            for target in targets:
                connection.request(method, target, headers=load.FIELDS)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    raise RuntimeError(
                        f"{self.contender.id} answers {method} {target} with {response.status}: {body!r}"
                    )
                yield body
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeError(f"{self.contender.id} does not answer {method} requests") from error
        finally:
            connection.close()


Columns = dict[str, Spread | float | str]


@dataclass(frozen=True)
class Counts:
    """What a server has counted until some moment."""

    runs: int
    hits: int
    cpu_seconds: float | None

    @classmethod
    def of(cls, one: Measured) -> "Counts":
        """Until this moment."""
        return cls(one.runs(), one.hits(), one.cpu_seconds())


def table(shape: Shape, measures: Sequence[Measured], plan: Plan) -> Table:
    """One shape, all contenders in turns."""
    if plan.shown is not None and shape.id != "keys":
        measures = [one for one in measures if one.contender.id in plan.shown]
    for one in measures:
        one.round(shape, WARM_SECONDS)
    before = [Counts.of(one) for one in measures]
    loads: dict[str, list[load.Load]] = {one.contender.id: [] for one in measures}
    for _ in range(plan.rounds):
        for one in measures:
            loads[one.contender.id].append(one.round(shape, plan.seconds))
    after = [Counts.of(one) for one in measures]
    figures = {
        contender: [one.p50_microseconds if shape.latency else one.requests_per_second for one in rounds]
        for contender, rounds in loads.items()
    }
    made = rows(figures, {one.contender.id: one.contender.name for one in measures})
    busiest = max(one.cpu_share for rounds in loads.values() for one in rounds)
    return Table(
        id=shape.id,
        title=shape.title,
        unit="µs" if shape.latency else "requests/s",
        more_is_better=not shape.latency,
        rows=[
            replace(row, beside=verified(one.contender, loads[row.id], earlier, later) | compared(shape, one, figures))
            for row, one, earlier, later in zip(made, measures, before, after, strict=True)
        ],
        note=f"{plan.rounds} rounds of {plan.seconds} s. The load generator used at most {busiest:.0%} of its core.",
    )


def verified(contender: Contender, rounds: Sequence[load.Load], before: Counts, after: Counts) -> Columns:
    """Handler runs, and CPU a request. Raises `RuntimeError` if hotplate did not answer all from what is stored."""
    requests = sum(one.requests for one in rounds)
    runs, hits = after.runs - before.runs, after.hits - before.hits
    if contender.ours and (runs > 0 or hits != requests):
        raise RuntimeError(f"{contender.id}: {requests} requests, {hits} hits, {runs} handler runs")
    found: Columns = {"handler runs": "none there" if contender.handler is Handler.NONE else float(runs)}
    if before.cpu_seconds is not None and after.cpu_seconds is not None:
        found["CPU a request, µs"] = round((after.cpu_seconds - before.cpu_seconds) / requests * 1e6, 1)
    return found


def compared(shape: Shape, one: Measured, figures: Mapping[str, Sequence[float]]) -> Columns:
    """The latency beside that of the contender it is to be compared with, if there is one in this table."""
    other = one.contender.latency_of
    if not shape.latency or other is None:
        return {}
    return {f"p50, of {other}": ratios(figures[one.contender.id], figures[other])}
