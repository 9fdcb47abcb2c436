"""The plugin's hooks: the command `invert`, and the folders that it leaves; no torch."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec, GeneratorSpec, Option

FOUND = "found.json"
"""The file that makes a folder one of ours."""


@hookimpl
def eigenwalk_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="invert",
            load="eigenwalk_invert.command:invert",
            summary="Find photographs in a generator: latents to walk from, and the generator tuned to them.",
        )
    ]


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """Photographs found by eigenwalk invert: its folder."""
    if checkpoint.inside(FOUND) is None:
        return None
    from eigenwalk.sealed import open_sealed  # imports numpy: only for a folder that is ours

    document = open_sealed(path / FOUND)
    if not document.get("latents"):
        raise FileError(f"{path} is an inversion that was stopped: the command that began it goes on")
    return GeneratorSpec(
        name="found",
        load="eigenwalk_invert.found:opened",
        summary="the generator in which photographs were found, and they as its starts",
        options=(Option("trust", "bool", False, "run the Python file that the generator is in"),),
        licence="of the generator",
        spaces=(str(document.get("space", "z")),),
        starts=(str(path),),
        opens=document["generator"] if isinstance(document.get("generator"), str) else "",
        api=1,
    )
