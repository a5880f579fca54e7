"""One Redis GET of 1,024 bytes from asyncio, beside the same in Rust and other clients."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

from bench.figures import Effort, Row, Section, Spread, Table, in_turns, ratios, rows
from bench.machine import cores, pin
from bench.programs import built
from bench.redis_clients import CLIENTS, KEY, MOST_IN_FLIGHT, PLAIN, PREFIX, VALUE, connected
from tests.redis_servers import RedisServer

IN_FLIGHT = (1, 64, MOST_IN_FLIGHT)
CONTENDERS = {
    "redis-rs": "Rust: the crate redis, GET",
    "tier": "Rust: hotplate's RedisTier::fetch",
    "hotplate": "hotplate: get, local=False",
    "redis-py": "redis-py with hiredis, a connection a task",
    "coredis": "coredis",
    "valkey-glide": "valkey-glide",
}
ROUNDS = {Effort.QUICK: (5, 0.2), Effort.FULL: (9, 0.7)}
"""Rounds, and the seconds of one."""
WARMING_SECONDS = 0.1
"""For code paths and connections."""
HOW = """
One key of 1,024 bytes is asked for, with 1, 64 and 512 calls in flight: each task asks again as soon as it has its
answer. Every contender is a process of its own, and all take turns in short rounds on one server; each ratio is to the
crate redis of the same round, in a program of Rust with one thread. Pinned, the clients share one core and the server
has the other; then once more where the system may run all of them anywhere. The event loop is uvloop.

hotplate's `get` and its tier in Rust do more than the plain `GET` of the others: they also read where the invalidation
log stands, and check the envelope that the value is in. The local tier is off: every call goes to the server.

Verified: each call's answer, by its bytes (in Rust, by its length). A contender that fails or gives another answer ends
the run.
"""


@dataclass(frozen=True)
class Round:
    """What one round of one contender measured."""

    calls: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """What a call costs the process, its threads together."""
        return self.cpu_seconds / self.calls * 1e6


class Contender:
    """The process of a contender, driven by lines."""

    def __init__(self, name: str, url: str, rust: str) -> None:
        own = [sys.executable, "-m", "bench.redis_clients", name, url]
        command = own if name in CLIENTS else [rust, name, url, PREFIX, KEY]
        self._name = name
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self, in_flight: int, seconds: float) -> Round:
        """One round."""
        try:
            self._tell(f"{in_flight} {seconds}\n")
            calls, took, cpu = self._output().readline().split()
        except (BrokenPipeError, ValueError) as error:
            raise RuntimeError(f"{self._name} failed with {in_flight} in flight: what it said is above") from error
        return Round(int(calls), float(took), float(cpu))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._process.communicate(timeout=10)
        finally:
            self._process.kill()


# --- Tables ----------------------------------------------------------------------------------------------------------


def table(name: str, title: str, contenders: Mapping[str, Contender], in_flight: int, effort: Effort) -> Table:
    """With so many calls in flight."""
    count, seconds = ROUNDS[effort]
    measured: dict[str, list[Round]] = {contender: [] for contender in contenders}

    def turn(contender: str) -> float:
        measured[contender].append(contenders[contender].round(in_flight, seconds))
        return measured[contender][-1].rate

    for contender in contenders.values():
        contender.round(in_flight, WARMING_SECONDS)
    found = in_turns({contender: partial(turn, contender) for contender in contenders}, count)

    def beside(row: Row) -> Row:
        columns = {"CPU a call, µs": Spread.of([one.cpu_microseconds for one in measured[row.id]])}
        if row.id == "hotplate":
            columns["of redis-py"] = ratios(found["hotplate"], found["redis-py"])
        return replace(row, beside=columns)

    return Table(name, title, "calls/s", True, [beside(row) for row in rows(found, CONTENDERS)])


def tables(pinned: bool, rust: str, effort: Effort) -> Sequence[Table]:
    """With each number of calls in flight, on one server."""
    everywhere = os.sched_getaffinity(0)
    client_core, server_core = cores() if pinned else (None, None)
    where, words = ("pinned", "clients on one core, the server on the other") if pinned else ("free", "nothing pinned")
    with ExitStack() as started:
        # What is started inherits where this process may run.
        started.callback(os.sched_setaffinity, 0, everywhere)
        pin(0, server_core)
        server = started.enter_context(RedisServer())
        server.command("SET", PLAIN, VALUE)
        os.sched_setaffinity(0, everywhere)
        pin(0, client_core)
        asyncio.run(connected(server.url))
        contenders = {name: started.enter_context(Contender(name, server.url, rust)) for name in CONTENDERS}
        return [
            table(f"{where}-{count}", f"{count} in flight, {words}", contenders, count, effort) for count in IN_FLIGHT
        ]


def measure(effort: Effort) -> Sequence[Table]:
    """Pinned, then not."""
    rust = built("--package", "hotplate", "--features", "redis", "--bench", "border")
    return [*tables(True, rust, effort), *tables(False, rust, effort)]


SECTION = Section("border", "The border: one Redis GET from asyncio", HOW, measure)
