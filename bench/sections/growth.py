"""What a hit costs in caches of different sizes, relative to the smallest: in time, and in instructions."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench.figures import Effort, Row, Section, Spread, Table, ratios
from bench.programs import ENGINE, built

TURNS = 20_000
"""Hits in a round, and hits that are counted: twenty of each popular response, so that what the engine does at some
hits only (a label for the numbers, at each power of two) is in it."""

ROUNDS = {Effort.QUICK: 11, Effort.FULL: 41}
MOST_COUNTED = {Effort.QUICK: 10_000, Effort.FULL: 1_000_000}
"""Entries of the largest cache whose instructions are counted: to store a million takes a minute under valgrind."""

MOST_TIMED = {Effort.QUICK: 100_000, Effort.FULL: 1_000_000}


@dataclass(frozen=True)
class Cache:
    """A cache that is measured."""

    id: str
    """Of its row."""
    name: str
    entries: int
    tags: int = 2
    markers: int = 1

    @property
    def sizes(self) -> str:
        """As the program takes them."""
        return f"{self.entries}:{self.tags}:{self.markers}"


@dataclass(frozen=True)
class Comparison:
    """Caches that are measured in turns; the first is the reference."""

    id: str
    title: str
    pattern: str
    """What is asked for, as the program calls it."""
    caches: tuple[Cache, ...]
    counted: bool = True
    maps: bool = False
    """Whether plain maps of as many entries are measured beside them."""
    note: str = ""


ENTRIES = tuple(Cache(f"hotplate-{n}", f"{n:,} entries", n) for n in (1_000, 10_000, 100_000, 1_000_000))
TAGS = tuple(Cache(f"hotplate-{n}", f"{n} tags an entry", 10_000, tags=n) for n in (1, 4, 16, 100))
MARKERS = tuple(Cache(f"hotplate-{n}", f"{n:,} markers", 10_000, markers=n) for n in (0, 1_000, 100_000))

MAPS = """`map-N` is a plain `HashMap` from 16 bytes to an entry of 300 bytes in a box, its body in another, asked for
the same keys in the same order: what the memory makes of any map of that size. Its ratios are to its own smallest, and
larger than ours because it does little else. What size adds in nanoseconds is beside."""
POPULAR = "Asked for are 1,000 popular responses, as many from each part of the cache."
FIRST = (
    "Each hit is a popular response's first since something else was invalidated: its targets are looked up in the log."
)

COMPARISONS = (
    Comparison("entries", "By entries: popular responses", "popular", ENTRIES, maps=True, note=f"{POPULAR} {MAPS}"),
    Comparison(
        "entries-all",
        "By entries: all responses in turn",
        "all",
        ENTRIES,
        counted=False,
        maps=True,
        note="Asked for is every response in turn, in an order that jumps: in a large cache each hit finds its entry "
        f"outside of the processor's caches. {MAPS} Which entry is asked for changes nothing of what the engine does: "
        "instructions are counted in the table of popular responses.",
    ),
    Comparison("tags", "By tags an entry", "popular", TAGS, note=f"Up to 16 tags. {POPULAR}"),
    Comparison("tags-first", "By tags an entry: after an invalidation", "first", TAGS, note=f"Up to 16 tags. {FIRST}"),
    Comparison("markers", "By markers in the log", "popular", MARKERS, note=POPULAR),
    Comparison("markers-first", "By markers in the log: after an invalidation", "first", MARKERS, note=FIRST),
)

HOW = """A hit of the engine without Python: 20 rules of which the last one speaks, `Vary`, tags, the numbers for
metrics; each hit finds the response, decides, and reads it as a server does, or the program stops. Nothing is evicted.
Caches of different size take turns in rounds of 20,000 hits in one process; each ratio is to the smallest of the same
round.

* *Nanoseconds* are what the engine does and what the memory makes of it. A response is in some fifteen places of
  memory (index, record of `Vary`, entry, field lines); in a small cache they are in the processor's caches, in a large
  one they are not, and neither is the table of their pages. So a plain map of the same size is measured in the same
  rounds.
* *Instructions* are what the engine does, counted by callgrind in a process of its own for each cache; the machine's
  load does not matter. The seeds of the tables move a count by up to 1.4 %.

