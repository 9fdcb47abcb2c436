"""Typical distances: how far apart a feature finds two random samples of a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eigenwalk.errors import Undefined, WalkError
from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Named
from eigenwalk.maths.linearise.calls import freeze_near, images_of, values_of
from eigenwalk.maths.linearise.tracker import Tracker
from eigenwalk.maths.problem import Region
from eigenwalk.shapes import Images

SAMPLES = 24
MANY = 256
SEED = 20221023
"""Of the samples; no seed that people walk from."""
ROWS, ROOM = 8, 1 << 28
"""Samples at once, and bytes of tensors that they may take by default: larger batches of large images are no faster."""

Near = tuple[Feature, Tensor]
"""A feature as it stands near some samples, and its values there."""


@torch.no_grad()
def reference_images(
    generator: Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    room: int = ROOM,
    watch: Callable[[int], object] = lambda rows: None,
) -> Images:
    """Return the images ``(24, 3, height, width)`` of the samples that typical distances are measured at.

    They are made in batches of at most `room` bytes; `watch` is called with the rows of each.

    Raises:
        NumericalError, PluginError, OutOfMemory: as `eigenwalk.maths.linearise.calls.images_of`.
    """
    latents = generator.sample(SAMPLES, SEED).to(device, dtype)

    def make(z: Tensor) -> Tensor:
        images = images_of(generator, z)
        watch(len(z))
        return images

    with Tracker() as tracker:
        first = make(latents[:1])
    return torch.cat([first, *(make(z) for z in latents[1:].split(rows_within(tracker.peak, room)))])


def rows_within(peak: int, room: int) -> int:
    """Return how many rows to compute at once where one takes `peak` bytes, and there are `room` for all."""
    return max(1, min(ROWS, min(room, ROOM) // max(1, peak)))


@torch.no_grad()
def typical_distance(named: Named, images: Images, room: int = ROOM) -> float:
    """Return the median distance between two of `images` ``(n, 3, height, width)``, for a feature in its own unit.

    Images at which the feature has no value (no face, an empty mask) are left out.

    Raises:
        WalkError: the feature has a value at fewer than two samples, or is the same at all of them.
    """
    name = named[0]
    near, undefined = _values_near(named, images, room)
    # Frozen as itself, the feature is the same near every image: each pair once gives the same median.
    once = all(feature is named[1] for feature, _ in near)
    values = [value for _, own in near for value in own]
    if len(values) < 2:
        raise WalkError(
            f"{name} has no value at {len(images) - len(values)} of {len(images)} samples: {undefined}", name
        )
    every = torch.tensor(_distances(near, values, once), dtype=torch.float64)
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


def _distances(near: list[Near], values: list[Tensor], once: bool) -> list[float]:
    """Return the distances of all pairs: judged by the feature as it stands near each of the two, or `once` alone."""
    found, before = [], 0
    for feature, own in near:
        for i, other in enumerate(values):
            first = max(0, i + 1 - before) if once else 0
            if first < len(own):
                apart = feature.distance(other.expand_as(own[first:]), own[first:]).double()
                found += [float(d) for row, d in enumerate(apart, before + first) if row != i]
        before += len(own)
    return found


def _values_near(named: Named, images: Images, room: int) -> tuple[list[Near], WalkError | None]:
    """Return the feature near all images where it has a value, batch by batch, and the error of the others."""
    said: WalkError | None = None

    def look(some: Tensor) -> list[Near]:
        nonlocal said
        while len(some):
            try:
                frozen = freeze_near(*named, some, ())
                return [(frozen, values_of(named[0], frozen, some))]
            except Undefined as error:
                said = error
                bad = set(error.rows or range(len(some)))
                some = some[[i for i in range(len(some)) if i not in bad]]
        return []

    with Tracker() as tracker:
        near = look(images[:1])
    for batch in images[1:].split(rows_within(tracker.peak, room)):
        near += look(batch)
    return near, said
