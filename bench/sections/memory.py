"""What an entry with a body of 1,024 bytes takes of a process's memory."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench.environments import environment
from bench.figures import Effort, Section, Spread, Table, rows
from bench.serving import ROOT
from bench.stores import BODY_BYTES, TABLES

COUNTS = {Effort.QUICK: (20_000, 60_000), Effort.FULL: (50_000, 150_000)}
ROUNDS = {Effort.QUICK: 2, Effort.FULL: 5}
AT_ONCE = 2
"""Processes: what one takes does not depend on what others do."""
TITLES = {
    "objects": f"Caches of objects: an entry with a body of {BODY_BYTES:,} bytes",
    "http": f"Stored responses: a body of {BODY_BYTES:,} bytes, six header fields, a tag",
}
ENVIRONMENTS = ("fastapi-cachex", "starlette-caches")
"""Contenders that have an environment of their own, of the same name."""
NAMES = {
    "objects": {"dict": "a dict", "hotplate": "hotplate.LocalCache, ttl"},
    "http": {
        "dict": "a dict: the body and a list of header pairs",
        "hotplate": "hotplate: CacheMiddleware, Vary, a tag of its own",
        "hotplate-no-vary": "hotplate: the same without Vary",
        "hotplate-value": "hotplate: @cache.cached, a tag of its own, no header",
        "tutorial": "the tutorial's dict, of Starlette's responses",
        "redis-server": "redis-server: the body alone, as a string",
    },
}
HOW = """
Each contender is a process of its own that stores so many entries, each with a key and a body of 1,024 bytes of its
own, and reads its resident memory when garbage is collected; of redis-server it is what the server says of itself. Two
sizes, 50,000 and 150,000 entries (20,000 and 60,000 in a quick run), so that what starting takes cancels: the figure is
the difference of both, for each entry between them. fastapi-cachex and starlette-caches, which take long to store, have
a tenth of that. The allocator is what a user gets. Bounds leave room for a quarter more than is stored, as some stores
are kept in parts that do not fill evenly.

Responses of hotplate go through its middleware, with `Vary` and twenty rules; those of caches for FastAPI through the
decorator or middleware that they are. The reference of that table is what the application sent, kept in a dict as it
is: names of header fields and most values are there once for all.

Verified: what was stored is asked for again and compared, all of it (of slow stores and redis-server 250 entries,
evenly spread); a request that runs the handler then fails the run.
"""
NOTES = {
    "objects": "",
    "http": "A response with `Vary` says which request fields select it, and their values.",
}


def grown(table: str, name: str, count: int) -> int:
    """By how many resident bytes a contender's process grew."""
    python = environment(name) if name in ENVIRONMENTS else sys.executable
    command = [python, "-m", "bench.stores", table, name, str(count)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if ran.returncode != 0:
        raise RuntimeError(f"{name} with {count:,} entries failed:\n{ran.stderr}")
    before, after = map(int, ran.stdout.split())
    return after - before


def counts(name: str, effort: Effort) -> tuple[int, int]:
    """How many entries a contender stores, in each of its two processes."""
    fewer, more = COUNTS[effort]
    return (fewer // 10, more // 10) if name in ENVIRONMENTS else (fewer, more)


def measured(table: str, effort: Effort) -> Table:
    """All contenders of a table."""
    for name in ENVIRONMENTS:
        environment(name)  # before two processes want it at once
    found: dict[str, list[float]] = {name: [] for name in TABLES[table]}
    whole: dict[str, list[float]] = {name: [] for name in TABLES[table]}
    with ThreadPoolExecutor(AT_ONCE) as processes:
        for _ in range(ROUNDS[effort]):
            grew = {
                name: [processes.submit(grown, table, name, count) for count in counts(name, effort)] for name in found
            }
            for name, (small, large) in grew.items():
                fewer, more = counts(name, effort)
                found[name].append((large.result() - small.result()) / (more - fewer))
                whole[name].append(large.result() / more)
    shown = [
        replace(row, beside={"with what does not grow, bytes": Spread.of(whole[row.id])})
        for row in rows(found, NAMES[table])
    ]
    return Table(table, TITLES[table], "bytes", False, shown, NOTES[table])


def measure(effort: Effort) -> Sequence[Table]:
    """Objects, then responses."""
    return [measured(table, effort) for table in TABLES]


SECTION = Section("memory", "Memory an entry takes", HOW, measure)
