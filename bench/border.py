"""One Redis GET of 1,024 bytes from asyncio, relative to the same in Rust: `make bench-border`.

What crossing the border between the runtime's thread and the event loop costs. Contenders, each a process of its own on
core 0, take turns in short rounds on one server on core 1, with 1, 64 and 512 calls in flight; then once more with
nothing pinned. Every figure is a ratio to another contender's of the same turn. Each call's answer is checked.
`make bench-border BENCH='--rounds 9 --seconds 2'` takes longer and is steadier.
"""

import argparse
import asyncio
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version

import uvloop

from bench.machine import cores, pin
from hotplate import Cache
from tests.redis_servers import RedisServer

VALUE = bytes(range(256)) * 4
KEY = "value"
PLAIN = "plain"
"""What the server has the same bytes under, without an envelope."""
PREFIX = "border"
IN_FLIGHT = (1, 64, 512)
CONTENDERS = {
    "redis-py": "redis-py, hiredis: GET",
    "hotplate": "hotplate: get, local=False",
    "tier": "Rust: RedisTier::fetch",
    "redis-rs": "Rust: redis, GET",
}
RATIOS = (("hotplate", "redis-py"), ("hotplate", "tier"), ("hotplate", "redis-rs"), ("redis-py", "redis-rs"))

Call = Callable[[], Awaitable[object]]


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


# --- A contender's process -------------------------------------------------------------------------------------------


async def calls_of(call: Call, deadline: float) -> int:
    """How often one task gets its answer until then."""
    calls = 0
    while time.perf_counter() < deadline:
        if await call() != VALUE:
            raise ValueError("a GET did not give the value")
        calls += 1
    return calls


async def contend(call: Call) -> None:
    """One round for each line `IN_FLIGHT SECONDS` of standard input: `CALLS SECONDS CPU_SECONDS`."""
    for line in sys.stdin:  # nothing else is to run between rounds
        in_flight, seconds = line.split()
        begin, cpu = time.perf_counter(), time.process_time()
        tasks = [calls_of(call, begin + float(seconds)) for _ in range(int(in_flight))]
        calls = sum(await asyncio.gather(*tasks))
        print(calls, time.perf_counter() - begin, time.process_time() - cpu, flush=True)


async def redis_py(url: str) -> None:
    """As an application asks: one client, whose pool has a connection for each task."""
    redis = importlib.import_module("redis.asyncio")  # is in .venv-bench only, where no types are checked
    client = redis.Redis.from_pool(redis.ConnectionPool.from_url(url, max_connections=max(IN_FLIGHT)))
    await contend(lambda: client.get(PLAIN))
    await client.aclose()


async def hotplate(url: str) -> None:
    """The bridge: it also reads where the log stands, and checks the envelope."""
    cache = await connected(url)
    await contend(lambda: cache.get(KEY))


async def connected(url: str) -> Cache:
    """A cache that has reached its server and stored the value."""
    cache = Cache(url, prefix=PREFIX, local=False, command_timeout="5s")
    deadline = time.monotonic() + 10
    while not await cache.set(KEY, VALUE, ttl="1h") or await cache.get(KEY) != VALUE:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no value can be stored: {cache.shared_stats()}")
        await asyncio.sleep(0.005)
    return cache


# --- The bench -------------------------------------------------------------------------------------------------------


class Contender:
    """The process of a contender, driven by lines."""

    def __init__(self, name: str, url: str, rust: str) -> None:
        own = [sys.executable, "-m", "bench.border", "--contender", name, url]
        command = own if name in OWN else [rust, name, url, PREFIX, KEY]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self, in_flight: int, seconds: float) -> Round:
        """One round."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{in_flight} {seconds}\n")
        process.stdin.flush()
        calls, took, cpu = process.stdout.readline().split()
        return Round(int(calls), float(took), float(cpu))

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


def measure(pinned: bool, rust: str, rounds: int, seconds: float) -> dict[int, dict[str, list[Round]]]:
    """All rounds of all contenders, in turns: calls in flight → contender → one for each round."""
    everywhere = os.sched_getaffinity(0)
    client_core, server_core = cores() if pinned else (None, None)
    found: dict[int, dict[str, list[Round]]] = {count: {name: [] for name in CONTENDERS} for count in IN_FLIGHT}
    with ExitStack() as started:
        # What is started inherits where this process may run.
        pin(0, server_core)
        server = started.enter_context(RedisServer())
        server.command("SET", PLAIN, VALUE)
        started.callback(os.sched_setaffinity, 0, everywhere)
        pin(0, client_core)
        asyncio.run(connected(server.url))
        contenders = {name: started.enter_context(Contender(name, server.url, rust)) for name in CONTENDERS}
        for in_flight, of_count in found.items():
            for contender in contenders.values():
                contender.round(in_flight, min(seconds, 0.3))  # warm: code paths and connections
            for _ in range(rounds):
                for name, contender in contenders.items():
                    of_count[name].append(contender.round(in_flight, seconds))
    return found


def report(found: dict[int, dict[str, list[Round]]]) -> None:
    """Print the tables: medians, and ratios with their lowest and highest."""
    for in_flight, contenders in found.items():
        print(f"\n{in_flight} in flight {'calls/s':>34} {'CPU a call':>11}")
        for name, rounds in contenders.items():
            rate = statistics.median(one.rate for one in rounds)
            cpu = statistics.median(one.cpu_microseconds for one in rounds)
            print(f"  {CONTENDERS[name]:<36} {rate:>9,.0f} {cpu:>8.1f} µs")
        for name, reference in RATIOS:
            pairs = zip(contenders[name], contenders[reference], strict=True)
            ratios = sorted(one.rate / other.rate for one, other in pairs)
            spread = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
            print(f"  {f'{name} / {reference}':<36} {spread}")


def main() -> None:
    """Measure and print; in a contender's process, be it."""
    arguments = argparse.ArgumentParser(prog="make bench-border", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each contender (default 5)")
    arguments.add_argument("--seconds", type=float, default=1.0, help="length of one round (default 1)")
    arguments.add_argument("--rust", help="the program of crates/hotplate/benches/border.rs")
    arguments.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.contender:
        name, url = chosen.contender
        uvloop.run(OWN[name](url))
        return
    libraries = ", ".join(f"{name} {version(name)}" for name in ("uvloop", "redis", "hiredis"))
    print(f"{platform.platform()}, {os.cpu_count()} cores; Python {platform.python_version()}, {libraries}")
    print(f"{chosen.rounds} rounds of {chosen.seconds} s")
    for pinned in (True, False):
        print("\n" + ("Pinned: clients on one core, the server on the other" if pinned else "Not pinned"), end="; ")
        print(f"load average before: {os.getloadavg()[0]:.2f}")
        report(measure(pinned, chosen.rust, chosen.rounds, chosen.seconds))


OWN: dict[str, Callable[[str], Coroutine[None, None, None]]] = {"redis-py": redis_py, "hotplate": hotplate}

if __name__ == "__main__":
    main()
