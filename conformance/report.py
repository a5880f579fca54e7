"""The outcomes as tables: for the terminal, and the same in Markdown for `docs/conformance.md`."""

from collections.abc import Iterable, Sequence

from conformance.outcomes import JUDGED, KINDS, Outcome, Reason

__all__ = ["insert", "markdown", "text"]

BEGIN = "<!-- Written by `make conformance`; everything between these two lines is replaced. -->"
END = "<!-- End of what `make conformance` writes. -->"

Row = tuple[str, ...]
HEADINGS: Row = ("section", *(f"{kind}: {good}" for kind, (good, _) in KINDS.items()), "not judged")


def text(outcomes: Sequence[Outcome]) -> str:
    """A table by section and kind, with totals."""
    rows = [HEADINGS, *_rows(outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def markdown(outcomes: Sequence[Outcome], reasons: Sequence[Reason]) -> str:
    """The same table, and by kind everything that is not a pass, with the reason."""
    parts = [_table(HEADINGS, _rows(outcomes))]
    for kind, (good, _) in KINDS.items():
        others = {test.id for test in outcomes if test.kind == kind and test.outcome != good}
        rows = [
            (_tests(outcome, [test for test in reason.outcomes if reason.outcomes[test] == outcome]), reason.why)
            for reason in (Reason(one.why, _only(one.outcomes, others)) for one in reasons)
            for outcome in dict.fromkeys(reason.outcomes.values())
        ]
        if rows:
            parts += [f"### {kind.capitalize()}: not a {good}", _table(("tests", "why"), rows)]
    return "\n\n".join(parts)


def _only(outcomes: dict[str, str], tests: set[str]) -> dict[str, str]:
    return {test: outcome for test, outcome in outcomes.items() if test in tests}


def _tests(outcome: str, tests: Sequence[str]) -> str:
    return f"{outcome}: " + ", ".join(f"`{test}`" for test in tests)


def insert(page: str, generated: str) -> str:
    """The page with the generated part replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the tables")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def _rows(outcomes: Iterable[Outcome]) -> list[Row]:
    sections: dict[str, list[Outcome]] = {}
    everything: list[Outcome] = []
    for test in outcomes:
        sections.setdefault(test.section, []).append(test)
        everything.append(test)
    return [_row(name, tests) for name, tests in (*sections.items(), ("all", everything))]


def _row(name: str, tests: list[Outcome]) -> Row:
    cells = []
    for kind, (good, _) in KINDS.items():
        of_kind = [test.outcome for test in tests if test.kind == kind]
        cells.append(f"{of_kind.count(good)} of {len(of_kind)}" if of_kind else "")
    unjudged = sum(test.outcome not in JUDGED for test in tests)
    return (name, *cells, str(unjudged or ""))


def _table(headings: Row, rows: Iterable[Row]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
