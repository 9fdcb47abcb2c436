"""The paths of a cell as arrays: changes, latents and cost at every waypoint.

Paths differ in length; values after the last waypoint of a path are NaN.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from eigenwalk.errors import FileError
from eigenwalk.generator import Generator
from eigenwalk.path import Path, Role
from eigenwalk.store import write_whole
from eigenwalk.walk.start import picture

Floats = NDArray[np.floating]
PICTURES = 6
"""Pictures of a path, evenly spaced in varied change from the start to the last level."""
PER_PATH = ("seeds", "ranks", "senses", "changes", "passes", "latents")


@dataclass(frozen=True)
class Paths:
    """Paths of one method from some seeds.

    Attributes:
        roles: the fixed features, then the varied ones.
        seeds, ranks, senses: of the paths, ``(paths,)``.
        changes: distance from the start as a share of typical, ``(paths, waypoints, roles)``.
        passes: what each waypoint took, in generator passes, ``(paths, waypoints)``.
        latents: ``(paths, waypoints, latent)``.
        endings: why each path ended: a word, and a sentence.
        seconds: of processor time, for all of them.
        levels: of varied change at which drift is reported.
        pictures: of the paths `shown`, evenly from the start to the last level, uint8
            ``(shown, 6, height, width, 3)``; black beyond a path's end.
        shown: paths with pictures, one of some seeds.
    """

    roles: tuple[Role, ...]
    seeds: NDArray[np.int64]
    ranks: NDArray[np.int64]
    senses: NDArray[np.int64]
    changes: Floats
    passes: Floats
    latents: Floats
    endings: tuple[tuple[str, str], ...]
    seconds: float
    levels: tuple[float, ...] = ()
    pictures: NDArray[np.uint8] | None = None
    shown: tuple[int, ...] = ()

    @classmethod
    def of(cls, paths: Sequence[Path], seconds: float, levels: tuple[float, ...] = ()) -> Paths:
        """Return the arrays of `paths`."""
        long, first = max(len(path) for path in paths), paths[0]
        roles = (*first.fixed, *first.varied)
        changes = np.full((len(paths), long, len(roles)), np.nan)
        passes = np.full((len(paths), long), np.nan)
        latents = np.full((len(paths), long, len(first.waypoints[0].latent)), np.nan, np.float32)
        for i, path in enumerate(paths):
            changes[i, : len(path)] = np.stack([path.change(role) for role in roles], 1)
            passes[i, : len(path)] = [waypoint.cost.passes for waypoint in path]
            latents[i, : len(path)] = path.latents
        return cls(
            roles,
            np.array([path.seed for path in paths], np.int64),
            np.array([path.rank for path in paths], np.int64),
            np.array([path.sense for path in paths], np.int64),
            changes,
            passes,
            latents,
            tuple((path.status.reason, path.status.detail) for path in paths),
            seconds,
            levels,
        )

    @property
    def picture_levels(self) -> list[float]:
        """The varied change at each picture."""
        return [self.levels[-1] * n / (PICTURES - 1) for n in range(PICTURES)]

    def rows(self, index: NDArray[np.integer]) -> Paths:
        """Return some of the paths, without pictures."""
        arrays = {name: getattr(self, name)[index] for name in PER_PATH}
        endings = tuple(self.endings[i] for i in index)
        return replace(self, **arrays, endings=endings, pictures=None, shown=())

    @property
    def varied(self) -> Floats:
        """How far what varies is from the start, ``(paths, waypoints)``: the mean of its features' shares."""
        return self.changes[..., self._fixed :].mean(-1)

    @property
    def drift(self) -> Floats:
        """How far what is fixed is from the start, ``(paths, waypoints)``: the root mean square of its shares."""
        if not self._fixed:
            return np.where(np.isnan(self.varied), np.nan, 0.0)
        return np.sqrt(np.square(self.changes[..., : self._fixed]).mean(-1))

    @property
    def outside(self) -> Any:
        """Whether any fixed feature is beyond its tolerance, ``(paths, waypoints)``."""
        limits = [role.tolerance / role.typical for role in self.roles[: self._fixed] if role.tolerance is not None]
        # A promise is kept in the feature's unit: the quotient of two floats may round one over the other.
        return np.any(self.changes[..., : self._fixed] > np.array(limits) * (1 + 1e-9), axis=-1)

    @property
    def _fixed(self) -> int:
        return sum(role.part == "fixed" for role in self.roles)

    def with_pictures(self, generator: Generator, shown: Sequence[int], like: torch.Tensor) -> Paths:
        """Return a copy with pictures of some paths, made on `like`'s device and in its dtype."""
        height, width = generator.resolution
        levels = self.picture_levels
        pictures = np.zeros((len(shown), len(levels), height, width, 3), np.uint8)
        for n, row in enumerate(shown):
            found = [(i, z) for i, level in enumerate(levels) if (z := self.latent_at(row, level)) is not None]
            with torch.no_grad():
                images = generator(torch.from_numpy(np.stack([z for _, z in found])).to(like))
            for (i, _), image in zip(found, picture(images), strict=True):
                pictures[n, i] = image
        return replace(self, pictures=pictures, shown=tuple(shown))

    def latent_at(self, row: int, level: float) -> Floats | None:
        """Return the latent where path `row` first reaches `level`, between two waypoints, or None."""
        place = crossing(self.varied[row], level)
        if place is None:
            return None
        before = int(place)
        after = min(before + 1, self.latents.shape[1] - 1)
        share = place - before
        z = self.latents[row, before]
        return z if share == 0 else (1 - share) * z + share * self.latents[row, after]

    def save(self, file: FilePath) -> None:
        """Write it, whole or not at all; raises OSError."""
        facts = {
            "roles": [asdict(role) for role in self.roles],
            "endings": self.endings,
            "seconds": self.seconds,
            "levels": self.levels,
            "shown": self.shown,
        }
        names = (*PER_PATH, "pictures")
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in names if getattr(self, name) is not None}
        write_whole(file, save(arrays, {"walked": json.dumps(facts)}))

    @classmethod
    def load(cls, file: FilePath) -> Paths:
        """Return what `save` wrote.

        Raises:
            FileError: the file is missing or damaged.
        """
        arrays, facts = load_arrays(file, "walked")
        return cls(
            roles=tuple(Role(**role) for role in facts["roles"]),
            endings=tuple((reason, detail) for reason, detail in facts["endings"]),
            seconds=facts["seconds"],
            levels=tuple(facts["levels"]),
            shown=tuple(facts["shown"]),
            **arrays,
        )


