"""A walk's progress on disk: one small step per waypoint, so that a killed run loses only the one under way.

In the folder ``progress/``, for waypoint 7:

    0007.safetensors         latents, directions and images of the waypoints that are new
    0007.state.safetensors   the solver's state there; that of waypoint 6 is then removed
    0007.json                everything else; written last, it makes the waypoint count
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from eigenwalk.errors import FileError
from eigenwalk.path import Cost, Path, Role, Status, Waypoint, stacked
from eigenwalk.store import write_whole

Arrays = dict[str, NDArray[Any]]
Entry = tuple[dict[str, Any], Arrays]


def save_progress(folder: FilePath, index: int, paths: Sequence[Path], kept: Mapping[str, int], arrays: Arrays) -> None:
    """Adds waypoint `index`: of every path the waypoints beyond the `kept` ones, and the solver's `arrays`.

    Raises:
        OSError: as the file system gives it; what was saved before still stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = [(path, waypoint) for path in paths for waypoint in path.waypoints[kept.get(path.name, 0) :]]
    tensors: Arrays = stacked([waypoint for _, waypoint in entries]) if entries else {}
    document = {
        "paths": [_path_entry(path) for path in paths],
        "waypoints": [_waypoint_entry(path, waypoint) for path, waypoint in entries],
    }
    stem = f"{index:04d}"
    write_whole(folder / f"{stem}.safetensors", save(tensors))
    write_whole(folder / f"{stem}.state.safetensors", save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    write_whole(folder / f"{stem}.json", json.dumps(document, indent=1, allow_nan=True))
    for state in folder.glob("*.state.safetensors"):
        if state.name != f"{stem}.state.safetensors":
            state.unlink(missing_ok=True)


def load_progress(folder: FilePath) -> tuple[tuple[Path, ...], Arrays]:
    """The paths as far as they were saved, and the solver's state at their last waypoint; nothing where none was.

    Raises:
        FileError: a file that counts is missing or damaged.
    """
    documents = sorted(file for file in folder.glob("*.json") if file.stem.isdigit())
    paths: dict[str, Path] = {}
    try:
        for file in documents:
            document = json.loads(file.read_text(encoding="utf-8"))
            _add(paths, document, load(file.with_suffix(".safetensors").read_bytes()))
        if not documents:
            return (), {}
        state = load(documents[-1].with_suffix(".state.safetensors").read_bytes())
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise FileError(
            f"the progress saved in {folder} is damaged ({error}): start again with --overwrite, "
            "or elsewhere with --out"
        ) from error
    return tuple(paths.values()), state


def _path_entry(path: Path) -> dict[str, Any]:
    return {
        "generator": path.generator,
        "seed": path.seed,
        "rank": path.rank,
        "sense": path.sense,
        "roles": [asdict(role) for role in path.roles],
        "status": asdict(path.status),
    }


def _waypoint_entry(path: Path, waypoint: Waypoint) -> dict[str, Any]:
    return {
        "path": path.name,
        "index": waypoint.index,
        "changes": waypoint.changes,
        "step_size": waypoint.step_size,
        "quotient": waypoint.quotient,
        "cost": asdict(waypoint.cost),
    }


def _add(paths: dict[str, Path], document: dict[str, Any], tensors: Arrays) -> None:
    """Takes one saved waypoint into `paths`; their statuses are those of the newest."""
    for entry in document["paths"]:
        roles = tuple(Role(**role) for role in entry["roles"])
        begun = Path(**{key: entry[key] for key in ("generator", "seed", "rank", "sense")}, roles=roles)
        known = paths.get(begun.name, begun)
        paths[begun.name] = replace(known, roles=roles, status=Status(**entry["status"]))
    for row, entry in enumerate(document["waypoints"]):
        waypoint = Waypoint(
            index=entry["index"],
            latent=tensors["latents"][row],
            image=tensors["images"][row],
            changes=entry["changes"],
            direction=tensors["directions"][row],
            step_size=entry["step_size"],
            quotient=entry["quotient"],
            cost=Cost(**entry["cost"]),
        )
        paths[entry["path"]] = paths[entry["path"]].append(waypoint)
