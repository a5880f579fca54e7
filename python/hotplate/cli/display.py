"""What is written, and how: tables for people on a terminal, plain columns into a pipe, JSON for programs.

Whatever comes from a cache (keys, tags, URLs, what a server says) is written as text: ``shown`` escapes what a terminal
would obey, and nothing is ever read as markup.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TextIO

__all__ = ["Cell", "Column", "Display", "PlainDisplay", "Style", "display_for", "shown"]

Style = Literal["", "good", "warn", "bad", "dim", "strong"]
"""What a text means; how that looks is the terminal's affair."""

INSTALL = "for tables and colours: pip install 'hotplate[cli]'"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a meaning."""

    text: str
    style: Style = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    is_number: bool = False
    is_wide: bool = False
    """Whether it may take what room the others leave, over several lines."""


def shown(text: object) -> str:
    """A text as it may be written to a terminal: what does not print, and the backslash, as an escape of Python's."""
    return "".join(one if one.isprintable() and one != "\\" else _escaped(one) for one in str(text))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class Display(ABC):
    """Where a command writes what people read, and what programs read."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it."""
        return self._out.isatty()

    def tell(self, message: str) -> None:
        """A line for people on standard error, beside what the command gives."""
        self._err.write(f"hotplate: {shown(message)}\n")
        self._err.flush()

    def json(self, value: Any) -> None:
        """One JSON document on one line; text beyond ASCII is escaped."""
        self._out.write(json.dumps(value, ensure_ascii=True) + "\n")
        self._out.flush()

    def raw(self, text: str) -> None:
        """A text of this program's own, as it is."""
        self._out.write(text)
        self._out.flush()

    def again(self) -> None:
        """What follows is what was written before, as it is now."""
        self.line("")

    @abstractmethod
    def line(self, *parts: str | Cell) -> None:
        """A line of text."""

    def remark(self, marks: Sequence[tuple[Cell, int]], *texts: str | Cell) -> None:
        """Marks of these widths, and beside the first text the others below it."""
        for number, text in enumerate(texts):
            lead = [Cell(f"{mark.text if not number else '':<{width}} ", mark.style) for mark, width in marks]
            self.line(*lead, text)

    @abstractmethod
    def heading(self, text: str) -> None:
        """A line that stands above what follows."""

    @abstractmethod
    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> None:
        """Rows under the names of their columns. Every text is escaped."""

    def fields(self, pairs: Iterable[tuple[str, str | Cell]]) -> None:
        """Names and what belongs to them, one below the other."""
        known = list(pairs)
        width = max((len(name) for name, _ in known), default=0)
        for name, value in known:
            self.line(Cell(f"{name:<{width}}  ", "dim"), value)


class PlainDisplay(Display):
    """Text without colours and without frames; columns stand two spaces apart at least."""

    def line(self, *parts: str | Cell) -> None:
        """As ``Display.line``."""
        self._out.write("".join(shown(_text(part)) for part in parts).rstrip() + "\n")

    def heading(self, text: str) -> None:
        """As ``Display.heading``."""
        self._out.write(f"{shown(text)}\n")

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> None:
        """As ``Display.table``."""
        lines = [[column.name.upper() for column in columns]]
        lines += [[shown(_text(cell)) for cell in row] for row in rows]
        widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
        for line in lines:
            cells = zip(columns, line, widths, strict=True)
            padded = [text.rjust(width) if column.is_number else text.ljust(width) for column, text, width in cells]
            self._out.write("  ".join(padded).rstrip() + "\n")


def _text(part: str | Cell) -> str:
    return part.text if isinstance(part, Cell) else part


def display_for(out: TextIO, err: TextIO, *, as_json: bool = False) -> Display:
    """What fits where the output goes: tables by ``rich`` on a terminal, where it is installed; else plain text."""
    if as_json or not out.isatty():
        return PlainDisplay(out, err)
    if find_spec("rich") is None:
        err.write(INSTALL + "\n")
        return PlainDisplay(out, err)
    from hotplate.cli.terminal import RichDisplay

    return RichDisplay(out, err)
