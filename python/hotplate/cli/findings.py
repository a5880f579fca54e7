"""What an examination finds: lines with a level, for people and for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hotplate.cli.display import Cell, Display, Style
from hotplate.cli.ends import DONE, FOUND

__all__ = ["Finding", "Level", "as_json", "show", "status_of"]

Level = Literal["ok", "warn", "fail"]

_STYLES: dict[Level, Style] = {"ok": "good", "warn": "warn", "fail": "bad"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """What it is about, in a word or two; a route's path."""
    text: str
    """How it is."""
    remedy: str = ""
    """What to do about it."""


def show(findings: Iterable[Finding], display: Display, *, width: int = 12) -> list[Finding]:
    """Writes each as it comes, and gives all. ``width``: how wide the subjects stand."""
    shown = []
    for one in findings:
        shown.append(one)
        marks = [(Cell(one.level, _STYLES[one.level]), 4), (Cell(one.subject, "strong"), width)]
        display.remark(marks, one.text, *([Cell(one.remedy, "dim")] if one.remedy else []))
    return shown


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """For programs."""
    return [asdict(one) for one in findings]


def status_of(findings: Sequence[Finding], *, strict: bool) -> int:
    """1 where something fails; with ``strict`` also where there is a warning."""
    levels = {one.level for one in findings}
    return FOUND if "fail" in levels or (strict and "warn" in levels) else DONE
