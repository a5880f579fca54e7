"""Tables, colours and progress on a terminal, by ``rich`` (the extra ``hotplate[cli]``).

Everything goes through ``Text``: nothing that is written is read as markup, as a link or as the name of an emoji.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hotplate.cli.display import Cell, Column, Display, Style, shown

__all__ = ["RichDisplay", "progress"]

STYLES: dict[Style, str] = {
    "": "",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "dim": "dim",
    "strong": "bold",
}


def _console(out: TextIO) -> Console:
    return Console(file=out, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _rich(part: str | Cell) -> Text:
    cell = part if isinstance(part, Cell) else Cell(part)
    return Text(shown(cell.text), style=STYLES[cell.style])


class RichDisplay(Display):
    """For a terminal."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        super().__init__(out, err)
        self._console = _console(out)

    def again(self) -> None:
        """In place of what was written before."""
        self._console.clear()

    def line(self, *parts: str | Cell) -> None:
        """As ``Display.line``."""
        self._console.print(Text.assemble(*(_rich(part) for part in parts)))

    def remark(self, marks: Sequence[tuple[Cell, int]], *texts: str | Cell) -> None:
        """As ``Display.remark``; what is too long goes on below its beginning."""
        grid = Table.grid(padding=(0, 1, 0, 0))
        for _mark, width in marks:
            grid.add_column(min_width=width, overflow="fold")
        grid.add_column(ratio=1, overflow="fold")
        for number, text in enumerate(texts):
            grid.add_row(*("" if number else _rich(mark) for mark, _width in marks), _rich(text))
        self._console.print(grid, soft_wrap=False)

    def heading(self, text: str) -> None:
        """As ``Display.heading``."""
        self._console.print(Text(shown(text), style="bold"))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> None:
        """As ``Display.table``."""
        table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False)
        for column in columns:
            # What is narrow stays whole; what is wide is folded, never cut short.
            table.add_column(
                column.name,
                justify="right" if column.is_number else "left",
                overflow="fold",
                no_wrap=not column.is_wide,
                ratio=1 if column.is_wide else None,
            )
        for row in rows:
            table.add_row(*(_rich(cell) for cell in row))
        self._console.print(table, soft_wrap=False)


@contextmanager
def progress(err: TextIO, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; what it gives is called for each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console(err), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
