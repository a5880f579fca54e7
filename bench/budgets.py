"""The budgets: what hotplate has to reach, and where the benchmark shows whether it does.

A budget is a bound on one figure of one row: on its ratio to the reference of its table, on the figure itself, or on a
further column of the row. Budgets were set before anything was measured here and do not follow the measurements: one
that is not met is missed by so many per cent, and its `page` is the design page that says what stands between.

Nanoseconds depend on the machine. Those of the value cache were set where a plain call takes 56 ns, awaiting a plain
coroutine 105 ns and `dict.get` 37 ns. Each is therefore judged twice: in nanoseconds, and as the ratio to that
reference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, product

from bench.figures import Row, Spread, Table
from bench.numbers import number, percent
from bench.sections import SECTIONS

RATIO = "ratio"
FIGURE = "figure"


class Bound(Enum):
    """On which side of its limit a measured value has to be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Budget:
    """A bound on one figure of one row."""

    text: str
    """What is bounded, for people."""
    section: str
    table: str
    row: str
    bound: Bound
    limit: float
    unit: str
    """Of the limit, as it is written behind it: `ns`, `of raw ASGI`."""
    measure: str = RATIO
    """`RATIO`, `FIGURE`, or the title of one of the row's further columns."""
    every_round: bool = False
    """For counts: the worst round has to keep to it, not the median."""

    @property
    def page(self) -> str | None:
        """From the root of the repository, the design page that says what stands between, where there is one."""
        name = _PAGES.get(self.section)
        return f"docs/design/2026-11-21-{name}.md" if name else None

    @property
    def limit_shown(self) -> str:
        """The bound, for people: `≤ 120 ns`."""
        limit = number(self.limit) if self.limit >= 1_000 else f"{self.limit:.3g}"
        return f"{self.bound.value} {limit} {self.unit}".rstrip()


@dataclass(frozen=True)
class Verdict:
    """What a run says of a budget."""

    budget: Budget
    value: Spread | None
    """What is bounded, as it was measured; none if it was not."""

    @property
    def decisive(self) -> float | None:
        """The one number that is compared with the limit."""
        if self.value is None:
            return None
        if not self.budget.every_round:
            return self.value.median
        return self.value.lowest if self.budget.bound is Bound.AT_LEAST else self.value.highest

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept, the limit itself included; none if it was not measured."""
        return None if self.decisive is None else self.missing <= 0

    @property
    def missing(self) -> float:
        """By how much it is missed: a share of the limit, or a number if the limit is 0. Not above 0 if it is met."""
        beyond = (self.decisive or 0.0) - self.budget.limit
        if self.budget.bound is Bound.AT_LEAST:
            beyond = -beyond
        return beyond / self.budget.limit if self.budget.limit else beyond

    @property
    def shown(self) -> str:
        """For people: `met`, `missed by 4.1 %`, `not measured`."""
        if self.met is None:
            return "not measured"
        if self.met:
            return "met"
        return f"missed by {percent(self.missing) if self.budget.limit else number(self.missing)}"


def judge(sections: Mapping[str, Sequence[Table]]) -> list[Verdict]:
    """A verdict on every budget, in their order, from the tables of sections by the sections' ids."""
    return [Verdict(budget, _measured(budget, sections)) for budget in BUDGETS]


