"""How long an invalidation takes to reach other processes: `make bench-invalidation`.

Each process has a cache of its own on one Redis, and keeps what it reads in its local tier. In each round one process
stores a value and, when all others have it in memory, awaits `invalidate(tags=[...])`. The others ask for it again and
again and tell when they first did not get it: without pause, which keeps every core busy, or every millisecond, which
does not. All clocks are one: `time.monotonic_ns`. No value may come back once it was not served, nor one of an earlier
round appear. `make bench-invalidation BENCH='--rounds 200'` is shorter.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version

import uvloop

from hotplate import Cache
from tests.redis_servers import RedisServer

PROCESSES = (2, 4)
PREFIX = "invalidation"
TAG = "tag"
KEY = "value"
PAUSES_SECONDS = (0.0, 0.001)
PATIENCE_SECONDS = 20.0
MORE_CALLS = 20
"""How often an observer asks on once it has not got the value: it must not come back."""


# --- A process -------------------------------------------------------------------------------------------------------


async def until(condition: Callable[[], Awaitable[bool]], what: str, pause: float = 0.0) -> None:
    """Asks again and again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS} s: {what}")
        await asyncio.sleep(pause)


async def invalidator(cache: Cache, value: bytes, pause: float) -> str:
    """Stores the value; told to go on, invalidates it, and says when it called and when that returned."""
    await until(lambda: cache.set(KEY, value, ttl="1h", tags=[TAG]), "a value is stored", pause)
    print("ready", flush=True)
    sys.stdin.readline()
    called = time.monotonic_ns()
    position = await cache.invalidate(tags=[TAG])
    returned = time.monotonic_ns()
    if position == 0:
        raise ValueError("the shared tier was not told")
    return f"{called} {returned}"


async def observer(cache: Cache, value: bytes, pause: float) -> str:
    """Says when it first did not get what it has in memory."""

    async def is_there() -> bool:
        found = await cache.get(KEY)
        if found not in (None, value):
            raise ValueError(f"a value of an earlier round: {found!r}")
        return found is not None

    async def is_gone() -> bool:
        return not await is_there()

    await until(is_there, "the value is found", pause)
    asked = cache.shared_stats()
    if not await is_there() or asked != cache.shared_stats():
        raise ValueError("the value was not read from memory")
    print("ready", flush=True)
    await until(is_gone, "the value is not served any more", pause)
    seen = time.monotonic_ns()
    for _ in range(MORE_CALLS):
        if await is_there():
            raise ValueError("an invalidated value came back")
    return str(seen)


async def take_part(role: str, url: str) -> None:
    """One round for each line `VALUE PAUSE` of standard input."""
    cache = Cache(url, prefix=PREFIX, command_timeout="5s")
    act = {"invalidator": invalidator, "observer": observer}[role]
    for line in sys.stdin:  # nothing else is to run between rounds
        value, pause = line.split()
        print(await act(cache, value.encode(), float(pause)), flush=True)


# --- The bench -------------------------------------------------------------------------------------------------------


class Participant:
    """A process that takes part, driven by lines."""

    def __init__(self, role: str, url: str) -> None:
        command = [sys.executable, "-m", "bench.invalidation", "--role", role, url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: str) -> None:
        """Writes a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[str]:
        """The words of the line it writes next."""
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if not words:
            raise RuntimeError("a process ended; what it wrote is above")
        return words

    def __enter__(self) -> "Participant":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_SECONDS)


@dataclass
class Found:
    """What all rounds measured, in nanoseconds."""

    invalidate: list[int] = field(default_factory=list)
    since_call: list[int] = field(default_factory=list)
    since_return: list[int] = field(default_factory=list)


def measure(processes: int, pause: float, rounds: int) -> Found:
    """All rounds with so many processes."""
    found = Found()
    with RedisServer() as server, ExitStack() as started:
        first = started.enter_context(Participant("invalidator", server.url))
        others = [started.enter_context(Participant("observer", server.url)) for _ in range(processes - 1)]
        for number in range(rounds):
            for participant in (first, *others):
                participant.tell(f"round-{number} {pause}")
                participant.answer()
            first.tell("")
            called, returned = map(int, first.answer())
            found.invalidate.append(returned - called)
            for other in others:
                seen = int(other.answer()[0])
                found.since_call.append(seen - called)
                found.since_return.append(seen - returned)
    return found


def row(what: str, nanoseconds: Sequence[int]) -> str:
    """p50, p90, p99 and the longest, in milliseconds."""
    ordered = sorted(nanoseconds)
    quantiles = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.9, 0.99, 1.0)]
    return f"  {what:<34}" + "".join(f"{one / 1e6:>9.3f}" for one in quantiles)


def main() -> None:
    """Measure and print; in a participant's process, be it."""
    arguments = argparse.ArgumentParser(prog="make bench-invalidation", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=1000, help="invalidations (default 1000)")
    arguments.add_argument("--role", nargs=2, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.role:
        uvloop.run(take_part(*chosen.role))
        return
    print(
        f"{platform.platform()}, {os.cpu_count()} cores; Python {platform.python_version()}, uvloop {version('uvloop')}"
    )
    for processes in PROCESSES:
        for pause in PAUSES_SECONDS:
            load = os.getloadavg()[0]
            found = measure(processes, pause, chosen.rounds)
            asking = "every millisecond" if pause else "without pause"
            print(f"\n{processes} processes, {chosen.rounds} rounds, asking {asking}; load average before: {load:.2f}")
            print(f"  {'milliseconds':<34}" + "".join(f"{name:>9}" for name in ("p50", "p90", "p99", "max")))
            print(row("invalidate takes", found.invalidate))
            print(row("seen, since it was called", found.since_call))
            print(row("seen, since it returned", found.since_return), flush=True)


if __name__ == "__main__":
    main()
