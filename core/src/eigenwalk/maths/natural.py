"""How a feature and the pixels go together on random samples: what a path's changes are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from eigenwalk.errors import Undefined
from eigenwalk.feature import Feature
from eigenwalk.maths.linearise.calls import freeze_near, values_of
from eigenwalk.maths.typical import typical_distance
from eigenwalk.shapes import Images

SHIFT = 1 / 32
"""Of a shifted copy, as a share of the image's width: two pixels of 64. A blurred copy loses smaller details."""
VIEWS = 9
"""An image itself, and shifted along either side or both."""


@dataclass(frozen=True)
class Natural:
    """One number of a feature, or its distance where it has many, on random samples.

    Attributes:
        typical: the median difference between two samples, in the feature's unit.
        kept: the slope of differences between blurred and shifted copies on those between the samples themselves.
        pixels: RMS pixels by which two samples that differ by a typical distance differ more than two that do not
            differ; NaN if the samples are too few to tell.
    """

    typical: float
    kept: float = math.nan
    pixels: float = math.nan

    @classmethod
    def of(cls, values: Tensor, copies: Tensor, images: Images) -> Natural:
        """Return it for one number `values` ``(samples,)``, the same in `copies`, and the samples' images.

        The squared distance of two images is taken for a line in the squared difference of their values.
        """
        i, j = torch.triu_indices(len(values), len(values), 1)
        apart = (values[i] - values[j]).double()
        typical = typical_difference(values)
        if not typical > 0:
            return cls(typical)
        flat = images.flatten(1).double()
        moved = torch.cdist(flat, flat)[i, j].square() / flat.shape[1]
        squared = (apart / typical).square()
        squared = squared - squared.mean()
        pixels = float((squared * moved).sum() / squared.square().sum())
        kept = float((apart * (copies[i] - copies[j])).sum() / apart.square().sum())
        return cls(typical, kept, math.sqrt(pixels) if pixels > 0 else math.nan)


def typical_difference(values: Tensor) -> float:
    """Return the median difference between two of `values` ``(samples,)``."""
    i, j = torch.triu_indices(len(values), len(values), 1)
    return float((values[i] - values[j]).double().abs().median())


def copies_of(images: Images) -> tuple[Images, ...]:
    """Return images ``(batch, 3, height, width)`` blurred, then shifted by a thirty-second of their width each way.

    A person reads the same in all of them; a network that a pattern of pixels has fooled does not.
    """
    height, width = images.shape[-2:]
    step = max(1, round(SHIFT * width))
    small = max(1, 2 * height // (2 + step)), max(1, 2 * width // (2 + step))
    blurred = interpolate(interpolate(images, small, mode="area"), (height, width), mode="bilinear")
    wide = pad(images, (step,) * 4, mode="replicate")
    ways = ((0, step), (2 * step, step), (step, 0), (step, 2 * step))
    return (blurred, *(wide[..., y : y + height, x : x + width] for x, y in ways))


def shifted(images: Images, views: Sequence[int]) -> Images:
    """Return images ``(batch, 3, height, width)``, each shifted as its number in `views` says, edges repeated.

    View 0 is the image itself; nine in a row go through all shifts of a thirty-second of the height and of the width
    either way, none included. Images below 16 pixels are too small to be shifted by so little.
    """
    height, width = images.shape[-2:]
    dy, dx = round(SHIFT * height), round(SHIFT * width)
    wide = pad(images, (dx, dx, dy, dy), mode="replicate")
    rows = []
    for image, view in zip(wide, views, strict=True):
        y, x = dy * ((view + 1) % 3), dx * ((view // 3 + 1) % 3)
        rows.append(image[:, y : y + height, x : x + width])
    return torch.stack(rows)


class InViews(Feature):
    """A feature whose value, if it is a few numbers, is the mean over nine views of each image; see `shifted`.

    Such a value carries no gradient: that of a few numbers is averaged by `eigenwalk.maths.cloud`.
    """

    def __init__(self, feature: Feature, few: int):
        self.feature, self.few = feature, few
        self.unit, self.differentiable, self.step = feature.unit, feature.differentiable, feature.step
        self.memories, self.remembered = feature.memories, feature.remembered

    def __call__(self, images: Images) -> Tensor:
        """The mean of the feature's values, or, if they are many, its value of the images themselves."""
        value = self.feature(images)
        if value[0].numel() > self.few or max(images.shape[-2:]) * SHIFT <= 0.5:
            return value
        with torch.no_grad():
            others = [self.feature(shifted(images, [view] * len(images))) for view in range(1, VIEWS)]
        return torch.stack([value.detach(), *others]).mean(0)

    def at(self, images: Images) -> InViews:
        """The feature frozen near the images as they are."""
        return InViews(self.feature.at(images), self.few)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> InViews:
        """The feature followed in the images as they are."""
        return InViews(self.feature.follow(images, remembered), self.few)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The feature's distance."""
        return self.feature.distance(a, b)

    def radius(self, distance: float, values: Tensor) -> Tensor:
        """The feature's radius."""
        return self.feature.radius(distance, values)


def copied_values(name: str, feature: Feature, images: Images) -> Tensor:
    """Return a feature's values ``(batch, ...)`` of `copies_of` images: half from the blurred, half from the shifted.

    Raises:
        Undefined, NumericalError, ContractError, PluginError: as `measure`.
    """
    blurred, *shifted = (measure(name, feature, copy)[1] for copy in copies_of(images))
    return (blurred + torch.stack(shifted).mean(0)) / 2


def measure(name: str, feature: Feature, images: Images) -> tuple[Feature, Tensor]:
    """Return the feature as it stands near the images, and its values there ``(batch, ...)``.

    Raises:
        Undefined: it has no value at some rows.
        NumericalError, ContractError, PluginError: as `values_of`.
    """
    with torch.no_grad():
        frozen = freeze_near(name, feature, images, ())
        return frozen, values_of(name, frozen, images)


def measure_each(name: str, feature: Feature, images: Images) -> dict[int, tuple[Feature, Tensor]]:
    """Return what `measure` gives for each image by itself, where the feature has a value there: ``(1, ...)``."""
    found: dict[int, tuple[Feature, Tensor]] = {}
    for row in range(len(images)):
        with suppress(Undefined):
            found[row] = measure(name, feature, images[row : row + 1])
    return found


def describe_samples(
    name: str, feature: Feature, images: Images, numbers: int = 1, copied: bool = True
) -> list[Natural]:
    """Return a `Natural` for each of the `numbers` that the feature's value has; if it has others, one of its distance.

    `images` are of random samples; those at which the feature has no value are left out. Empty if fewer than two have.
    Unless `copied`, typical differences alone are measured.

    Raises:
        WalkError: as `typical_distance`, of a feature with many values.
    """
    found = measure_each(name, feature, images)
    if len(found) < 2:
        return []
    rows, values = images[list(found)], torch.cat([value for _, value in found.values()])
    values = values.reshape(len(values), -1)
    if values.shape[1] != numbers:
        return [Natural(typical_distance((name, feature), images))] if numbers == 1 else []
    if not copied:
        return [Natural(typical_difference(value)) for value in values.unbind(1)]
    copies = torch.cat([copied_values(name, feature, image).reshape(1, -1) for image in rows.split(1)])
    return [Natural.of(value, copy, rows) for value, copy in zip(values.unbind(1), copies.unbind(1), strict=True)]
