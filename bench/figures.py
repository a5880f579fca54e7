"""What a section of the benchmark gives: tables of rows.

Each figure has its spread and, but for the reference's own, its ratio to the reference measured right beside it.
Nothing here measures or prints. ``bench/page.py`` and ``bench/plots.py`` show these tables, ``bench/budgets.py`` judges
them, and ``bench/kept.py`` keeps them.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Effort(Enum):
    """How much time a run may take: all sections in about ten minutes, or as long as steady figures need."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True)
class Spread:
    """A figure of several rounds: their median, the middle half, and the extremes."""

    median: float
    lower: float
    upper: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Of one figure a round, in any order; at least one."""
        ordered = sorted(figures)
        lower, median, upper = (
            statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
        )
        return cls(median, lower, upper, ordered[0], ordered[-1], len(ordered))


@dataclass(frozen=True)
class Row:
    """One contender in one table."""

    id: str
    """Short and stable: budgets name it. `raw`, `hotplate`, `cashews`."""
    name: str
    """For people."""
    figure: Spread
    """In the unit of the table."""
    ratio: Spread | None = None
    """To the reference of the same round; the reference itself has none."""
    beside: Mapping[str, Spread | float | str] = field(default_factory=dict)
    """Further columns by their titles, with units: what was verified, latencies, CPU."""

    @property
    def ours(self) -> bool:
        """Whether it is hotplate's, and drawn as such."""
        return self.id.startswith("hotplate")

    def most(self, title: str) -> float:
        """A count of `beside` in its worst round; 0 where it is not counted."""
        value = self.beside.get(title, 0.0)
        if isinstance(value, Spread):
            return value.highest
        return 0.0 if isinstance(value, str) else value


@dataclass(frozen=True)
class Table:
    """Contenders that were measured side by side, in turns; the reference is the first row."""

    id: str
    """Unique in its section: `keys`, `large`."""
    title: str
    unit: str
    """Of the figures: `requests/s`, `ns`, `bytes`."""
    more_is_better: bool
    rows: Sequence[Row]
    note: str = ""
    """What a reader has to know, in Markdown."""


@dataclass(frozen=True)
class Section:
    """A part of the benchmark that can be run alone: `make bench ONLY=http`."""

    id: str
    title: str
    how: str
    """How it is measured and what was verified, in Markdown."""
    measure: Callable[[Effort], Sequence[Table]]
    packages: Sequence[str] = ()
    """The peers and libraries whose versions matter to a reader, by the names pip knows."""


Contenders = Mapping[str, Callable[[], float]]
"""By name, what one round of it measures; the first is the reference."""


def in_turns(contenders: Contenders, rounds: int) -> dict[str, list[float]]:
    """One figure a round for each contender; within a round they take turns, so that the machine's mood meets all."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            found[name].append(measure())
    return found


def ratios(figures: Sequence[float], reference: Sequence[float]) -> Spread:
    """Of each round's figure to the reference's of the same round."""
    return Spread.of([one / other for one, other in zip(figures, reference, strict=True)])


def rows(found: Mapping[str, Sequence[float]], names: Mapping[str, str] | None = None) -> list[Row]:
    """A row for each contender of `in_turns`; `names` are for people, where they differ from the ids."""
    reference = next(iter(found.values()))
    return [
        Row(
            id=contender,
            name=(names or {}).get(contender, contender),
            figure=Spread.of(figures),
            ratio=None if figures is reference else ratios(figures, reference),
        )
        for contender, figures in found.items()
    ]


def recalled(recorded: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Tables from what `dataclasses.asdict` made of them, which is how JSON has them."""
    return [Table(**{**table, "rows": [_row(row) for row in table["rows"]]}) for table in recorded]


def _row(row: Mapping[str, Any]) -> Row:
    return Row(
        id=row["id"],
        name=row["name"],
        figure=Spread(**row["figure"]),
        ratio=Spread(**row["ratio"]) if row["ratio"] else None,
        beside={title: Spread(**one) if isinstance(one, dict) else one for title, one in row["beside"].items()},
    )
