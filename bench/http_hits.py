"""Requests/s of a stored response, relative to an application that returns constant bytes: `make bench`.

Each contender is an application of `bench.apps` under uvicorn (uvloop, httptools), one worker on core 0; the load comes
from core 1. Contenders take turns in short rounds, and every figure is a ratio to the reference of the same turn: the
machine's mood then cancels out. `make bench BENCH='--rounds 9 --seconds 4'` takes longer and is steadier.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import uvloop

from bench import load

REFERENCE = "constant"
CONTENDERS = {
    REFERENCE: "raw ASGI, constant bytes",
    "cached": "hotplate, memory, 20 rules, tags, Vary",
    "endpoint": "no cache: a trivial FastAPI endpoint",
}
RESULTS = Path(__file__).parent / "results"
START_DEADLINE_SECONDS = 20.0


@dataclass(frozen=True)
class Shape:
    """A way to load a server."""

    targets: tuple[str, ...]
    connections: int


SHAPES = {
    "keys": Shape(tuple(f"/products/{number}" for number in range(200)), connections=64),
    "large": Shape(("/large/0",), connections=64),
    "single": Shape(("/products/17",), connections=1),
}


@contextmanager
def serving(name: str, core: int | None) -> Iterator[int]:
    """One contender under uvicorn, pinned to a core; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    options = [
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "error",
    ]
    server = subprocess.Popen([sys.executable, "-m", "uvicorn", f"bench.apps:{name}", "--lifespan", "off", *options])
    try:
        pin(server.pid, core)
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)


def pin(pid: int, core: int | None) -> None:
    """Keep a process on one core, where the system can."""
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(pid, {core})


def cores() -> tuple[int | None, int | None]:
    """A core for the server and one for the load, or none where they cannot be told apart."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return None, None
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


def round_of(port: int, shape: Shape, seconds: float) -> load.Load:
    """One round of load on one contender."""
    return uvloop.run(load.run(port, shape.targets, shape.connections, seconds))


def measure(rounds: int, seconds: float) -> dict[str, dict[str, list[load.Load]]]:
    """All rounds of all contenders, in turns: shape → contender → one load a round."""
    server_core, load_core = cores()
    pin(0, load_core)
    found: dict[str, dict[str, list[load.Load]]] = {shape: {name: [] for name in CONTENDERS} for shape in SHAPES}
    with ExitStack() as servers:
        ports = {name: servers.enter_context(serving(name, server_core)) for name in CONTENDERS}
        for shape_name, shape in SHAPES.items():
            for port in ports.values():
                round_of(port, shape, min(seconds, 0.5))  # warm: code paths, and every response stored
            for _ in range(rounds):
                for name, port in ports.items():
                    found[shape_name][name].append(round_of(port, shape, seconds))
    return found


def report(found: dict[str, dict[str, list[load.Load]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Print the table; gives its figures: shape → contender → figure."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for shape, contenders in found.items():
        print(f"\n{shape}: {SHAPES[shape].connections} connection(s), {len(SHAPES[shape].targets)} URL(s)")
        print(f"  {'contender':<42} {'requests/s':>10} {'p50':>9}   {'of the reference (lowest to highest)':<38}")
        figures[shape] = {}
        for name, loads in contenders.items():
            pairs = zip(loads, contenders[REFERENCE], strict=True)
            ratios = sorted(one.requests_per_second / reference.requests_per_second for one, reference in pairs)
            row = {
                "requests_per_second": statistics.median(one.requests_per_second for one in loads),
                "p50_microseconds": statistics.median(one.p50_microseconds for one in loads),
                "ratio": statistics.median(ratios),
                "ratio_lowest": ratios[0],
                "ratio_highest": ratios[-1],
            }
            figures[shape][name] = row
            spread = f"{row['ratio']:.3f} ({row['ratio_lowest']:.3f} to {row['ratio_highest']:.3f})"
            rate, p50 = f"{row['requests_per_second']:,.0f}", f"{row['p50_microseconds']:,.0f} µs"
            print(f"  {CONTENDERS[name]:<42} {rate:>10} {p50:>9}   {spread}")
    return figures


def main() -> None:
    """Measure, print, and keep the result as a dated file."""
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each contender (default 5)")
    arguments.add_argument("--seconds", type=float, default=2.0, help="length of one round (default 2)")
    chosen = arguments.parse_args()
    figures = report(measure(chosen.rounds, chosen.seconds))
    now = datetime.now(timezone.utc)
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    result = {"benchmark": "http_hits", "measured": now.isoformat(timespec="seconds"), "machine": machine}
    result |= {"rounds": chosen.rounds, "seconds_a_round": chosen.seconds, "figures": figures}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d}-http_hits.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nKept in {path.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
