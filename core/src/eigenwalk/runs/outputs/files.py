"""Which files in a folder are a run's: their names, and how they are removed. What else lies there stays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path as FilePath

from eigenwalk.errors import OutputError, reason

RECIPE, PROGRESS, DONE, PATHS = "recipe.toml", "progress", "progress.done", "paths"
STATE = "state.safetensors"
PICTURES = r"(strip|walk|plot|changes|report)(-\d+)?\.(png|mp4|gif|csv|html)(\.part)?"
OURS = {
    PROGRESS: r"\d+(\.state)?\.(json|safetensors)(\.part)?",
    DONE: r"\d+(\.state)?\.(json|safetensors)(\.part)?",
    PATHS: r"(seed|start)\d+-\d+[+-]\.(json|safetensors)(\.part)?",
}
"""Folders of ours and the names in them; whatever else lies there is not ours, and stays."""
PART = r"\.[0-9a-f]{16}\.part"
"""What a killed process may leave of a file that it was writing."""


def ours(folder: FilePath, name: str) -> list[FilePath]:
    """Return a run's files in the subfolder `name`."""
    return [file for file in (folder / name).glob("*") if re.fullmatch(f"{OURS[name]}|{PART}", file.name)]


def clear(folder: FilePath) -> None:
    """Remove every file that a run may have written, but for its mark."""
    for name in OURS:
        clear_folder(folder, name)
    clear_pictures(folder)
    for name in (RECIPE, STATE):
        (folder / name).unlink(missing_ok=True)


def clear_folder(folder: FilePath, name: str) -> None:
    """Remove a run's files in the subfolder `name`, which goes if it is empty then."""
    for file in ours(folder, name):
        file.unlink(missing_ok=True)
    remove_empty([folder / name])


def clear_pictures(folder: FilePath, but: Sequence[str] = ()) -> None:
    """Remove a run's pictures, tables and pages, `but` for some."""
    for file in list(folder.iterdir()):
        if re.fullmatch(f"{PICTURES}|{PART}", file.name) and file.name not in but:
            file.unlink(missing_ok=True)


def create(path: FilePath) -> tuple[FilePath, ...]:
    """Create a folder; return what was created, innermost first.

    Raises:
        OutputError: there is a file, or it cannot be created.
    """
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{path} is a file: give a folder with --out") from None
    except OSError as error:
        remove_empty(missing)
        raise OutputError(f"cannot create the folder {path}: {reason(error)}; give another with --out") from error
    return tuple(missing)


def remove_empty(folders: Sequence[FilePath]) -> None:
    """Remove folders, innermost first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
