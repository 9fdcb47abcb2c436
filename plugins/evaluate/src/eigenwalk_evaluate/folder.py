"""An evaluation's folder: every cell saved as soon as it is there, and the whole told after the last.

cells/                  a file for every cell, under the hash of all that it depends on
grid.toml               what was evaluated, with versions
evaluation.md, cells.csv, curves.csv, *.png, index.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from eigenwalk.errors import EigenwalkError, FileError, OutputError, reason
from eigenwalk.names.registry import Registry
from eigenwalk.runs.outputs.lock import NAME as LOCK
from eigenwalk.runs.outputs.lock import Lock
from eigenwalk.store import write_whole
from eigenwalk.textfile import read_text
from eigenwalk_evaluate.judge import Judged
from eigenwalk_evaluate.limit import Limit
from eigenwalk_evaluate.plan import Cell, Plan
from eigenwalk_evaluate.runs import Runs
from eigenwalk_evaluate.summary import Summary, summarise
from eigenwalk_evaluate.walked import Walked
from eigenwalk_evaluate.work import Result, work

CELLS, GRID = "cells", "grid.toml"
MARK = "\n# What took part:\n#\n"
"""In the grid that an evaluation writes: the folder is one of ours."""
WAIT = 0.5
"""Seconds between two looks at what other processes are at."""
KINDS: dict[str, type[Walked | Judged | Limit]] = {"walk": Walked, "lines": Walked, "judge": Judged, "limit": Limit}


@dataclass(frozen=True)
class Told:
    """What a listener is told of a cell: ``begins``, ``goes on`` (with its share), ``kept``, ``done``, ``failed``."""

    cell: Cell
    what: str
    share: float = 0.0
    reason: str = ""


Listener = Callable[[Told], object]


def evaluate(
    plan: Plan,
    out: Path,
    registry: Registry,
    only: Sequence[str] = (),
    listener: Listener = lambda told: None,
) -> Summary:
    """The numbers of `plan`, computed where `out` has them not, and written there.

    A cell that fails is told of and costs the others nothing. `only` leaves other cells as they are. Several processes
    may do this at once: each takes cells that no other is at, and whoever ends last tells of all.

    Raises:
        InputError: one of `only` names no cell.
        OutputError: the folder holds something else, or it cannot be written.
    """
    left = list(plan.chosen(only))
    _claim(out)
    try:
        with _lock(out):
            write_whole(out / GRID, grid_text(plan))
        work = _Work(out, Runs(registry), listener)
        while left:
            waiting = [cell for cell in left if not work.settled(cell)]
            if len(waiting) == len(left):
                time.sleep(WAIT)  # others are at all of them, or at what they come after
            left = waiting
        with _lock(out):
            summary = summarise(plan, work.all(plan.cells), work.failures)
            _write(summary, out)
        return summary
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {reason(error)}; every finished cell is kept there") from error


def grid_text(plan: Plan) -> str:
    """The grid with the versions, weights and files that took part, in TOML."""
    provenance = tomli_w.dumps({key: table for key, table in plan.provenance.items() if table})
    # As comments: what was evaluated can be read again, with other versions too.
    return plan.grid.text() + MARK + re.sub(r"^", "# ", provenance.strip(), flags=re.MULTILINE) + "\n"


class _Work:
    """Cells of a folder, taken one by one while other processes take others."""

    def __init__(self, out: Path, runs: Runs, listener: Listener):
        self.cells, self.runs, self.listener = out / CELLS, runs, listener
        self.results: dict[str, Result] = {}
        self.failures: dict[str, str] = {}
        self.cells.mkdir(exist_ok=True)

    def settled(self, cell: Cell) -> bool:
        """Whether the cell has a result or has failed; where nobody else is at it, it is computed."""
        if self._found(cell):
            self.listener(Told(cell, "kept"))
            return True
        try:
            lock = Lock(self.cells, f"{cell.key}.lock")
        except OutputError:
            return False
        try:
            if self._found(cell):  # somebody has just saved it
                self.listener(Told(cell, "kept"))
                return True
            return self._computed(cell)
        finally:
            lock.release()

    def all(self, cells: Sequence[Cell]) -> dict[str, Result]:
        """Every result there is, those of other processes among them."""
        for cell in cells:
            self._found(cell)
        return self.results

    def _computed(self, cell: Cell) -> bool:
        """Whether it was computed, or failed; not where another process is at what it comes after."""
        lacking = [one for one in cell.after if not self._found(one)]
        if any(self._taken(one) for one in lacking):
            return False
        # A limit begins from whatever walks there are; a judge needs the very one.
        if lacking and cell.kind == "judge":
            if lacking[0].key in self.failures:
                self.failures[cell.key] = "what it judges failed"
            return True
        self.listener(Told(cell, "begins"))
        try:
            after = [self.results[one.key] for one in cell.after if one.key in self.results]
            result = work(cell, after, self.runs, lambda share: self.listener(Told(cell, "goes on", share)))
        except Exception as error:  # plugins' code runs in there, and one of them must not cost the others' cells
            named = "" if isinstance(error, EigenwalkError) else f"{type(error).__name__}: "
            self.failures[cell.key] = f"{named}{error}"
            self.listener(Told(cell, "failed", reason=self.failures[cell.key]))
            return True
        result.save(self._file(cell))
        self.results[cell.key] = result
        self.listener(Told(cell, "done", 1.0))
        return True

    def _found(self, cell: Cell) -> bool:
        """Whether the cell has a result, now loaded; a damaged file is taken away."""
        if cell.key not in self.results and self._file(cell).is_file():
            try:
                self.results[cell.key] = KINDS[cell.kind].load(self._file(cell))
            except FileError:
                self._file(cell).unlink(missing_ok=True)
        return cell.key in self.results

    def _taken(self, cell: Cell) -> bool:
        """Whether another process is at it."""
        try:
            Lock(self.cells, f"{cell.key}.lock").release()
        except OutputError:
            return True
        return False

    def _file(self, cell: Cell) -> Path:
        return self.cells / f"{cell.key}.safetensors"


def _claim(out: Path) -> None:
    """Create the folder, or raise OutputError if it holds anything but an evaluation."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        others = {entry.name for entry in out.iterdir()} - {LOCK}
        # A grid.toml of the user's own says nothing of what took part.
        ours = (out / GRID).is_file() and MARK in read_text(out / GRID, "grid")
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {reason(error)}; give another folder with --out") from error
    if not ours and any(not name.endswith(".part") for name in others):
        names = ", ".join(sorted(others)[:4]) + (", …" if len(others) > 4 else "")
        raise OutputError(f"{out} holds other files ({names}), not an evaluation: give another folder with --out")


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    """The folder's own files, for as long as they are written; waits where another process writes them."""
    while True:
        try:
            lock = Lock(out)
            break
        except OutputError:
            time.sleep(WAIT)
    try:
        yield
    finally:
        lock.release()


def _write(summary: Summary, out: Path) -> None:
    """Writes tables, plots and the page of a summary."""
    from eigenwalk_evaluate.page import page
    from eigenwalk_evaluate.plots import pair_png, summary_png
    from eigenwalk_evaluate.tables import cells_csv, curves_csv, markdown

    write_whole(out / "cells.csv", cells_csv(summary))
    write_whole(out / "curves.csv", curves_csv(summary))
    plots = {}
    for n, pair in enumerate(summary.plan.pairs, 1):
        rows = summary.of(pair)
        if rows and not pair.attributes:
            plots[pair.generator, pair.name] = name = f"{n:02d}-{slug(pair.generator)}-{slug(pair.name)}.png"
            write_whole(out / name, pair_png(rows, summary.limit_of(pair)))
    if plots:
        write_whole(out / "summary.png", summary_png(summary))
    write_whole(
        out / "evaluation.md", markdown(summary, [("every pair and method", "summary.png")] if plots else [], plots)
    )
    write_whole(out / "index.html", page(summary, grid_text(summary.plan)))


def slug(text: str) -> str:
    """A file's name for a label.

    >>> slug("rooms.part(sofa) held, the rest varied")
    'rooms.part-sofa-held-the-rest-varied'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:80] or "pair"
