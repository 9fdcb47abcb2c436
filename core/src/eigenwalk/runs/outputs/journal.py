"""A walk's journal on disk: one small step per waypoint, so that a killed run loses only the one under way.

In the folder ``progress/``, for waypoint 7:

    0007.safetensors         latents, directions and images of the waypoints that are new
    0007.state.safetensors   the solver's state there; those of long ago are removed where they take much room
    0007.json                everything else; written last, it makes the waypoint count

Each JSON file has the sums of all three and of the JSON file before it, so that neither a changed byte nor a missing
file goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save

from eigenwalk.errors import FileError
from eigenwalk.path import (
    Path,
    leave_on_disk,
    path_entry,
    path_of,
    stack,
    waypoint_at,
    waypoint_entry,
)
from eigenwalk.sealed import json_text, open_sealed, read_tensors, seal, sum_of
from eigenwalk.store import write_whole

Arrays = dict[str, NDArray[Any]]
STATES = 256 << 20
"""Bytes of states that are kept beside the two newest ones, to go on from where an older waypoint is still good."""


@dataclass(frozen=True)
class Journal:
    """What is saved and good: the paths and the solver's `arrays` at their last waypoint.

    Attributes:
        damage: what is missing or damaged beyond that, in words.
        last: the sum of the newest JSON file.
    """

    paths: tuple[Path, ...] = ()
    arrays: Arrays = field(default_factory=dict)
    damage: str = ""
    last: str | None = None


NOTHING = Journal()


def save_waypoint(
    folder: FilePath, index: int, paths: Sequence[Path], arrays: Arrays, before: Journal = NOTHING
) -> Journal:
    """Add waypoint `index` to what was saved `before`; return what is saved now, whose images stay on disk.

    Raises:
        OSError: as the file system gives it; what was saved before still stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in _documents(folder):
        if int(stale.stem) >= index:  # beyond what was good
            stale.unlink()
    kept = {path.name: len(path) for path in before.paths}
    entries = [(path.name, waypoint) for path in paths for waypoint in path.waypoints[kept.get(path.name, 0) :]]
    tensors = save(stack([waypoint for _, waypoint in entries]))
    state = save({key: np.ascontiguousarray(value) for key, value in arrays.items()})
    document = seal(
        {
            "before": before.last,
            "tensors": sum_of(tensors),
            "state": sum_of(state),
            "paths": [path_entry(path) for path in paths],
            "waypoints": [{"path": name, **waypoint_entry(waypoint)} for name, waypoint in entries],
        }
    )
    file = folder / f"{index:04d}.json"
    write_whole(file.with_suffix(".safetensors"), tensors)
    write_whole(file.with_suffix(".state.safetensors"), state)
    write_whole(file, json_text(document))
    leave_on_disk([waypoint for _, waypoint in entries], file.with_suffix(".safetensors"))
    room = STATES
    for old in sorted(folder.glob("*.state.safetensors"), reverse=True)[2:]:
        room -= old.stat().st_size
        if room < 0:
            old.unlink(missing_ok=True)
    return Journal(tuple(paths), arrays, last=document["sum"])


def load_journal(folder: FilePath) -> Journal:
    """Return the paths up to the last good waypoint whose state is there too; nothing if there is none."""
    paths: dict[str, Path] = {}
    good: list[tuple[FilePath, dict[str, Any], dict[str, Path]]] = []
    damage, last = "", None
    for file in _documents(folder):
        try:
            document = open_sealed(file)
            if document.get("before") != last:
                raise FileError(f"the waypoint before {file} is missing or was replaced")
            paths = _extend(paths, document, file.with_suffix(".safetensors"))
        except FileError as error:
            damage = str(error)
            break
        except (ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
            damage = f"{file} is damaged: {error}"
            break
        last = document["sum"]
        good.append((file, document, paths))
    for file, document, paths in reversed(good):
        try:
            arrays = read_tensors(file.with_suffix(".state.safetensors"), document.get("state"))
            return Journal(tuple(paths.values()), arrays, damage, document["sum"])
        except (FileError, SafetensorError) as error:
            damage = damage or str(error)
    return Journal(damage=damage)


def _documents(folder: FilePath) -> list[FilePath]:
    return sorted(file for file in folder.glob("*.json") if file.stem.isdecimal())


def _extend(paths: Mapping[str, Path], document: Mapping[str, Any], file: FilePath) -> dict[str, Path]:
    """Return `paths` with the waypoints that `document` adds, their statuses as there; images stay in `file`."""
    tensors, extended = read_tensors(file, document.get("tensors")), dict(paths)
    for entry in document["paths"]:
        begun = path_of(entry)
        extended[begun.name] = replace(begun, waypoints=extended.get(begun.name, begun).waypoints)
    rows = [waypoint_at(entry, tensors, row) for row, entry in enumerate(document["waypoints"])]
    leave_on_disk(rows, file)
    for entry, waypoint in zip(document["waypoints"], rows, strict=True):
        if waypoint.index != len(extended[entry["path"]]):
            raise FileError(f"{file}: waypoint {len(extended[entry['path']])} of {entry['path']} is missing")
        extended[entry["path"]] = extended[entry["path"]].append(waypoint)
    return extended
