"""Typical distances: how far apart a feature finds two random samples of a generator."""

from __future__ import annotations

import torch

from eigenwalk.errors import Undefined, WalkError
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation, Named, Point
from eigenwalk.maths.problem import Region

SAMPLES = 24
MANY = 256
SEED = 20221023
"""Of the samples; no seed that people walk from."""


def typical_distance(
    generator: Generator,
    named: Named,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    batch: int = 8,
) -> float:
    """Return the median distance between two of 24 samples, for a named feature in its own unit.

    Samples at which the feature has no value (no face, an empty mask) are left out.

    Raises:
        WalkError: the feature has a value at fewer than two samples, or is the same at all of them.
    """
    name, latents = named[0], generator.sample(SAMPLES, SEED).to(device, dtype)
    points, undefined = _points(Linearisation(generator, (named,), differences=1.0), latents, batch)
    values = [value for point in points for value in point.values[0]]
    if len(values) < 2:
        raise WalkError(
            f"{name} has no value at {len(latents) - len(values)} of {len(latents)} samples: {undefined}", name
        )
    distances, before = [], 0
    for point in points:
        # The feature as it stands near each image judges the pairs that this image is one of.
        feature, own = point.features[0][1], point.values[0]
        for i, other in enumerate(values):
            apart = feature.distance(other.expand_as(own), own).double()
            distances += [float(d) for row, d in enumerate(apart) if before + row != i]
        before += len(own)
    every = torch.tensor(distances, dtype=torch.float64)
    median = float(every.median())
    if not median > 0:
        where = f"most of {len(values)}" if bool((every > 0).any()) else f"all {len(values)}"
        said = f"{name} is the same at {where} samples of the generator: it can be neither held nor varied"
        raise WalkError(said, name)
    return median


def latent_scale(generator: Generator) -> float:
    """Return the median Euclidean distance between two sampled latents."""
    z = generator.sample(SAMPLES, SEED).double()
    return float((z - z.roll(1, 0)).norm(dim=1).median())


def typical_region(generator: Generator) -> Region:
    """Return the mean of sampled latents, and the distance from it within which 99 of 100 lie."""
    z = generator.sample(MANY, SEED).double()
    mean = z.mean(0)
    return Region(mean, float((z - mean).norm(dim=1).quantile(0.99)))


def _points(look: Linearisation, latents: torch.Tensor, batch: int) -> tuple[list[Point], WalkError | None]:
    """Return points at all latents where the feature has a value, and the error of the others."""
    points, said = [], None
    for z in latents.split(batch):
        while len(z):
            try:
                points.append(look.at(z))
                break
            except Undefined as error:
                said = error
                bad = set(error.rows or range(len(z)))
                z = z[[i for i in range(len(z)) if i not in bad]]
    return points, said
