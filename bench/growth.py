"""What a hit costs in caches of different sizes, relative to the smallest: `make bench-growth`.

By entries, by tags an entry, by markers in the invalidation log (one for each target that was invalidated). Twice:

* *instructions*, counted by callgrind: what the engine does. The machine's load does not matter.
* *nanoseconds*, the caches taking turns in short rounds: what of it the memory makes. Medians, and the middle half of
  the ratios of one round.

Asked for are 1,000 popular responses, or all in turn, in an order that jumps: then every hit of a large cache finds its
entry outside of the processor's caches. *First* is a popular response's first hit since something else was invalidated,
for which each target of the response is looked up in the log.
"""

import argparse
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass

from bench.instructions import count, output

BUDGET = 1.10
TURNS = 2_000

Sizes = tuple[int, int, int]
"""Entries, tags an entry, markers."""


@dataclass(frozen=True)
class Table:
    """Caches that are compared; the first is the reference."""

    title: str
    unit: str
    sizes: tuple[Sizes, ...]
    column: int
    patterns: tuple[str, ...]
    budget_up_to: int


TABLES = (
    Table(
        "By entries",
        "entries",
        ((1_000, 2, 1), (10_000, 2, 1), (100_000, 2, 1), (1_000_000, 2, 1)),
        0,
        ("popular", "all"),
        1_000_000,
    ),
    Table(
        "By tags an entry",
        "tags",
        ((10_000, 1, 1), (10_000, 4, 1), (10_000, 16, 1), (10_000, 100, 1)),
        1,
        ("popular", "first"),
        16,
    ),
    Table(
        "By markers in the log",
        "markers",
        ((10_000, 2, 0), (10_000, 2, 1_000), (10_000, 2, 100_000)),
        2,
        ("popular", "first"),
        100_000,
    ),
)

NAMES = {"popular": "popular responses", "all": "all responses in turn", "first": "first hits since an invalidation"}


def text_of(sizes: Sizes) -> str:
    """As the program takes them."""
    return ":".join(str(size) for size in sizes)


def counted(program: str, pattern: str, table: Table) -> list[float]:
    """Instructions a hit."""
    return [count(program, "count", pattern, text_of(sizes), str(TURNS)) / TURNS for sizes in table.sizes]


def timed(program: str, pattern: str, table: Table, rounds: int) -> list[list[float]]:
    """Nanoseconds a hit, for each cache the figures of its rounds."""
    sizes = [text_of(sizes) for sizes in table.sizes]
    lines = output(program, "time", pattern, str(rounds), str(10 * TURNS), *sizes).splitlines()
    return [list(figures) for figures in zip(*([float(part) for part in line.split()] for line in lines), strict=True)]


def report(table: Table, pattern: str, instructions: list[float] | None, nanos: list[list[float]]) -> None:
    """A Markdown table."""
    print(f"\n### {table.title}: {NAMES[pattern]}\n")
    spread = statistics.quantiles(nanos[0], n=4)
    noise = f"the middle half of the reference's rounds is {spread[0]:,.0f} to {spread[2]:,.0f} ns"
    print(f"| {table.unit} | instructions | ratio | ns, median | ratio (middle half) |")
    print("|---|---|---|---|---|")
    worst = 1.0
    for place, (sizes, figures) in enumerate(zip(table.sizes, nanos, strict=True)):
        known = "| |"
        if instructions:
            ratio = instructions[place] / instructions[0]
            known = f"{instructions[place]:,.0f} | {ratio:.3f} |"
            if sizes[table.column] <= table.budget_up_to:
                worst = max(worst, ratio)
        ratios = [one / other for one, other in zip(figures, nanos[0], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"| {sizes[table.column]:,} | {known} {statistics.median(figures):,.0f} "
            f"| {middle:.2f} ({low:.2f} to {high:.2f}) |"
        )
    if instructions:
        verdict = "flat within 10 %" if worst <= BUDGET else "NOT flat within 10 %"
        print(f"\nInstructions up to {table.budget_up_to:,} {table.unit}: {verdict} (at most {worst:.3f}).", end="")
    print(f"\nNoise: {noise}.", flush=True)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    arguments.add_argument("program", help="the program `growth` of bench/engine")
    arguments.add_argument("--rounds", type=int, default=41, help="rounds of each cache (default 41)")
    arguments.add_argument("--only", default="", help="tables whose title has this text")
    chosen = arguments.parse_args()
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    print(f"{platform.platform()}, {os.cpu_count()} cores; {output('rustc', '--version')}; load average before: {load}")
    for table in TABLES:
        if chosen.only in table.title:
            for pattern in table.patterns:
                nanos = timed(chosen.program, pattern, table, chosen.rounds)
                # Which entries are asked for changes nothing of what is done, and to store a million under callgrind
                # takes ten minutes.
                report(table, pattern, None if pattern == "all" else counted(chosen.program, pattern, table), nanos)
    print(f"\nLoad average after: {', '.join(f'{part:.1f}' for part in os.getloadavg())}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        raise SystemExit(f"{failed.cmd} failed:\n{failed.stderr}") from failed
