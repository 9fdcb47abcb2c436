"""Evaluate into a folder: save every cell once it is computed, and write tables, plots and the page after the last.

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
from eigenwalk_evaluate.judge import Judgement
from eigenwalk_evaluate.limit import Limit
from eigenwalk_evaluate.paths import Paths
from eigenwalk_evaluate.plan import Cell, Plan
from eigenwalk_evaluate.reading import Reading
from eigenwalk_evaluate.runs import Runs
from eigenwalk_evaluate.summary import Summary, summarise
from eigenwalk_evaluate.work import Result, compute_cell

CELLS, GRID = "cells", "grid.toml"
MARK = "\n# What took part:\n#\n"
"""Marks a grid that an evaluation wrote, and so a folder of ours."""
WAIT = 0.5
"""Seconds to wait for cells that other processes compute."""
KINDS: dict[str, type[Paths | Judgement | Reading | Limit]] = {
    "walk": Paths,
    "lines": Paths,
    "judge": Judgement,
    "read": Reading,
    "limit": Limit,
}


@dataclass(frozen=True)
class CellEvent:
    """A cell ``begins``, ``goes on`` (with the share done), was ``kept`` from before, is ``done``, or ``failed``."""

    cell: Cell
    what: str
    share: float = 0.0
    reason: str = ""


Listener = Callable[[CellEvent], object]


def evaluate(
    plan: Plan, out: Path, registry: Registry, only: Sequence[str] = (), listener: Listener = lambda event: None
) -> Summary:
    """Compute the cells of `plan` that `out` lacks, write everything there, and return the numbers.

    A cell that fails is reported, and the others go on. `only` selects cells. Several processes may share a folder:
    each takes cells that no other computes, and the last one to end writes about all.

    Raises:
        InputError: one of `only` names no cell.
        OutputError: the folder holds something else, or it cannot be written.
    """
    left = list(plan.select(only))
    _claim(out)
    try:
        with _lock(out):
            write_whole(out / GRID, grid_text(plan))
        work = _Work(out, Runs(registry), listener)
        while left:
            waiting = [cell for cell in left if not work.try_compute(cell)]
            if len(waiting) == len(left):
                time.sleep(WAIT)  # other processes compute all of them, or what they depend on
            left = waiting
        with _lock(out):
            summary = summarise(plan, work.load_all(plan.cells), work.failures)
            _write(summary, out)
        return summary
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {reason(error)}; every finished cell is kept there") from error


def grid_text(plan: Plan) -> str:
    """Return the grid with the versions, weights and files that took part, in TOML."""
    provenance = tomli_w.dumps({key: table for key, table in plan.provenance.items() if table})
    # As comments: what was evaluated can be read again, with other versions too.
    return plan.grid.text() + MARK + re.sub(r"^", "# ", provenance.strip(), flags=re.MULTILINE) + "\n"


class _Work:
    """Compute the cells of a folder that no other process is computing."""

    def __init__(self, out: Path, runs: Runs, listener: Listener):
        self.cells, self.runs, self.listener = out / CELLS, runs, listener
        self.results: dict[str, Result] = {}
        self.failures: dict[str, str] = {}
        self.cells.mkdir(exist_ok=True)

    def try_compute(self, cell: Cell) -> bool:
        """Compute the cell if it has no result and no other process is at it; return whether it is done or failed."""
        if self._load(cell):
            self.listener(CellEvent(cell, "kept"))
            return True
        try:
            lock = Lock(self.cells, f"{cell.key}.lock")
        except OutputError:
            return False
        try:
            if self._load(cell):  # somebody has just saved it
                self.listener(CellEvent(cell, "kept"))
                return True
            return self._compute(cell)
        finally:
            lock.release()

    def load_all(self, cells: Sequence[Cell]) -> dict[str, Result]:
        """Load every result in the folder, those of other processes included."""
        for cell in cells:
            self._load(cell)
        return self.results

    def _compute(self, cell: Cell) -> bool:
        """Compute the cell; return False if another process still computes what it depends on."""
        lacking = [one for one in cell.after if not self._load(one)]
        if any(self._is_taken(one) for one in lacking):
            return False
        # A limit starts from any walks that exist; a judge needs its own.
        if lacking and cell.kind in ("judge", "read"):
            if lacking[0].key in self.failures:
                self.failures[cell.key] = "the walk to judge failed"
            return True
        self.listener(CellEvent(cell, "begins"))
        try:
            after = [self.results[one.key] for one in cell.after if one.key in self.results]
            result = compute_cell(
                cell, after, self.runs, lambda share: self.listener(CellEvent(cell, "goes on", share))
            )
        except Exception as error:  # plugins' code runs in there, and one of them must not cost the others' cells
            named = "" if isinstance(error, EigenwalkError) else f"{type(error).__name__}: "
            self.failures[cell.key] = f"{named}{error}"
            self.listener(CellEvent(cell, "failed", reason=self.failures[cell.key]))
            return True
        result.save(self._file(cell))
        self.results[cell.key] = result
        self.listener(CellEvent(cell, "done", 1.0))
        return True

    def _load(self, cell: Cell) -> bool:
        """Load the cell's result, and return whether it has one; a damaged file is removed."""
        if cell.key not in self.results and self._file(cell).is_file():
            try:
                self.results[cell.key] = KINDS[cell.kind].load(self._file(cell))
            except FileError:
                self._file(cell).unlink(missing_ok=True)
        return cell.key in self.results

    def _is_taken(self, cell: Cell) -> bool:
        """Return whether another process computes the cell."""
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
        # A grid.toml of the user's own lacks the mark.
        ours = (out / GRID).is_file() and MARK in read_text(out / GRID, "grid")
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {reason(error)}; give another folder with --out") from error
    if not ours and any(not name.endswith(".part") for name in others):
        names = ", ".join(sorted(others)[:4]) + (", …" if len(others) > 4 else "")
        raise OutputError(f"{out} holds other files ({names}), not an evaluation: give another folder with --out")


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    """Hold the lock of the folder's own files; wait while another process writes them."""
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
    """Write tables, plots and the page of a summary."""
    from eigenwalk_evaluate.page import page
    from eigenwalk_evaluate.plots import pair_png, summary_png
    from eigenwalk_evaluate.tables import cells_csv, curves_csv, markdown

    write_whole(out / "cells.csv", cells_csv(summary))
    write_whole(out / "curves.csv", curves_csv(summary))
    plots = {}
    for n, pair in enumerate(summary.plan.pairs, 1):
        rows = summary.of(pair)
        if rows and pair.is_ordinary:
            plots[pair.generator, pair.name] = name = f"{n:02d}-{slug(pair.generator)}-{slug(pair.name)}.png"
            write_whole(out / name, pair_png(rows, summary.limit_of(pair)))
    if plots:
        write_whole(out / "summary.png", summary_png(summary))
    write_whole(
        out / "evaluation.md", markdown(summary, [("every pair and method", "summary.png")] if plots else [], plots)
    )
    write_whole(out / "index.html", page(summary, grid_text(summary.plan)))


def slug(text: str) -> str:
    """Return a label as a file name.

    >>> slug("rooms.part(sofa) held, the rest varied")
    'rooms.part-sofa-held-the-rest-varied'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:80] or "pair"
