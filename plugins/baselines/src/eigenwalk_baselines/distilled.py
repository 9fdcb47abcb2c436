"""One direction for many images: what walks from many seeds did, averaged, in a file that a walk follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import CompositionError, FileError
from eigenwalk.path import Path
from eigenwalk.shapes import Basis
from eigenwalk.store import write_whole
from eigenwalk_baselines.vectors import everywhere

ROUNDS = 20
"""Of turning seeds round; a few settle it."""


@dataclass(frozen=True)
class Average:
    """The mean of unit displacements of one rank.

    Attributes:
        direction: a unit vector ``(latent,)``.
        agreement: mean cosine of the seeds' own displacements with it.
        seeds: that were averaged.
        turned: seeds whose senses were swapped, since they went the other way round.
    """

    direction: NDArray[np.float64]
    agreement: float
    seeds: tuple[int, ...]
    turned: tuple[int, ...]


def average(paths: Sequence[Path]) -> Average:
    """Return the average of `paths` of one rank: each seed's mean displacement from start to end, in units.

    A path of sense - counts backwards. As + and - mean something only where one number varies, a seed that went against
    the mean of all is turned round.

    Raises:
        CompositionError: no path took a step.
    """
    rows: dict[int, list[NDArray[np.float64]]] = {}
    for path in paths:
        moved = path.sense * (path.waypoints[-1].latent - path.waypoints[0].latent).astype(np.float64)
        if (length := float(np.linalg.norm(moved))) > 0:
            rows.setdefault(path.seed, []).append(moved / length)
    if not rows:
        raise CompositionError("no path took a step: there is nothing to average")
    means = np.stack([np.mean(one, 0) for one in rows.values()])
    senses = np.ones(len(means))
    for _ in range(ROUNDS):
        against = np.where(means @ (senses @ means) < 0, -1.0, 1.0)
        if (against == senses).all():
            break
        senses = against
    if senses.sum() < 0:
        senses = -senses
    mean = senses @ means
    direction = mean / max(float(np.linalg.norm(mean)), np.finfo(float).tiny)
    cosines = senses * (means @ direction) / np.linalg.norm(means, axis=1).clip(np.finfo(float).tiny)
    turned = tuple(seed for seed, sense in zip(rows, senses, strict=True) if sense < 0)
    return Average(direction, float(cosines.mean()), tuple(rows), turned)


def distil(paths: Sequence[Path], out: FilePath) -> list[Average]:
    """Average the paths of each rank, and write the directions, first ranks first, to `out`.

    Raises:
        CompositionError: the paths are of several generators, or none took a step.
        OSError: as the file system gives it.
    """
    if len(generators := sorted({path.generator for path in paths})) != 1:
        raise CompositionError(f"paths must be of one generator, got {', '.join(generators) or 'none'}")
    found = [average([path for path in paths if path.rank == rank]) for rank in sorted({path.rank for path in paths})]
    facts = {
        "generator": generators[0],
        "fixed": [role.name for role in paths[0].fixed],
        "varied": [role.name for role in paths[0].varied],
        "seeds": sorted({path.seed for path in paths}),
        "agreement": [one.agreement for one in found],
    }
    directions = np.stack([one.direction for one in found]).astype(np.float32)
    write_whole(out, save({"directions": np.ascontiguousarray(directions)}, {"distilled": json.dumps(facts)}))
    return found


class Distilled(Directions):
    """Directions from a file, the same for all images.

    Args:
        file: of safetensors, with unit vectors ``directions`` ``(k, latent)``: what `distil` writes.
    """

    def __init__(self, file: str | FilePath):
        self.file = FilePath(file).expanduser()
        try:
            with safe_open(self.file, "pt") as opened:
                vectors = opened.get_tensor("directions").double()
        except (OSError, SafetensorError) as error:
            raise FileError(
                f"{self.file} holds no directions: {error}; eigenwalk distil RUN -o {self.file} writes some"
            ) from error
        if vectors.ndim != 2 or not len(vectors) or not bool(vectors.isfinite().all()):
            raise FileError(f"{self.file} must hold finite directions (k, latent), got {tuple(vectors.shape)}")
        self.vectors = vectors

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """The first `k` directions ``(batch, k, latent)``.

        Raises:
            CompositionError: they are of another latent, or fewer than `k`.
        """
        n, dim = self.vectors.shape
        if dim != sight.dim:
            raise CompositionError(f"{self.file} is of latents with {dim} coordinates, this generator has {sight.dim}")
        if n < k:
            raise CompositionError(f"{self.file} holds {n} directions and {k} are asked for: give --paths {2 * n}")
        return everywhere(self.vectors[:k].to(torch.float64), sight)
