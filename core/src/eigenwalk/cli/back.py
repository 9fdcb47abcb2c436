"""``eigenwalk back``: a path of a finished run shown only up to a waypoint, or whole again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer


def back(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    path: Annotated[str, typer.Argument(help="A path and its waypoint, seed0-1+:8; the path alone is whole again.")],
) -> None:
    """Take a path back to a waypoint: pictures, report and export then end there.

    eigenwalk back runs/hair seed0-1+:8

    Nothing is lost: the waypoints behind it stay saved, and eigenwalk back runs/hair seed0-1+ shows them again.
    """
    from eigenwalk.cli.errors import warn
    from eigenwalk.runs.outputs.folder import RunFolder

    found = re.fullmatch(r"(.+?)(?::(\d{1,9}))?", path)
    name, index = (found[1], found[2]) if found else (path, None)
    with RunFolder.open(run) as folder:
        folder.take_back(name, None if index is None else int(index))
        if notice := folder.write_outputs():
            warn(notice)
    typer.echo(str(run / "report.html"))
