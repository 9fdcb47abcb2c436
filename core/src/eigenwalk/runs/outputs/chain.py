"""A walk that starts at a waypoint of an earlier one, which may start at a waypoint of one before: a chain.

A path says where it starts in `Path.given`, relative to the working folder of then; ``run.json`` says it relative to
the run's folder too, so that folders that lie together can be moved together. Whether an earlier walk is still the one
that was started from, its latent decides. No torch here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk.path import Path
from eigenwalk.sealed import open_sealed, sum_of

WAYPOINT = r"(.+\.(?:json|safetensors))(?::(\d{1,9}))?"
RUN = "run.json"
LONGEST = 100
"""Links that are looked for: a chain of files may be a circle."""


@dataclass(frozen=True)
class Chain:
    """What came before a path.

    Attributes:
        links: the earlier paths, the first first, each up to the waypoint where the next one starts.
        walked: how many waypoints each of them has in all.
        lost: what is missing before the first link, in words; "" if the chain is whole.
    """

    links: tuple[Path, ...] = ()
    walked: tuple[int, ...] = ()
    lost: str = ""


def chain_of(path: Path, folder: FilePath | None = None) -> Chain:
    """Return what came before `path`, which is saved in the run's `folder`, if in any; pictures stay on disk."""
    links: list[Path] = []
    walked: list[int] = []
    while (found := re.fullmatch(WAYPOINT, path.given)) and len(links) < LONGEST:
        lost = f"{path.given} is missing or damaged"
        for file in _places(found[1], folder):
            with suppress(FileError):
                earlier = Path.load(file, hold_images=False)
                index = len(earlier) - 1 if found[2] is None else int(found[2])
                if _begins_at(path, earlier, index):
                    break
                lost = f"{path.given} has changed since then"
        else:
            return Chain(tuple(links), tuple(walked), lost)
        links.insert(0, replace(earlier, waypoints=earlier.waypoints[: index + 1]))
        walked.insert(0, len(earlier) - 1)
        path, folder = earlier, file.absolute().parent.parent
    return Chain(tuple(links), tuple(walked))


def is_saved_path(file: FilePath) -> bool:
    """Return whether `file` is one of a saved path's two files: other tools write .json beside .safetensors too.

    Raises:
        FileError: it is a .safetensors file with .json beside it, and damaged.
    """
    both = (".json", ".safetensors")
    if file.suffix not in both or not all(file.with_suffix(ending).is_file() for ending in both):
        return False
    return {"latents", "directions", "images"} <= set(Checkpoint.of(file.with_suffix(".safetensors")).tensors)


def latent_sum(text: str) -> str | None:
    """Return the SHA-256 of the latent that ``FILE.json:8`` names; None if `text` names no waypoint of a saved path.

    The file itself changes whenever its walk goes on, or is judged.

    Raises:
        FileError: the file is missing or damaged, or has no such waypoint.
    """
    found = re.fullmatch(WAYPOINT, text)
    file = FilePath(found[1]).expanduser() if found else FilePath(text)
    if found is None or not is_saved_path(file):
        return None
    waypoints = Path.load(file, hold_images=False).waypoints
    index = len(waypoints) - 1 if found[2] is None else int(found[2])
    if index >= len(waypoints):
        raise FileError(f"{file} has waypoints 0 to {len(waypoints) - 1}, and {index} is asked for")
    return sum_of(waypoints[index].latent.tobytes())


def places(paths: Sequence[Path], folder: FilePath, known: Mapping[str, str]) -> dict[str, str]:
    """Return where the files lie that `paths` start in, relative to `folder`; where one is gone, what was known."""
    found = dict(known)
    for given in dict.fromkeys(path.given for path in paths):
        if (match := re.fullmatch(WAYPOINT, given)) and (file := FilePath(match[1]).expanduser()).is_file():
            found[match[1]] = FilePath(os.path.relpath(file, folder)).as_posix()
    return found


def known_places(mark: Mapping[str, Any]) -> dict[str, str]:
    """Return what `places` gave when a run's mark was written."""
    places = mark.get("starts", {})
    is_text = isinstance(places, dict) and all(isinstance(one, str) for pair in places.items() for one in pair)
    return places if is_text else {}


def _places(text: str, folder: FilePath | None) -> list[FilePath]:
    """Return where the file may lie that was called `text` when a walk into `folder` began."""
    places = [FilePath(text).expanduser()]
    if folder is not None:
        with suppress(FileError):
            near = known_places(open_sealed(folder / RUN)).get(text)
            places = [*([folder / near] if near else []), *places]
    return places


def _begins_at(path: Path, earlier: Path, index: int) -> bool:
    if index >= len(earlier):
        return False
    here, there = path.waypoints[0].latent, earlier.waypoints[index].latent
    return here.shape == there.shape and np.array_equal(here, there.astype(here.dtype))
