"""An evaluation as it goes on: a bar on a terminal, a line a cell elsewhere. All on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.cli.progress import duration

if TYPE_CHECKING:
    from eigenwalk_evaluate.folder import Told


class Shown(Protocol):
    """Where an evaluation's progress is shown."""

    def told(self, told: Told) -> None:
        """Take what is told of a cell."""


@contextmanager
def progress(cells: int, quiet: bool) -> Iterator[Shown]:
    """What suits standard error: nothing, a bar, or plain lines."""
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
    """A line for every cell that is done, and for those kept from before one in all."""

    def __init__(self, cells: int, quiet: bool):
        self.cells, self.quiet, self.done, self.kept, self.began = cells, quiet, 0, 0, time.monotonic()

    def told(self, told: Told) -> None:
        """Print it."""
        if told.what == "begins":
            self.began = time.monotonic()
            if self.kept:
                self._print(f"{self.kept} cells were computed before")
                self.done, self.kept = self.done + self.kept, 0
        elif told.what == "kept":
            self.kept += 1
        elif told.what in ("done", "failed"):
            self.done += 1
            took = duration(time.monotonic() - self.began)
            what = f"{told.cell.kind} {told.cell.label}"
            failed = f" failed: {told.reason}" if told.what == "failed" else ""
            self._print(f"{self.done} of {self.cells}: {what}{failed}, {took}")

    def _print(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


class Bar:
    """A bar over all cells, and one within the cell that is computed."""

    def __init__(self, bar: Progress, cells: int):
        self.bar = bar
        self.all = bar.add_task("cells", total=cells)
        self.one = bar.add_task("", total=1.0, visible=False)

    def told(self, told: Told) -> None:
        """Moves the bars; a failure stays above them."""
        text = f"{told.cell.kind} {told.cell.label}"
        if told.what == "begins":
            self.bar.reset(self.one, total=1.0, description=Text(text, overflow="ellipsis").plain[-60:], visible=True)
        elif told.what == "goes on":
            self.bar.update(self.one, completed=told.share)
        else:
            self.bar.advance(self.all)
            self.bar.update(self.one, visible=False)
        if told.what == "failed":
            self.bar.console.print(Text.assemble(("failed: ", "bold yellow"), f"{text}: {told.reason}"))
