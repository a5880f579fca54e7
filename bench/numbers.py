"""How the page, its plots and the terminal write numbers, and tables of them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.figures import Spread, Table


def number(value: float) -> str:
    """Three digits that count, but whole numbers below 10,000 in full: `0.921`, `12.3`, `500`, `1,239`, `34,700`."""
    if not math.isfinite(value):
        return "not known"
    if abs(value) >= 10_000:
        return f"{_rounded(value, 3):,.0f}"
    if abs(value) >= 1_000 or value == round(value):
        return f"{value:,.0f}"
    return _digits(value, 3)


def percent(share: float) -> str:
    """A share in per cent with two digits that count: `4.1 %`, `0.041 %`, `123 %`."""
    value = abs(share) * 100
    return f"{_digits(value, 2 if value < 100 else 3)} %"


def _digits(value: float, digits: int) -> str:
    """So many digits that count, zeros at the end included."""
    rounded = _rounded(value, digits)
    decimals = digits - 1 - math.floor(math.log10(abs(rounded))) if rounded else 0
    return f"{rounded:.{max(0, decimals)}f}"


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def spread(figures: Spread) -> str:
    """The median with the middle half, where rounds differ."""
    if figures.lower == figures.upper:
        return number(figures.median)
    return f"{number(figures.median)} ({number(figures.lower)} to {number(figures.upper)})"


def shown(value: Spread | float | str) -> str:
    """What stands in a cell."""
    if isinstance(value, Spread):
        return spread(value)
    return value if isinstance(value, str) else number(value)


@dataclass(frozen=True)
class Cells:
    """A table as text: what the page and the terminal have in common."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    ours: frozenset[int] = frozenset()
    """Places of the rows that are hotplate's."""

    @classmethod
    def of(cls, table: Table, budgets: Mapping[str, str] | None = None) -> "Cells":
        """A table's figures, ratios and further columns, in the order in which rows first have them.

        `budgets` says how each row that has budgets keeps to them.
        """
        titles = list(dict.fromkeys(title for row in table.rows for title in row.beside))
        related = any(row.ratio for row in table.rows)
        body = []
        for row in table.rows:
            cells = [row.name, number(row.figure.median) if related else spread(row.figure)]
            if related:
                cells.append(spread(row.ratio) if row.ratio else "1" if row is table.rows[0] else "")
            cells += [shown(row.beside[title]) if title in row.beside else "" for title in titles]
            body.append([*cells, *([budgets.get(row.id, "")] if budgets else [])])
        related_head, budget_head = ["ratio (middle half)"] if related else [], ["budget"] if budgets else []
        head = ["", table.unit, *related_head, *titles, *budget_head]
        return cls(head, body, frozenset(place for place, row in enumerate(table.rows) if row.ours))

    def markdown(self) -> str:
        """For the page; our rows are bold."""
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)]]
        for place, row in enumerate(self.body):
            cells = [escaped(cell) for cell in row]
            lines.append([f"**{cell}**" if cell and place in self.ours else cell for cell in cells])
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def plain(self) -> str:
        """For the terminal; our rows are marked."""
        widths = [max(len(row[column]) for row in (self.head, *self.body)) for column in range(len(self.head))]
        lines = []
        for place, row in enumerate((self.head, *self.body), -1):
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            cells[0] = row[0].ljust(widths[0])
            lines.append(("* " if place in self.ours else "  ") + "  ".join(cells).rstrip() + "\n")
        return "".join(lines)


def escaped(text: str) -> str:
    """Text as Markdown shows it unchanged, in a cell of a table too."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def remark(table: Table) -> str:
    """What holds for all rows of a table: its rounds, which way is better, how much the reference's rounds differ."""
    first = table.rows[0]
    rounds = f"Medians of {first.figure.rounds} rounds" if first.figure.rounds > 1 else "One round"
    better = f"{'more' if table.more_is_better else 'less'} is better"
    if not any(row.ratio for row in table.rows):
        return f"{rounds}; {better}."
    wide = (first.figure.upper - first.figure.lower) / first.figure.median if first.figure.median else 0.0
    reference = f"“{first.name}” in the same round, whose own middle half is {percent(wide)} wide"
    return f"{rounds}; {better}. Ratios are to {reference}."
