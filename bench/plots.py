"""Tables as SVG: bars for contenders, lines for what grows.

Each bar is a row's ratio to the reference, which is the dashed line at 1, with the middle half of its rounds as a
whisker; or its figure, where a table has no ratios or its budgets are in the figure's unit. A short thick stroke in a
row is its budget. Where values differ by more than 30 times the scale is logarithmic, and says so.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from bench.budgets import FIGURE, RATIO, Budget
from bench.figures import Row, Spread, Table
from bench.numbers import number, shown
from bench.svg import Scale, document, line, text

ROW, BAR, TOP, BOTTOM, PLOT, MARGIN, LETTER = 27, 15, 66, 52, 440, 14, 7.4
"""Heights and widths in pixels; a letter at 13 px is hardly wider in any of the fonts."""
SIZED = re.compile(r"(.+)-(\d+)")
"""The id of a row in a table of what grows: what it is, and how large."""


@dataclass(frozen=True)
class Shown:
    """A row as it is drawn."""

    row: Row
    value: Spread | None
    text: str


def plot(table: Table, budgets: Sequence[Budget] = ()) -> str:
    """A table as it is drawn best; `budgets` are those that its rows show."""
    return lines(table, budgets) if len(table.rows) > 1 and _is_sized(table) else bars(table, budgets)


def bars(
    table: Table,
    budgets: Sequence[Budget] = (),
    *,
    title: str | None = None,
    column: str | None = None,
    logarithmic: bool | None = None,
) -> str:
    """A bar for each row: its ratio, its figure, or one of its further columns, given by `column`."""
    measure = column or _measure(table, budgets)
    rows = [_shown(table, row, measure) for row in table.rows]
    limits = {budget.row: budget.limit for budget in budgets if budget.measure == measure}
    related = measure == RATIO
    values = [end for row in rows if row.value for end in (row.value.lower, row.value.upper)]
    scale = Scale.of([*values, *limits.values(), *([1.0] if related else [])], PLOT, logarithmic)
    left = MARGIN + max(_width(row.row.name, row.row.ours) for row in rows) + 8
    right = left + PLOT
    width = right + 10 + max(_width(row.text, row.row.ours) for row in rows) + MARGIN
    bottom = TOP + ROW * len(rows)
    drawn = [*_head(title or table.title, _caption(table, measure, scale), bool(limits), bottom + 40)]
    drawn += _ticks(scale, left, TOP - 4, bottom)
    for place, one in enumerate(rows):
        middle = TOP + ROW * place + ROW / 2
        ours = " ours-text" if one.row.ours else ""
        drawn.append(text(left - 8, middle + 4.5, one.row.name, f"end{ours}"))
        drawn.append(text(right + 10, middle + 4.5, one.text, ours.strip()))
        if one.value:
            drawn += _bar(one.value, scale, left, middle, "ours" if one.row.ours else "bar")
        if one.row.id in limits:
            x = left + scale.at(limits[one.row.id])
            drawn.append(line(x, middle - ROW / 2 + 1, x, middle + ROW / 2 - 1, "budget"))
    if related:
        x = left + scale.at(1.0)
        drawn.append(line(x, TOP - 4, x, bottom, "reference"))
    return document(width, bottom + BOTTOM, title or table.title, drawn)


def lines(table: Table, budgets: Sequence[Budget] = ()) -> str:
    """A line for each kind of row, over the sizes that their ids end with."""
    measure = _measure(table, budgets)
    series: dict[str, list[tuple[int, Shown]]] = {}
    for row in table.rows:
        name, size = _parts(row)
        series.setdefault(name, []).append((size, _shown(table, row, measure)))
    sizes = sorted({size for points in series.values() for size, _ in points})
    limits = sorted({budget.limit for budget in budgets if budget.measure == measure})
    points = [(size, one.value) for found in series.values() for size, one in found if one.value]
    values = [end for _, value in points for end in (value.lower, value.upper)]
    height = 230.0
    scale = Scale.of([*values, *limits, *([1.0] if measure == RATIO else [])], height)
    left, bottom = MARGIN + 62, TOP + height
    across = _across(sizes, left + 30, PLOT + 60)
    right = left + PLOT + 120
    drawn = [*_head(table.title, _caption(table, measure, scale), bool(limits), bottom + 44)]
    for tick in scale.ticks():
        y = bottom - scale.at(tick)
        drawn += [line(left, y, right, y, "grid"), text(left - 8, y + 4, _tick(tick), "muted end")]
    drawn += [text(across(size), bottom + 18, f"{size:,}", "muted middle") for size in sizes]
    if measure == RATIO:
        drawn.append(line(left, bottom - scale.at(1.0), right, bottom - scale.at(1.0), "reference"))
    drawn += [line(left, bottom - scale.at(limit), right, bottom - scale.at(limit), "budget") for limit in limits]
    taken: list[float] = []
    for name, of_name in series.items():
        drawn += _series(name, sorted(of_name, key=lambda point: point[0]), scale, across, bottom, right, taken)
    return document(
        right + 10 + max(_width(name, bold=True) for name in series) + MARGIN, bottom + 56, table.title, drawn
    )


def _series(
    name: str,
    points: Sequence[tuple[int, Shown]],
    scale: Scale,
    across: Callable[[int], float],
    bottom: float,
    right: float,
    taken: list[float],
) -> Iterable[str]:
    ours = name.startswith("hotplate")
    places = [(across(size), one.value, one) for size, one in points if one.value]
    if not places:
        return
    at = " ".join(f"{x:.1f},{bottom - scale.at(value.median):.1f}" for x, value, _ in places)
    yield f'<polyline class="{"ours-line" if ours else "line"}" points="{at}"/>'
    for x, value, one in places:
        low, y, high = (bottom - scale.at(end) for end in (value.lower, value.median, value.upper))
        yield line(x, low, x, high, "whisker")
        yield (
            f'<circle class="{"ours" if ours else "bar"}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
            f"<title>{escape(f'{one.row.name}: {one.text}')}</title></circle>"
        )
        if ours:
            yield text(x, high - 8, number(value.median), "middle ours-text")
    end = bottom - scale.at(places[-1][1].median) + 4.5
    while any(abs(end - other) < 15 for other in taken):
        end -= 1
    taken.append(end)
    yield text(right + 10, end, name, "ours-text" if ours else "")


# --- What is drawn of a row ------------------------------------------------------------------------------------------


def _measure(table: Table, budgets: Sequence[Budget]) -> str:
    measures = {budget.measure for budget in budgets}
    in_figures = FIGURE in measures and RATIO not in measures
    return FIGURE if in_figures or not any(row.ratio for row in table.rows) else RATIO


def _shown(table: Table, row: Row, measure: str) -> Shown:
    failed = row.most("failed requests")  # who answers fewer may well be quicker
    unit = "" if " " in table.unit else f" {table.unit}"  # a sentence stands in the caption only
    figure = f"{number(row.figure.median)}{unit}" + (f", {number(failed)} failed" if failed else "")
    if measure == FIGURE:
        return Shown(row, row.figure, figure)
    if measure != RATIO:
        value = row.beside.get(measure)
        found = value if isinstance(value, Spread) else Spread.of([value]) if isinstance(value, (int, float)) else None
        return Shown(row, found, "" if value is None else f"{shown(value)} ({figure})")
    if row.ratio:
        return Shown(row, row.ratio, f"{number(row.ratio.median)} ({figure})")
    # A reference: the first row, or what the first row of another line is.
    return Shown(row, Spread.of([1.0]) if row is table.rows[0] or _is_sized(table) else None, f"1 ({figure})")


def _is_sized(table: Table) -> bool:
    return all(SIZED.fullmatch(row.id) for row in table.rows)


def _width(written: str, bold: bool) -> float:
    return LETTER * (1.1 if bold else 1.0) * len(written)


def _parts(row: Row) -> tuple[str, int]:
    name, _, size = row.id.rpartition("-")
    return name, int(size)


def _across(sizes: Sequence[int], left: float, length: float) -> Callable[[int], float]:
    """Where a size is, by its logarithm; nothing is as far before the smallest as a tenth of that would be."""
    positive = [size for size in sizes if size] or [1]
    logs = {size: math.log10(size) if size else math.log10(min(positive)) - 1 for size in sizes}
    low, high = min(logs.values()), max(logs.values())
    return lambda size: left + length * ((logs[size] - low) / (high - low) if high > low else 0.5)


def _caption(table: Table, measure: str, scale: Scale) -> str:
    what = {RATIO: f"ratio to “{table.rows[0].name}”", FIGURE: table.unit}.get(measure, measure)
    better = (
        f"; {'more' if table.more_is_better else 'less'} is better"
        if measure in (RATIO, FIGURE)
        else "; less is better"
    )
    return f"{what}, whisker: middle half of the rounds{better}{'; logarithmic' if scale.logarithmic else ''}"


# --- Parts ----------------------------------------------------------------------------------------------------------


def _head(title: str, caption: str, limits: bool, legend: float) -> Iterable[str]:
    yield text(MARGIN, 24, title, "title")
    yield text(MARGIN, 44, caption, "muted")
    if limits:
        yield line(MARGIN + 2, legend - 9, MARGIN + 2, legend + 3, "budget")
        yield text(MARGIN + 10, legend + 1, "budget", "muted")


def _ticks(scale: Scale, left: float, top: float, bottom: float) -> Iterable[str]:
    for tick in scale.ticks():
        x = left + scale.at(tick)
        yield line(x, top, x, bottom, "grid")
        yield text(x, bottom + 16, _tick(tick), "muted middle")


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _bar(value: Spread, scale: Scale, left: float, middle: float, kind: str) -> Iterable[str]:
    end, low, high = (left + scale.at(one) for one in (value.median, value.lower, value.upper))
    yield (
        f'<rect class="{kind}" x="{left:.1f}" y="{middle - BAR / 2:.1f}" '
        f'width="{max(end - left, 1):.1f}" height="{BAR}" rx="2"/>'
    )
    if high - low >= 1:
        yield line(low, middle, high, middle, "whisker")
        yield line(low, middle - 4, low, middle + 4, "whisker")
        yield line(high, middle - 4, high, middle + 4, "whisker")