A marker is one line of the invalidation log, for each target that was invalidated."""


# --- Instructions ----------------------------------------------------------------------------------------------------


def counted(program: str, pattern: str, cache: Cache) -> float:
    """Instructions a hit. Valgrind counts from when the cache is full, which is many times faster than all along."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--toggle-collect=*counted_turns*"]
        command += [f"--callgrind-out-file={profile}", program, "count", pattern, cache.sizes, str(TURNS)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout is not None
            if process.stdout.readline() == "ready\n":
                count = ["callgrind_control", "--instr=on", str(process.pid)]
                subprocess.run(count, check=True, capture_output=True)
            _, said = process.communicate("\n")
        if process.returncode != 0:
            raise SystemExit(f"{cache.id}: {' '.join(command)} failed:\n{said}")
        totals = [line for line in profile.read_text().splitlines() if line.startswith(("summary:", "totals:"))]
    total = int(totals[0].split()[1]) if totals else 0
    if total == 0:
        raise SystemExit(f"callgrind found no `counted_turns` in {program}: was it built without its symbols?")
    return total / TURNS


def all_counted(program: str, comparisons: Sequence[Comparison], most: int) -> dict[tuple[str, str], float]:
    """Instructions a hit by comparison and cache, on all cores at once."""
    if shutil.which("valgrind") is None:
        raise SystemExit("instructions are counted by valgrind, which is not there: apt-get install valgrind")
    wanted = [
        (comparison, cache)
        for comparison in comparisons
        if comparison.counted
        for cache in comparison.caches
        if cache.entries <= most
    ]
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        counts = cores.map(lambda one: counted(program, one[0].pattern, one[1]), wanted)
        return {(comparison.id, cache.id): count for (comparison, cache), count in zip(wanted, counts, strict=True)}


# --- Time ------------------------------------------------------------------------------------------------------------


def timed(program: str, pattern: str, subjects: Sequence[str], rounds: int) -> list[list[float]]:
    """Nanoseconds a hit: for each subject the figures of its rounds."""
    command = [program, "time", pattern, str(rounds), str(TURNS), *subjects]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ran.stderr}")
    lines = [[float(part) for part in line.split()] for line in ran.stdout.splitlines()]
    return [list(figures) for figures in zip(*lines, strict=True)]


def rows(ids: Sequence[str], names: Sequence[str], nanos: Sequence[Sequence[float]]) -> list[Row]:
    """One for each size of one thing; the first is its reference."""
    smallest = nanos[0]
    return [
        Row(
            id=row,
            name=name,
            figure=Spread.of(figures),
            ratio=None if figures is smallest else ratios(figures, smallest),
            beside={}
            if figures is smallest
            else {"more, ns": Spread.of([one - other for one, other in zip(figures, smallest, strict=True)])},
        )
        for row, name, figures in zip(ids, names, nanos, strict=True)
    ]


def with_instructions(rows: Sequence[Row], counts: Mapping[str, float]) -> list[Row]:
    """The rows with what was counted beside; the first row is what the ratio is to."""
    reference = counts.get(rows[0].id)
    return [
        replace(
            row,
            beside={
                **row.beside,
                "instructions": round(counts[row.id]),
                "instructions, ratio": round(counts[row.id] / reference, 4),
            },
        )
        if reference and row.id in counts
        else row
        for row in rows
    ]


def table(program: str, comparison: Comparison, rounds: int, counts: Mapping[str, float]) -> Table:
    """One comparison, timed."""
    caches = comparison.caches
    subjects = [cache.sizes for cache in caches]
    if comparison.maps:
        subjects += [f"map:{cache.entries}" for cache in caches]
    nanos = timed(program, comparison.pattern, subjects, rounds)
    ours = rows([cache.id for cache in caches], [cache.name for cache in caches], nanos[: len(caches)])
    found = with_instructions(ours, counts)
    if comparison.maps:
        ids = [f"map-{cache.entries}" for cache in caches]
        found += rows(ids, [f"plain map, {cache.name}" for cache in caches], nanos[len(caches) :])
    note = f"Budget: flat within 10 %. {comparison.note}"
    return Table(comparison.id, comparison.title, "ns", False, found, " ".join(note.split()))


def measure(effort: Effort) -> list[Table]:
    """By entries, by tags, by markers."""
    program = built(*ENGINE, "growth")
    comparisons = [
        replace(one, caches=tuple(cache for cache in one.caches if cache.entries <= MOST_TIMED[effort]))
        for one in COMPARISONS
    ]
    # First: it keeps every core busy, and times are to be taken when none is.
    counts = all_counted(program, comparisons, MOST_COUNTED[effort])
    return [
        table(
            program,
            comparison,
            ROUNDS[effort],
            {cache: count for (of, cache), count in counts.items() if of == comparison.id},
        )
        for comparison in comparisons
    ]


SECTION = Section(id="growth", title="Growth", how=HOW, measure=measure)
