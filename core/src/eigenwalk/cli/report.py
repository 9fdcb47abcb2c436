"""``eigenwalk report``: pictures and report of a run, made again from what was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or stopped.")],
    whole: Annotated[bool, typer.Option("--all", help="Draw every path of a large run, not the first 384.")] = False,
) -> None:
    """Make the pictures, the table and the report of a run again."""
    from eigenwalk.cli.errors import warn
    from eigenwalk.runs.outputs.folder import RunFolder

    with RunFolder.open(folder) as run:
        if run.damage:
            warn(f"{run.damage}. The report shows the rest")
        if notice := run.write_outputs(whole):
            warn(notice)
    typer.echo(str(folder / "report.html"))
