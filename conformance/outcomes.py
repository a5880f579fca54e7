"""What the suite found, and what `expected.toml` says it finds.

A test of kind *required* or *optimal* passes or does not; one of kind *check* only asks a question and is no score.
Any other outcome says that the suite could not judge: a test this one depends on did not pass, or what had to be
prepared did not come about.
"""

import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["GOOD", "JUDGED", "KINDS", "Outcome", "Reason", "differences", "parse", "read_expected", "render", "revised"]

KINDS = {
    "required": ("pass", "fail"),
    "optimal": ("pass", "missed"),
    "check": ("yes", "no"),
}
"""The suite's kinds of test, and the two outcomes a judged one has: the good one first."""

GOOD = frozenset({"pass", "yes"})
JUDGED = frozenset(outcome for pair in KINDS.values() for outcome in pair)

HEAD = """\
# Every outcome of the public suite that is not a pass (or, where a test only asks, not a yes), by the reason for it.
# `python -m conformance --update` writes what came out and keeps the reasons; a reason is written by hand.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test and what came of it. ``detail`` is the suite's own message, empty where nothing was wrong."""

    id: str
    name: str
    section: str
    kind: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason, and what comes of it: test id → outcome."""

    why: str
    outcomes: dict[str, str]


def parse(results: str) -> list[Outcome]:
    """The outcomes as ``suite/client.mjs`` writes them, in the suite's order."""
    return [Outcome(**test) for test in json.loads(results)]


def read_expected(path: Path) -> list[Reason]:
    """What ``expected.toml`` says. Tests that it does not name are expected to pass."""
    if not path.exists():
        return []
    # Part of Python from 3.11 on; before, the name of the package it was made from.
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return [Reason(**because) for because in toml.loads(path.read_text(encoding="utf-8"))["because"]]


def revised(known: Iterable[Reason], outcomes: Sequence[Outcome]) -> list[Reason]:
    """The reasons for these outcomes: those known, with what came out, and an empty one for the tests none names."""
    left = {test.id: test.outcome for test in outcomes if test.outcome not in GOOD}
    found = []
    for reason in known:
        kept = {test.id: left.pop(test.id) for test in outcomes if test.id in reason.outcomes and test.id in left}
        found.append(Reason(reason.why, kept))
    return [reason for reason in (*found, Reason("", left)) if reason.outcomes]


def render(reasons: Iterable[Reason]) -> str:
    """The text of ``expected.toml``."""
    parts = [HEAD]
    for reason in reasons:
        lines = [f"{json.dumps(test)} = {json.dumps(outcome)}" for test, outcome in reason.outcomes.items()]
        why = json.dumps(reason.why, ensure_ascii=False)
        parts.append("\n".join(("[[because]]", f"why = {why}", "[because.outcomes]", *lines, "")))
    return "\n".join(parts)


def differences(outcomes: Iterable[Outcome], reasons: Iterable[Reason]) -> list[str]:
    """One sentence for each outcome that is not the expected one, either way, and each test without a reason."""
    expected = {test: (outcome, reason.why) for reason in reasons for test, outcome in reason.outcomes.items()}
    found = []
    for test in outcomes:
        outcome, why = expected.pop(test.id, ("", ""))
        if not outcome:
            wrong = "" if test.outcome in GOOD else "expected to pass"
        elif outcome != test.outcome:
            wrong = f"expected {outcome}"
        else:
            wrong = "" if why else "expected.toml does not say why"
        if wrong:
            said = f"; the suite says: {test.detail}" if test.detail else ""
            found.append(f"{test.id} ({test.kind}): {test.outcome}; {wrong}{said}")
    return found + [f"{test}: named in expected.toml, but the suite has no such test" for test in expected]
