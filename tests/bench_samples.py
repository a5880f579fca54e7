"""Results of the benchmark that nobody measured, for tests of what is made of results."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from bench.figures import Row, Spread, Table
from bench.kept import Result
from bench.machine import Noise

Beside: TypeAlias = Mapping[str, Spread | float | str]

ADDRESSES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "http": dict.fromkeys(("keys", "large", "single"), ("raw", "hotplate")),
    "http_redis": dict.fromkeys(("keys", "large", "single"), ("raw", "redis-py", "hotplate", "hotplate-local-off")),
    "misses": dict.fromkeys(
        ("miss", "miss-raw", "bypass-excluded", "bypass-post", "first-byte"), ("endpoint", "hotplate")
    ),
    "stampede": dict.fromkeys(("one-worker", "two-workers"), ("limit", "hotplate", "cashews")),
    "values": dict.fromkeys(("sync", "async", "threads"), ("plain", "hotplate", "cashews")),
    "objects": {
        **dict.fromkeys(("memoize-sync", "memoize-async"), ("plain", "hotplate", "cachebox")),
        **dict.fromkeys(("get", "set-1", "set-4"), ("dict", "hotplate", "cachebox")),
    },
    "border": dict.fromkeys(("pinned-1", "pinned-64", "pinned-512"), ("redis-rs", "hotplate")),
    "memory": dict.fromkeys(("objects", "http"), ("dict", "hotplate")),
    "invalidation": {
        **dict.fromkeys(("two-processes", "four-processes"), ("redis-publish", "hotplate", "hotplate-busy")),
        "call": ("hotplate-tag", "hotplate-prefix"),
    },
    "growth": {
        **dict.fromkeys(("entries", "entries-all"), ("hotplate-1000", "hotplate-1000000")),
        **dict.fromkeys(("tags", "tags-first"), ("hotplate-1", "hotplate-16")),
        **dict.fromkeys(("markers", "markers-first"), ("hotplate-0", "hotplate-100000")),
    },
    "hit_ratio": dict.fromkeys(
        ("zipf-1000", "scans-1000", "zipf-10000", "scans-10000"), ("lru", "hotplate-local", "hotplate-objects")
    ),
}
"""The sections, tables and rows that budgets may name: the ids that the sections keep."""

BESIDE = ("p50, of redis-py", "handler runs", "failed requests", "CPU a call, µs", "p99, ms", "instructions, ratio")
"""The further columns that budgets may name."""


def row(name: str, *figures: float, ratio: float | None = None, beside: Beside | None = None) -> Row:
    """A row whose id is its name; `ratio` is that of each round."""
    of = None if ratio is None else Spread.of([ratio] * len(figures))
    return Row(name, name, Spread.of(figures), of, beside or {})


def table(name: str, *rows: Row, unit: str = "requests/s", more_is_better: bool = True) -> Table:
    """A table whose id is its title."""
    return Table(name, name, unit, more_is_better, list(rows))


def result(section: str, *tables: Table, effort: str = "full") -> Result:
    """A section on a quiet machine."""
    return Result(
        section=section,
        title=f"Section {section}",
        how="Answers were **compared**.",
        effort=effort,
        measured="2026-11-22T03:04:05+00:00",
        seconds=93,
        commit="0123456789ab",
        noise=Noise(0.25, 1.5, 0.0021),
        machine={"processor": "a fast one, 2 cores", "Python": "3.13.0"},
        versions={"cashews": "7.6.0"},
        environments={"bench": {"cashews": "7.6.0"}},
        tables=list(tables),
    )


def whole() -> list[Result]:
    """Each table that a budget or the headline names, the reference at 100 and each row after it ten below."""
    beside: Beside = dict.fromkeys(BESIDE, 0.5)
    return [
        result(
            section,
            *(
                table(
                    name,
                    *(
                        row(one, 100.0 - 10 * place, ratio=_ratio(place), beside=beside)
                        for place, one in enumerate(ids)
                    ),
                )
                for name, ids in tables.items()
            ),
        )
        for section, tables in ADDRESSES.items()
    ]


def _ratio(place: int) -> float | None:
    return 1 - place / 10 if place else None
