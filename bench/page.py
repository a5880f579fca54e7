"""A day's results as a page: `README.md` and its plots, beside the JSON they are made of.

Everything on the page is read from the JSON, so it can be made anew at any time: `python -m bench --page DATE`.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from bench import plots
from bench.budgets import Verdict, judge, of_table, summary
from bench.figures import Table
from bench.kept import ROOT, Result, results
from bench.numbers import Cells, number, percent, remark, spread


def write(folder: Path) -> Path:
    """Makes the page of all that a folder has; gives its path."""
    found = results(folder)
    for old in folder.glob("*.svg"):
        old.unlink()
    for result in found:
        for table in result.tables:
            drawn = plots.plot(table, of_table(result.section, table.id))
            (folder / _picture(result, table)).write_text(drawn, "utf-8")
    path = folder / "README.md"
    path.write_text(page(found, folder), "utf-8")
    return path


def page(found: Sequence[Result], folder: Path) -> str:
    """The Markdown of results that are in a folder, from which its links start."""
    parts = [*_head(found), *_budgets(found, folder)]
    for result in found:
        parts += _section(result)
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def judged(found: Sequence[Result]) -> list[Verdict]:
    """The verdicts on all budgets."""
    return judge({result.section: result.tables for result in found})


def terminal(result: Result) -> str:
    """A section's tables in plain text."""
    head = f"\n{result.title} (ONLY={result.section}, {result.effort}, {number(result.seconds)} s)"
    tables = (f"\n{table.title}\n{remark(table)}\n{_cells_of(result, table).plain()}" for table in result.tables)
    return "\n".join([head, *(table.rstrip("\n") for table in tables)])


def terminal_budgets(found: Sequence[Result]) -> str:
    """The verdicts in plain text, of the sections that there are results of."""
    measured = {result.section for result in found}
    verdicts = [verdict for verdict in judged(found) if verdict.budget.section in measured]
    if not verdicts:
        return ""
    body = [_cells(verdict, verdict.shown) for verdict in verdicts]
    missed = frozenset(place for place, verdict in enumerate(verdicts) if verdict.met is False)
    return f"\n{summary(verdicts)} (* missed).\n{Cells(HEAD, body, missed).plain()}".rstrip("\n")


HEAD = ("budget", "limit", "measured (middle half)", "verdict")


def _cells(verdict: Verdict, said: str) -> list[str]:
    value = spread(verdict.value) if verdict.value else ""
    return [verdict.budget.text, verdict.budget.limit_shown, value, said]


def _cells_of(result: Result, table: Table) -> Cells:
    """A table, with the verdicts in the rows that have budgets."""
    said: dict[str, str] = {}
    for verdict in judged([result]):
        budget = verdict.budget
        if budget.table == table.id and verdict.met is not None:
            said[budget.row] = "; ".join(filter(None, (said.get(budget.row), f"{budget.limit_shown}: {verdict.shown}")))
    return Cells.of(table, said)


# --- The parts of the page -------------------------------------------------------------------------------------------


def _head(found: Sequence[Result]) -> Iterator[str]:
    measured = sorted(result.measured for result in found)
    yield f"# Benchmark, {measured[0][:10] if measured else 'nothing measured'}"
    yield (
        "Every figure is paired with a reference that was measured right beside it, in turns: compare ratios, not "
        "figures. The programs are in [bench](../../../bench/); this page is made of the JSON beside it."
    )
    facts = {
        "command": _each("make bench-full" if result.effort == "full" else "make bench" for result in found),
        "measured": f"{_minute(measured[0])} to {_minute(measured[-1])}" if measured else "",
        "took": f"{number(sum(result.seconds for result in found) / 60)} minutes",
        "commit": _each(result.commit or "not known" for result in found),
    }
    names = dict.fromkeys(name for result in found for name in result.machine)
    facts |= {name: _each(result.machine.get(name, "") for result in found) for name in names}
    yield "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    yield _versions(found)


def _versions(found: Sequence[Result]) -> str:
    environments = {name: pins for result in found for name, pins in result.environments.items()}
    if not environments:
        return ""
    lines = ["<details><summary>Versions in each virtual environment</summary>\n"]
    for name, pins in environments.items():
        lines.append(f"* **{name}**: {', '.join(f'{package} {version}' for package, version in pins.items())}")
    return "\n".join([*lines, "\n</details>"])


def _budgets(found: Sequence[Result], folder: Path) -> Iterator[str]:
    verdicts = judged(found)
    titles = {result.section: result.title for result in found}
    yield "## Budgets"
    yield f"{summary(verdicts)}. A missed one says by how much, as a share of its limit."
    lines = [f"| {' | '.join(HEAD)} |\n|---|---|---|---|\n"]
    for section, of_section in groupby(verdicts, key=lambda verdict: verdict.budget.section):
        title = titles.get(section)
        lines.append(f"| **[{title}](#{section})** | | | |\n" if title else f"| **{section}** | | | |\n")
        lines += [f"| {' | '.join(_cells(verdict, _said(verdict, folder)))} |\n" for verdict in of_section]
    yield "".join(lines)


def _said(verdict: Verdict, folder: Path) -> str:
    if verdict.met is not False:
        return verdict.shown
    page = verdict.budget.page
    where = f": [what stands between]({os.path.relpath(ROOT / page, folder)})" if page else ""
    return f"**{verdict.shown}**{where}"


def _section(result: Result) -> Iterator[str]:
    # GitHub names headings by their words, which change; the anchor stays.
    yield f'<a id="{result.section}"></a>\n\n## {result.title}'
    yield result.how
    yield _noise(result)
    for table in result.tables:
        yield f"### {table.title}"
        yield f"![{table.title.replace('[', '(').replace(']', ')')}]({_picture(result, table)})"
        yield table.note
        yield _cells_of(result, table).markdown()
        yield remark(table)


def _noise(result: Result) -> str:
    noise = result.noise
    versions = ", ".join(f"{package} {version}" for package, version in result.versions.items())
    return (
        f"Measured by `make bench{'-full' if result.effort == 'full' else ''} ONLY={result.section}` until "
        f"{_minute(result.measured)} in {number(result.seconds)} s, {result.effort}. "
        f"Noise: load average {noise.load_before:.2f} before, {noise.load_after:.2f} after; "
        f"{percent(noise.stolen)} of the processor time was taken by the host for others."
        + (f" Versions: {versions}." if versions else "")
    )


def _picture(result: Result, table: Table) -> str:
    return f"{result.section}-{table.id}.svg"


def _each(values: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(value for value in values if value))


def _minute(measured: str) -> str:
    return f"{measured[:16].replace('T', ' ')} UTC"
