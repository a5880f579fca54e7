"""What comes of 500 requests at once for something that takes 200 ms and that nobody has asked for before."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from bench.burst import Burst, burst
from bench.environments import environment
from bench.figures import Effort, Section, Spread, Table, in_turns, rows
from bench.machine import cores
from bench.serving import ROOT, on_core, serving
from tests.redis_servers import RedisServer

HOW = """
500 connections are opened, and each has had an answer. Then each asks for one URL that was never asked for before, all
at once; its handler waits for 200 ms. The figure is the time until all have their answers. The reference is a single
request to the same handler without a cache: nobody can be faster.

Handler runs are counted in a file to which each run appends one byte, whatever process it is in. An answer is right if
it has status 200 and the content of its URL; all others are `failed requests`, which are given up after 60 s.

One worker, with everything in memory (hishel: SQLite); and two processes on one Redis, with half of the connections
each. All server processes share one core; the load and Redis have the other. What a library offers against stampedes is
switched on: where it is an option, the library is there without it too.
"""
CONNECTIONS = 500
ROUNDS = {Effort.QUICK: 3, Effort.FULL: 12}
NUMBERS = itertools.count(10**6)
"""No number is given out twice, to whomever."""


@dataclass(frozen=True)
class Contender:
    """What is served."""

    name: str
    """For people."""
    app: str
    packages: str = "fastapi"
    """Its environment: `requirements/bench/NAME.txt`."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""


LOCKED = {"BENCH_STAMPEDE": "1"}
"""Has a peer use what it offers against stampedes."""
CONTENDERS = {
    "limit": Contender("one request, no cache", "bench.apps.endpoint:asynchronous"),
    "hotplate": Contender("hotplate", "bench.apps.hotplate:app"),
    "tutorial": Contender("tutorial middleware", "bench.apps.tutorial:app"),
    "fastapi-cache2": Contender("fastapi-cache2", "bench.peers.fastapi_cache2:app", "fastapi-cache2"),
    "fastapi-cachex": Contender(
        "fastapi-cachex, coalescing", "bench.peers.fastapi_cachex:app", "fastapi-cachex", LOCKED
    ),
    "cashews": Contender("cashews", "bench.peers.cashews:app", "cashews"),
    "cashews-lock": Contender("cashews, lock", "bench.peers.cashews:app", "cashews", LOCKED),
    "aiocache": Contender("aiocache", "bench.peers.aiocache:app", "aiocache"),
    "aiocache-stampede": Contender("aiocache, stampede decorator", "bench.peers.aiocache:app", "aiocache", LOCKED),
    "starlette-caches": Contender("starlette-caches", "bench.peers.starlette_caches:app", "starlette-caches"),
    "hishel": Contender("hishel", "bench.peers.hishel:app", "hishel"),
}
SHOWN = frozenset({"limit", "hotplate", "tutorial", "fastapi-cache2", "fastapi-cachex", "cashews", "cashews-lock"})
"""Those for whom a quick run has the time: not the ones that need seconds for each stampede."""


class Stampeded:
    """The servers of a contender, and what came of their rounds."""

    def __init__(self, ports: Sequence[int], counted: Path, connections: int) -> None:
        self._ports = ports
        self._counted = counted
        self._connections = connections
        self.runs: list[float] = []
        self.failed: list[float] = []
        self.failures: Counter[str] = Counter()

    def warm(self) -> None:
        """One request to each server: code paths, and connections to Redis."""
        if self._burst(len(self._ports)).failed:
            raise ValueError(f"{self._counted.name}: not even one request is answered")

    def _burst(self, connections: int) -> Burst:
        number = next(NUMBERS)
        return uvloop.run(burst(self._ports, f"/slow/{number}", connections, f'"number":{number}'.encode()))

    def round(self) -> float:
        """The seconds of one stampede."""
        before = self._counted.stat().st_size
        came = self._burst(self._connections)
        self.runs.append(self._counted.stat().st_size - before)
        self.failed.append(came.failed)
        self.failures += came.failures
        return came.seconds

    def beside(self) -> dict[str, Spread | float | str]:
        """What the handler and the clients saw."""
        columns: dict[str, Spread | float | str] = {
            "handler runs": Spread.of(self.runs),
            "failed requests": Spread.of(self.failed),
        }
        if self.failures:
            columns["most of them"] = self.failures.most_common(1)[0][0]
        return columns


@dataclass(frozen=True)
class Setting:
    """How all contenders of a table are served."""

    id: str
    title: str
    processes: int
    redis: RedisServer | None
    contenders: Mapping[str, Contender]
    counted: Path
    """A directory for the files that count runs."""


def stampedes(setting: Setting, rounds: int, server_core: int | None) -> Table:
    """All contenders, in turns."""
    made: dict[str, Stampeded] = {}
    with ExitStack() as started:
        for number, (name, contender) in enumerate(setting.contenders.items()):
            counted = setting.counted / f"{setting.id}-{name}"
            counted.touch()
            settings = {"PYTHONPATH": str(ROOT / "python"), "BENCH_RUNS": str(counted), **contender.settings}
            if setting.redis is not None:
                settings["BENCH_REDIS_URL"] = f"{setting.redis.url.rpartition('/')[0]}/{number}"
            python = environment(contender.packages)
            servers = [
                started.enter_context(
                    serving(
                        contender.app, core=server_core, python=python, lifespan=True, quiet=True, environment=settings
                    )
                )
                for _ in range(1 if name == "limit" else setting.processes)
            ]
            made[name] = Stampeded([one.port for one in servers], counted, 1 if name == "limit" else CONNECTIONS)
            made[name].warm()
        found = in_turns({name: one.round for name, one in made.items()}, rounds)
    if made["limit"].runs != [1] * rounds:
        raise ValueError(f"one request without a cache ran the handler {made['limit'].runs} times")
    names = {name: contender.name for name, contender in CONTENDERS.items()}
    complete = [replace(row, beside=made[row.id].beside()) for row in rows(found, names)]
    return Table(setting.id, setting.title, "s", False, complete, "The time until all have their answers.")


def measure(effort: Effort) -> list[Table]:
    """Both tables."""
    shown = {name: one for name, one in CONTENDERS.items() if effort is Effort.FULL or name in SHOWN}
    for contender in shown.values():
        environment(contender.packages)
    server_core, load_core = cores()
    with ExitStack() as started:
        started.enter_context(on_core(load_core))
        redis = started.enter_context(RedisServer())
        counted = Path(started.enter_context(tempfile.TemporaryDirectory()))
        settings = (
            Setting("one-worker", "One worker, in memory", 1, None, shown, counted),
            Setting("two-workers", "Two workers on one Redis", 2, redis, shown, counted),
        )
        return [stampedes(setting, ROUNDS[effort], server_core) for setting in settings]


SECTION = Section("stampede", "A stampede: 500 requests at once for what nobody has", HOW, measure)
