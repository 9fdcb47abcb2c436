"""``eigenwalk report``: pictures and report of a run, made again from what was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or stopped.")]) -> None:
    """Make the pictures, the table and the report of a run again."""
    from eigenwalk.cli.errors import warn
    from eigenwalk.runs.outputs.folder import RunFolder, load_run
    from eigenwalk.runs.outputs.lock import Lock

    paths, recipe = load_run(folder)
    with RunFolder(folder, Lock(folder), paths=paths, recipe=recipe) as run:
        notice = run.write_outputs()
    if notice:
        warn(notice)
    typer.echo(str(folder / "report.html"))
