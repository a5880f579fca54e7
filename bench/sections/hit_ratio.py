"""How often what is asked for is still there, at equal room: against the best there can be, LRU, LFU and peers."""

import importlib
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench import traces
from bench.figures import Effort, Row, Section, Spread, Table, ratios
from bench.programs import ENGINE, built
from bench.traces import Trace
from hotplate import LocalCache

CAPACITIES = (1_000, 10_000)
RUNS = {Effort.QUICK: 2, Effort.FULL: 5}
"""Of what seeds its tables anew each time; all else gives one figure."""

NAMES = {
    "lru": "least recently used",
    "belady": "optimal (Belady)",
    "lfu": "least frequently used, remembers all",
    "hotplate-local": "local tier, bodies of 1 KiB",
    "hotplate-local-small": "local tier, bodies of 190 bytes",
    "hotplate-local-large": "local tier, bodies of 16 KiB",
    "hotplate-objects": "LocalCache, bounded by number (engine)",
    "hotplate-objects-bytes": "LocalCache, bounded by bytes (engine)",
    "hotplate-objects-both": "LocalCache, both bounds, the number binds (engine)",
    "hotplate-objects-python": "LocalCache, bounded by number (from Python)",
    "cachetools-lru": "cachetools LRUCache",
    "cachetools-lfu": "cachetools LFUCache",
    "cachebox-lfu": "cachebox LFUCache",
    "moka-py": "moka-py (TinyLFU)",
    "theine": "theine (adaptive W-TinyLFU)",
}

HOW = f"""A figure is the share of all requests that hit; what is not there is stored at once. The first request for a
key counts, although nothing can answer it. Requests of scans do not count. It is not about time: the machine's load
does not matter.

* `zipf`: one million requests; the n-th of 100,000 keys is asked for in proportion to n^-0.9.
* `scans`: the same requests, and after every so many of them as twice the capacity, as many keys as the capacity that
  are asked for once and never again, one after the other, as a crawler does it.
* `trace-twitter`: a million requests to cluster 52 of Twitter's caches, of March 2020, for 143,542 keys, made
  anonymous and published by Twitter under CC BY 4.0 (github.com/twitter/cache-trace), which names this cluster for work
  on evictions. It is taken from the sample data of `{traces.PACKAGE}` on PyPI, checked by its hash. Sizes and
  times in it are left out. Others were looked for by name and summary among all packages of PyPI and npm and in Debian
  (crates.io cannot be searched from here): the trace of a disk in the same package comes without a licence of its own,
  and no access log of a web server that is long enough was found.

All contenders are played the same numbers, those in Python with the keys `product:N`. What is bounded in bytes has room
for as many entries as the capacity says, by its own weights: a body of 16 KiB gets sixteen times the bytes. `both
bounds` has room in bytes for four times the number. Belady looks into the future; `least frequently used` counts also
what is not stored. The engine seeds its tables anew in each run and plays a trace several times; lowest and highest
are shown. Verified: the LRU of cachetools, played in Python, has the ratio that LRU has in the Rust program, to the
sixth digit; and no cache that can be asked has more entries than its room."""


def played(program: str, trace: Trace, capacity: int, runs: int) -> dict[str, list[float]]:
    """Hit ratios of what the program `hit_ratio` knows, each run's."""
    command = [program, "play", str(capacity), str(runs)]
    ran = subprocess.run(command, check=True, input=trace.written, capture_output=True)
    lines = [line.split("\t") for line in ran.stdout.decode().splitlines()]
    return {name: [float(figure) for figure in figures] for name, *figures in lines}


# --- Caches for Python -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """A cache as it is played to."""

    has: Callable[[str], object]
    """True for what is there."""
    store: Callable[[str, bool], object]
    size: Callable[[], int]


def peers(capacity: int) -> dict[str, Peer]:
    """Empty caches by the ids of their rows."""
    package: Callable[[str], Any] = importlib.import_module
    ours: LocalCache[str, bool] = LocalCache(capacity)
    found = {"hotplate-objects-python": Peer(ours.get, ours.set, lambda: ours.info().size)}
    for name, cache in {
        "cachetools-lru": package("cachetools").LRUCache(capacity),
        "cachetools-lfu": package("cachetools").LFUCache(capacity),
        "cachebox-lfu": package("cachebox").LFUCache(capacity),
    }.items():
        found[name] = Peer(cache.get, cache.__setitem__, cache.__len__)
    moka = package("moka_py").Moka(capacity)
    found["moka-py"] = Peer(moka.get, moka.set, moka.count)
    theine = package("theine").Cache(capacity)
    found["theine"] = Peer(lambda key: theine.get(key)[1], theine.set, theine.__len__)
    return found


def ratio(peer: Peer, keys: Sequence[str], counts: Sequence[bool]) -> float:
    """The share of the requests that count that hit."""
    has, store = peer.has, peer.store
    hits = 0
    for key, counted in zip(keys, counts, strict=True):
        if has(key):
            hits += counted
        else:
            store(key, True)
    return hits / sum(counts)


def asked(trace: Trace, capacity: int) -> dict[str, list[float]]:
    """Hit ratios of caches for Python."""
    numbers, counts = trace.requests()
    names = {number: f"product:{number}" for number in set(numbers)}
    keys = [names[number] for number in numbers]
    found = {}
    for name, peer in peers(capacity).items():
        found[name] = [ratio(peer, keys, counts)]
        # moka and theine evict a little later than they store.
        if peer.size() > capacity * (1.1 if name in ("moka-py", "theine") else 1):
            raise SystemExit(f"{name} has room for {capacity} entries and has {peer.size()}")
    return found


# --- The tables ------------------------------------------------------------------------------------------------------


def rows(found: Mapping[str, Sequence[float]]) -> list[Row]:
    """One for each contender; the least recently used first, as the reference."""
    (reference,) = found["lru"]
    (other,) = found["cachetools-lru"]
    if abs(reference - other) > 1e-6:
        raise SystemExit(f"not the same trace: LRU hits {reference:.6f} in Rust and {other:.6f} in Python")
    return [
        Row(
            id=name,
            name=NAMES[name],
            figure=Spread.of(found[name]),
            ratio=None if name == "lru" else ratios(found[name], [reference] * len(found[name])),
        )
        for name in NAMES
    ]


def measure(effort: Effort) -> list[Table]:
    """Two tables for each of the three kinds of requests."""
    program = built(*ENGINE, "hit_ratio")
    zipf, twitter = traces.zipf(), traces.twitter()
    wanted = []
    for capacity in CAPACITIES:
        room = f"room for {capacity:,}"
        wanted += [
            (f"zipf-{capacity}", f"Zipf, {room} of 100,000 keys", zipf, capacity),
            (f"scans-{capacity}", f"Zipf with scans, {room} of 100,000 keys", traces.zipf(capacity), capacity),
            (f"trace-twitter-{capacity}", f"A cache of Twitter, {room} of 143,542 keys", twitter, capacity),
        ]
    # On all cores at once: no time is measured.
    spawn = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as processes:
        in_rust = [threads.submit(played, program, trace, room, RUNS[effort]) for _, _, trace, room in wanted]
        in_python = [processes.submit(asked, trace, room) for _, _, trace, room in wanted]
        return [
            Table(name, title, "share of requests that hit", True, rows({**one.result(), **other.result()}))
            for (name, title, _, _), one, other in zip(wanted, in_rust, in_python, strict=True)
        ]


SECTION = Section(id="hit_ratio", title="Hit ratio at equal capacity", how=HOW, measure=measure)
