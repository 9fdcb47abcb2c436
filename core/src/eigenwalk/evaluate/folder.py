"""An evaluation's folder: every cell saved as soon as it is there, and the whole told after the last.

cells/                  a file for every cell, under the hash of all that it depends on
grid.toml               what was evaluated, with versions
evaluation.md, cells.csv, curves.csv, *.png, index.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from eigenwalk.errors import EigenwalkError, FileError, OutputError
from eigenwalk.evaluate.judge import Judged
from eigenwalk.evaluate.limit import Limit
from eigenwalk.evaluate.plan import Cell, Plan
from eigenwalk.evaluate.summary import Summary, summarise
from eigenwalk.evaluate.walked import Walked
from eigenwalk.evaluate.work import Result, work
from eigenwalk.outputs.lock import NAME as LOCK
from eigenwalk.outputs.lock import Lock
from eigenwalk.outputs.whole import why, write_whole
from eigenwalk.registry import Registry

CELLS, GRID = "cells", "grid.toml"
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

    A cell that fails is told of and costs the others nothing. `only` leaves other cells as they are.

    Raises:
        InputError: one of `only` names no cell.
        OutputError: the folder holds something else, another process writes there, or it cannot be written.
    """
    chosen = {cell.key for cell in plan.chosen(only)}
    lock = _claim(out)
    try:
        results: dict[str, Result] = {}
        failures: dict[str, str] = {}
        write_whole(out / GRID, grid_text(plan))
        for cell in plan.cells:
            _settle(cell, out, registry, cell.key in chosen, results, failures, listener)
        summary = summarise(plan, results, failures)
        _write(summary, out)
        return summary
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {why(error)}; every finished cell is kept there") from error
    finally:
        lock.release()


def grid_text(plan: Plan) -> str:
    """The grid with the versions, weights and files that took part, in TOML."""
    provenance = tomli_w.dumps({key: table for key, table in plan.provenance.items() if table})
    # As comments: what was evaluated can be read again, with other versions too.
    return (
        plan.grid.text()
        + "\n# What took part:\n#\n"
        + re.sub(r"^", "# ", provenance.strip(), flags=re.MULTILINE)
        + "\n"
    )


def _settle(
    cell: Cell,
    out: Path,
    registry: Registry,
    wanted: bool,
    results: dict[str, Result],
    failures: dict[str, str],
    listener: Listener,
) -> None:
    """Puts the result of a cell into `results`, or why it has none into `failures`."""
    file = out / CELLS / f"{cell.key}.safetensors"
    if file.is_file():
        try:
            results[cell.key] = KINDS[cell.kind].load(file)
            listener(Told(cell, "kept"))
            return
        except FileError:
            file.unlink()  # damaged: it is made again
    if not wanted:
        return
    lacking = [one for one in cell.after if one.key not in results]
    # A limit begins from whatever walks there are; a judge needs the very one.
    if lacking and cell.kind == "judge":
        if lacking[0].key in failures:
            failures[cell.key] = "what it judges failed"
        return
    listener(Told(cell, "begins"))
    try:
        after = [results[one.key] for one in cell.after if one.key in results]
        result = work(cell, after, registry, lambda share: listener(Told(cell, "goes on", share)))
    except Exception as error:  # plugins' code runs in there, and one of them must not cost the others' cells
        named = "" if isinstance(error, EigenwalkError) else f"{type(error).__name__}: "
        failures[cell.key] = f"{named}{error}"
        listener(Told(cell, "failed", reason=failures[cell.key]))
        return
    file.parent.mkdir(exist_ok=True)
    result.save(file)
    results[cell.key] = result
    listener(Told(cell, "done", 1.0))


def _claim(out: Path) -> Lock:
    """The folder, made and locked."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        others = {entry.name for entry in out.iterdir()} - {LOCK}
        if others and GRID not in others:
            names = ", ".join(sorted(others)[:4]) + (", …" if len(others) > 4 else "")
            raise OutputError(f"{out} holds other files ({names}), not an evaluation: give another folder with --out")
        return Lock(out)
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {why(error)}; give another folder with --out") from error


def _write(summary: Summary, out: Path) -> None:
    """Writes tables, plots and the page of a summary."""
    from eigenwalk.evaluate.page import page
    from eigenwalk.evaluate.plots import pair_png, summary_png
    from eigenwalk.evaluate.tables import cells_csv, curves_csv, markdown

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
    write_whole(out / "evaluation.md", markdown(summary, plots))
    write_whole(out / "index.html", page(summary, grid_text(summary.plan)))


def slug(text: str) -> str:
    """A file's name for a label.

    >>> slug("rooms.part(sofa) held, the rest varied")
    'rooms.part-sofa-held-the-rest-varied'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:80] or "pair"
