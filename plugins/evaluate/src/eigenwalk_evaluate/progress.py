"""Show progress on standard error: a bar on a terminal, otherwise a line for every cell."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.runs.watch import duration

if TYPE_CHECKING:
    from eigenwalk_evaluate.folder import CellEvent


class Display(Protocol):
    """Shows the progress of an evaluation."""

    def update(self, event: CellEvent) -> None:
        """Show an event of a cell."""


@contextmanager
def show_progress(cells: int, quiet: bool) -> Iterator[Display]:
    """Give the display that suits standard error: none, a bar, or plain lines."""
    if quiet or not sys.stderr.isatty():
        yield Lines(cells, quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        yield Bar(bar, cells)


class Lines:
    """Prints a line for every cell that is done, and one for all that were computed before."""

    def __init__(self, cells: int, quiet: bool):
        self.cells, self.quiet, self.done, self.kept, self.began = cells, quiet, 0, 0, time.monotonic()

    def update(self, event: CellEvent) -> None:
        """Print a line if the cell is done."""
        if event.what == "begins":
            self.began = time.monotonic()
            if self.kept:
                self._print(f"{self.kept} cells were computed before")
                self.done, self.kept = self.done + self.kept, 0
        elif event.what == "kept":
            self.kept += 1
        elif event.what in ("done", "failed"):
            self.done += 1
            took = duration(time.monotonic() - self.began)
            what = f"{event.cell.kind} {event.cell.label}"
            failed = f" failed: {event.reason}" if event.what == "failed" else ""
            self._print(f"{self.done} of {self.cells}: {what}{failed}, {took}")

    def _print(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


class Bar:
    """Shows a bar for all cells, and one for the cell that is computed."""

    def __init__(self, bar: Progress, cells: int):
        self.bar = bar
        self.all = bar.add_task("cells", total=cells)
        self.one = bar.add_task("", total=1.0, visible=False)

    def update(self, event: CellEvent) -> None:
        """Move the bars; a failure stays above them."""
        text = f"{event.cell.kind} {event.cell.label}"
        if event.what == "begins":
            self.bar.reset(self.one, total=1.0, description=Text(text, overflow="ellipsis").plain[-60:], visible=True)
        elif event.what == "goes on":
            self.bar.update(self.one, completed=event.share)
        else:
            self.bar.advance(self.all)
            self.bar.update(self.one, visible=False)
        if event.what == "failed":
            self.bar.console.print(Text.assemble(("failed: ", "bold yellow"), f"{text}: {event.reason}"))