def of_table(section: str, table: str) -> list[Budget]:
    """The budgets that a table shows."""
    return [budget for budget in BUDGETS if (budget.section, budget.table) == (section, table)]


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many are met, for people."""
    met, missed = (sum(verdict.met is answer for verdict in verdicts) for answer in (True, False))
    left = len(verdicts) - met - missed
    return f"{met} of {len(verdicts)} budgets are met, {missed} missed" + (f", {left} not measured" if left else "")


def _measured(budget: Budget, sections: Mapping[str, Sequence[Table]]) -> Spread | None:
    for table in sections.get(budget.section, ()):
        for row in table.rows:
            if (table.id, row.id) == (budget.table, budget.row):
                return _value(row, budget.measure)
    return None


def _value(row: Row, measure: str) -> Spread | None:
    if measure == RATIO:
        return row.ratio
    value = row.figure if measure == FIGURE else row.beside.get(measure)
    if isinstance(value, (int, float)):
        return Spread.of([float(value)])
    return value if isinstance(value, Spread) else None


# --- The budgets -----------------------------------------------------------------------------------------------------

_LEAST, _MOST = Bound.AT_LEAST, Bound.AT_MOST

_PAGES = {
    "http": "profile-of-a-hit",
    "http_redis": "profile-of-a-hit",
    "misses": "profile-of-a-miss",
    "stampede": "waiters",
    "values": "profile-of-values",
    "objects": "profile-of-values",
    "border": "border",
    "memory": "large-caches",
    "growth": "large-caches",
}
"""By section."""


def _http() -> Iterator[Budget]:
    raw = "of raw ASGI"
    for table, what, bound, memory, shared in (
        ("keys", "200 keys, requests/s", _LEAST, 0.90, 0.88),
        ("large", "49 kB, requests/s", _LEAST, 0.85, 0.83),
        ("single", "one connection, p50", _MOST, 1.1, 1.1),
    ):
        yield Budget(f"Hit in memory: {what}", "http", table, "hotplate", bound, memory, raw)
        yield Budget(f"Hit on Redis with the local tier: {what}", "http_redis", table, "hotplate", bound, shared, raw)
    off = "Hit on Redis without the local tier"
    redis, row = "http_redis", "hotplate-local-off"
    yield Budget(f"{off}: 200 keys, requests/s", redis, "keys", row, _LEAST, 0.60, raw)
    yield Budget(f"{off}: 49 kB, requests/s", redis, "large", row, _LEAST, 0.45, raw)
    beside_redis_py = "of raw ASGI with redis-py"
    yield Budget(f"{off}: one connection, p50", redis, "single", row, _MOST, 1.1, beside_redis_py, "p50, of redis-py")


def _misses() -> Iterator[Budget]:
    of, row = "of the endpoint alone", "hotplate"
    yield Budget("Miss of a trivial endpoint, requests/s", "misses", "miss", row, _LEAST, 0.95, of)
    yield Budget("Bypass, excluded path, requests/s", "misses", "bypass-excluded", row, _LEAST, 0.97, of)
    yield Budget("Bypass, POST, requests/s", "misses", "bypass-post", row, _LEAST, 0.97, of)
    # "Unchanged" is a word without a width; it is given the one that a miss as a whole has.
    yield Budget("First byte of a streamed miss: unchanged", "misses", "first-byte", row, _MOST, 1.05, of)


def _stampede() -> Iterator[Budget]:
    for table, where, seconds in (("one-worker", "one worker", 0.25), ("two-workers", "two workers on Redis", 0.27)):
        at = ("stampede", table, "hotplate", _MOST)
        what = f"500 at once for a cold key, {where}"
        yield Budget(f"{what}: all have answers", *at, seconds, "s", FIGURE)
        yield Budget(f"{what}: handler runs", *at, 1, "", "handler runs", every_round=True)
        yield Budget(f"{what}: failed requests", *at, 0, "", "failed requests", every_round=True)


def _in_nanoseconds(
    what: str, section: str, table: str, limit: float, reference: tuple[str, float]
) -> Iterator[Budget]:
    """The same bound as it was set and as a ratio, for another machine."""
    name, nanoseconds = reference
    yield Budget(what, section, table, "hotplate", _MOST, limit, "ns", FIGURE)
    of = f"of {name} ({limit:g}/{nanoseconds:g})"
    yield Budget(f"{what}, relative", section, table, "hotplate", _MOST, limit / nanoseconds, of)


def _values() -> Iterator[Budget]:
    call, coroutine = ("a plain call", 56.0), ("a plain coroutine", 105.0)
    yield from _in_nanoseconds("Hit of `@cache.cached`, sync", "values", "sync", 700, call)
    yield from _in_nanoseconds("Hit of `@cache.cached`, async", "values", "async", 900, coroutine)
    yield from _in_nanoseconds("Hit of `memoize`, sync", "objects", "memoize-sync", 120, call)
    yield from _in_nanoseconds("Hit of `memoize`, async", "objects", "memoize-async", 200, coroutine)
    yield from _in_nanoseconds("`LocalCache.get`", "objects", "get", 65, ("dict.get", 37.0))
    # What a dict's set took where these were set is not known.
    yield Budget("`LocalCache.set`, one thread", "objects", "set-1", "hotplate", _MOST, 150, "ns", FIGURE)
    yield Budget("`LocalCache.set`, four threads", "objects", "set-4", "hotplate", _MOST, 150, "ns", FIGURE)


def _border() -> Iterator[Budget]:
    for in_flight, limit in ((1, 0.73), (64, 0.55), (512, 0.30)):
        what = f"One Redis GET, {in_flight} in flight, calls/s"
        yield Budget(what, "border", f"pinned-{in_flight}", "hotplate", _LEAST, limit, "of redis-rs in Rust")
    what = "One Redis GET, 64 in flight, CPU a call"
    yield Budget(what, "border", "pinned-64", "hotplate", _MOST, 5, "µs", "CPU a call, µs")


def _memory() -> Iterator[Budget]:
    body = "body of 1,024 bytes"
    yield Budget(f"An entry of `LocalCache`, {body}", "memory", "objects", "hotplate", _MOST, 1_240, "bytes", FIGURE)
    response = f"A stored response with 6 fields and a tag, {body}"
    yield Budget(response, "memory", "http", "hotplate", _MOST, 1_500, "bytes", FIGURE)


def _invalidation() -> Iterator[Budget]:
    for what in ("tag", "prefix"):
        text = f"Invalidate by {what}, 1,000,000 entries"
        yield Budget(text, "invalidation", "call", f"hotplate-{what}", _MOST, 1_000, "µs", FIGURE)
    for table, row in product(("two", "four"), ("hotplate", "hotplate-busy")):
        busy = ", all cores busy" if row == "hotplate-busy" else ""
        text = f"Seen by other processes, {table} processes{busy}, p99"
        yield Budget(text, "invalidation", f"{table}-processes", row, _MOST, 50, "ms", "p99, ms")


def _growth() -> Iterator[Budget]:
    for table, largest, least, what in (
        ("entries", 1_000_000, 1_000, "1,000,000 entries, popular responses"),
        ("entries-all", 1_000_000, 1_000, "1,000,000 entries, all in turn"),
        ("tags", 16, 1, "16 tags an entry"),
        ("tags-first", 16, 1, "16 tags an entry, first hit since an invalidation"),
        ("markers", 100_000, 0, "100,000 markers"),
        ("markers-first", 100_000, 0, "100,000 markers, first hit since an invalidation"),
    ):
        at = ("growth", table, f"hotplate-{largest}", _MOST, 1.10, f"of that with {least:,}")
        yield Budget(f"Hit with {what}: time", *at)
        if table != "entries-all":  # the engine does the same as for popular ones; only the memory differs
            yield Budget(f"Hit with {what}: instructions", *at, "instructions, ratio")


def _hit_ratio() -> Iterator[Budget]:
    for capacity, trace, limit in (
        (1_000, "zipf", 0.44),
        (1_000, "scans", 0.42),
        (10_000, "zipf", 0.67),
        (10_000, "scans", 0.66),
    ):
        for row, what in (("hotplate-local", "responses"), ("hotplate-objects", "objects")):
            text = f"Hit ratio, capacity {capacity:,}, {'Zipf and scans' if trace == 'scans' else 'Zipf'}: {what}"
            yield Budget(text, "hit_ratio", f"{trace}-{capacity}", row, _LEAST, limit, "", FIGURE)


BUDGETS: Sequence[Budget] = tuple(
    sorted(
        chain(
            _http(),
            _misses(),
            _stampede(),
            _values(),
            _border(),
            _memory(),
            _invalidation(),
            _growth(),
            _hit_ratio(),
        ),
        key=lambda budget: SECTIONS.index(budget.section),
    )
)
"""All of them, in the order of the page."""
