"""The figures that README.md shows: three pictures and a small table, of a day's kept results.

`python -m bench --headline DATE` draws `docs/images/bench-*.svg` and fills what stands between `<!-- bench -->` and
`<!-- /bench -->`, so that no figure there is typed by hand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import plots
from bench.budgets import of_table, summary
from bench.figures import Row, Table
from bench.kept import RESULTS, ROOT, Result, results
from bench.numbers import escaped, number
from bench.page import judged

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
NOT_CACHES = frozenset(("raw", "dict", "redis-py", "valkey-glide", "endpoint-async", "endpoint-sync", "plain", "limit"))
"""Rows that are limits or references: nobody's alternative to a cache."""

STAMPEDE_COLUMNS = ("handler runs", "failed requests")


@dataclass(frozen=True)
class Line:
    """A line of the small table: a row of ours beside the best of the others."""

    text: str
    section: str
    table: str
    row: str = "hotplate"
    others: Sequence[str] = ()
    """Who it is compared with; without them all caches of the table."""

    def say(self, row: Row, unit: str) -> str:
        """A contender's cell: how a stampede went, or the ratio, or the figure with its unit."""
        if self.section == "stampede":
            runs, failed = (row.most(title) for title in STAMPEDE_COLUMNS)
            lost = f", {number(failed)} failed" if failed else ""
            return f"{number(runs)} run{'' if runs == 1 else 's'}{lost}, {number(row.figure.median)} {unit}"
        if row.ratio and self.section.startswith("http"):
            return number(row.ratio.median)
        return f"{number(row.figure.median)} {unit}"

    def merit(self, row: Row, more_is_better: bool) -> tuple[float, ...]:
        """Orders the others: the best has the least. In a stampede nobody is to fail, and then to run twice."""
        figure = -row.figure.median if more_is_better else row.figure.median
        return (*(row.most(title) for title in reversed(STAMPEDE_COLUMNS)), figure)


LINES = (
    Line("Hit in memory, requests/s, of raw ASGI with constant bytes", "http", "keys"),
    Line("Hit on Redis with the local tier, of the same", "http_redis", "keys"),
    Line("Hit on Redis without the local tier, of the same", "http_redis", "keys", "hotplate-local-off"),
    Line("500 requests at once, a handler of 200 ms, two workers on Redis", "stampede", "two-workers"),
    Line(
        "Hit of an async function whose cache can be on Redis",
        "values",
        "async",
        others=("aiocache", "aiocache-no-timeout", "cashews", "fastapi-cache2"),
    ),
    Line("Hit of an async function, in process (`memoize`)", "objects", "memoize-async"),
    Line("Hit of a sync function, in process (`memoize`)", "objects", "memoize-sync"),
)


@dataclass(frozen=True)
class Picture:
    """One of the pictures: a table, drawn for readers who know nothing of the rest."""

    name: str
    section: str
    table: str
    title: str
    column: str | None = None
    logarithmic: bool | None = None


PICTURES = (
    Picture("bench-http", "http", "keys", "HTTP hits: requests/s of one worker, 200 URLs"),
    Picture(
        "bench-stampede",
        "stampede",
        "two-workers",
        "500 requests at once for one cold key, two workers on Redis: handler runs",
        "handler runs",
        # One run beside 500 is the point.
        logarithmic=False,
    ),
    Picture("bench-values", "values", "async", "A hit of a cached async function"),
)


def write(date: str, results_folder: Path = RESULTS, root: Path = ROOT) -> Path:
    """Draws the pictures and fills README.md; gives its path. Raises `LookupError` for what was not measured."""
    found = results(results_folder / date)
    tables = {(result.section, table.id): table for result in found for table in result.tables}
    drawn = {picture.name: _drawn(picture, tables) for picture in PICTURES}
    readme = root / "README.md"
    written = filled(readme.read_text("utf-8"), block(date, found))
    for name, picture in drawn.items():
        (root / "docs" / "images" / f"{name}.svg").write_text(picture, "utf-8")
    readme.write_text(written, "utf-8")
    return readme


def filled(text: str, inside: str) -> str:
    """A text whose block, from `BEGIN` to `END`, has this inside. Raises `ValueError` if there is not one block."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"there has to be one {BEGIN} and, behind it, one {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}\n{inside.strip()}\n{END}{behind}"


def block(date: str, found: Sequence[Result]) -> str:
    """What stands in README.md: where it was measured, the pictures, and the small table."""
    tables = {(result.section, table.id): table for result in found for table in result.tables}
    machine = found[0].machine if found else {}
    lines = ["| | hotplate | the best of the others |\n|---|---:|---:|\n", *_lines(tables)]
    pictures = (f"![{picture.title}](docs/images/{picture.name}.svg)" for picture in PICTURES)
    page = f"bench/results/{date}/README.md"
    where = f"{machine.get('processor', 'a machine without a name')}, Python {machine.get('Python', 'not known')}"
    link = f"[All figures, how they were measured, and where budgets are missed]({page})"
    head = f"Measured {date} on {where}: {summary(judged(found))}. {link}."
    return "\n\n".join([head, "".join(lines).strip(), *pictures])


def _lines(tables: Mapping[tuple[str, str], Table]) -> Iterator[str]:
    for line in LINES:
        table = _table(tables, line.section, line.table)
        ours = next((row for row in table.rows if row.id == line.row), None)
        if ours is None:
            raise LookupError(f"no row {line.row} in {line.section}, {line.table}")
        cells = [line.text, f"**{line.say(ours, table.unit)}**", _best(line, table)]
        yield f"| {' | '.join(cells)} |\n"


def _best(line: Line, table: Table) -> str:
    caches = [row for row in table.rows if not row.ours and row.id not in NOT_CACHES]
    others = [row for row in caches if not line.others or row.id in line.others]
    if not others:
        return ""
    best = min(others, key=lambda row: line.merit(row, table.more_is_better))
    return f"{line.say(best, table.unit)} ({escaped(best.name)})"


def _drawn(picture: Picture, tables: Mapping[tuple[str, str], Table]) -> str:
    return plots.bars(
        _table(tables, picture.section, picture.table),
        of_table(picture.section, picture.table),
        title=picture.title,
        column=picture.column,
        logarithmic=picture.logarithmic,
    )


def _table(tables: Mapping[tuple[str, str], Table], section: str, table: str) -> Table:
    if (section, table) not in tables:
        raise LookupError(f"no table {table} of section {section} in these results")
    return tables[section, table]