def crossing(varied: Floats, level: float) -> float | None:
    """Return where a line of waypoints first reaches `level`, as a fractional index; None where it never does.

    >>> crossing(np.array([0.0, 0.2, 0.6, np.nan]), 0.3), crossing(np.array([0.0, 0.2, 0.1]), 0.3)
    (1.25, None)
    """
    reached = np.flatnonzero(varied >= level)
    if not len(reached):
        return None
    after = int(reached[0])
    if after == 0:
        return 0.0
    a, b = float(varied[after - 1]), float(varied[after])
    return after - 1 + (level - a) / (b - a)


def drift_at(walked: Paths, level: float) -> Floats:
    """Return the drift of every path where what varies first reaches `level`, ``(paths,)``; NaN where it never does."""
    return value_at(walked.drift, walked.varied, level)


def value_at(values: Floats, varied: Floats, level: float) -> Floats:
    """Interpolate `values` ``(paths, waypoints)`` to where `varied` first reaches `level`, ``(paths,)``.

    >>> value_at(np.array([[0.0, 0.1, 0.3]]), np.array([[0.0, 0.2, 0.6]]), 0.4)
    array([0.2])
    """
    out = np.full(len(values), np.nan)
    for i, (value, line) in enumerate(zip(values, varied, strict=True)):
        place = crossing(line, level)
        if place is not None:
            before = int(place)
            share = place - before
            out[i] = value[before] if share == 0 else (1 - share) * value[before] + share * value[before + 1]
    return out


def clock(like: torch.Tensor) -> float:
    """Return processor seconds of this process on a CPU, wall-clock seconds on another device."""
    return time.process_time() if like.device.type == "cpu" else time.monotonic()


def load_arrays(file: FilePath, what: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays of a saved cell and the facts under `what` in its head.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        with safe_open(file, "numpy") as opened:
            facts = json.loads((opened.metadata() or {})[what])
            return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118 - no mapping
    except Exception as error:  # safetensors, json and a missing key each raise their own
        raise FileError(
            f"{file} is not a saved cell, or is damaged: {error}; remove it, and it is computed again"
        ) from error
