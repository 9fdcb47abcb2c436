"""Where the thing that a mask covers stands, and how large it is."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor

from eigenwalk.errors import Undefined
from eigenwalk.feature import Feature, Projection
from eigenwalk.shapes import Images, Values
from eigenwalk_masks.masked import MIN_COVER, uncovered_rows
from eigenwalk_masks.plugin import SIDE


def moments(coverage: Tensor) -> Tensor:
    """Centre and size of soft masks ``(batch, 1, height, width)``: (x, y, width, height), ``(batch, 4)``.

    x and y are the mean of the covered pixels, width and height √12 times the root of their variance: those of a
    box that is covered evenly. All are shares of the image's width and height, from the top left. Coverage c counts by
    its squared odds, c² / (c² + (1 - c)²): the little that a soft mask has everywhere would otherwise draw the centre
    towards the middle of the image.

    >>> left = torch.zeros(1, 1, 8, 8)
    >>> left[..., 2:6, :4] = 1
    >>> moments(left)
    tensor([[0.2500, 0.5000, 0.5000, 0.5000]])
    """
    c = coverage[:, 0]
    mass = c.square() / (c.square() + (1 - c).square())
    x, width = _along(mass.sum(1))
    y, height = _along(mass.sum(2))
    return torch.stack([x, y, width, height], 1)


def _along(mass: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and extent, ``(batch,)`` each, of masses ``(batch, pixels)`` along a side of length 1."""
    n = mass.shape[1]
    at = (torch.arange(n, dtype=mass.dtype, device=mass.device) + 0.5) / n
    total = mass.sum(1)
    mean = (mass * at).sum(1) / total
    # 1 / (12 n²) is the variance inside one pixel.
    variance = (mass * (at - mean[:, None]).square()).sum(1) / total + 1 / (12 * n**2)
    return mean, (12 * variance).sqrt()


class Measure(Feature):
    """A measure of what a projection covers, which moves with the image even where the measure is frozen."""

    def __init__(self, projection: Projection):
        self.projection = projection
        self.memories, self.remembered = projection.memories, projection.remembered

    def at(self, images: Images) -> Self:
        """The measure as it stands near these images.

        Raises:
            Undefined: the projection covers too little of some of them.
        """
        return self._near(self.projection.at(images), images)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> Self:
        """The measure of the projection, followed; raises as `at`."""
        return self._near(self.projection.follow(images, remembered), images)

    def _near(self, frozen: Projection, images: Images) -> Self:
        near = copy.copy(self)
        # A projection that follows an object knows which one only when frozen; any other finds its coverage anew.
        near.projection = frozen if self.projection.memories else self.projection
        near.memories, near.remembered = near.projection.memories, frozen.remembered
        with torch.enable_grad():
            coverage = near.projection.coverage(images.detach().requires_grad_())
        rows = uncovered_rows(coverage.detach())
        if rows:
            message = f"less than {MIN_COVER:.1%} of the image is covered: there is no object to measure"
            raise Undefined(message, rows=rows)
        near.hold(coverage.detach(), coverage.requires_grad, images)
        return near

    @abstractmethod
    def hold(self, coverage: Tensor, traced: bool, images: Images) -> None:
        """Keep what stands still near `images`, given their `coverage` and whether it has a gradient."""


class Position(Measure):
    """Centre and size of what a projection covers: (x, y, width, height), shares of the image's sides.

    Frozen, it is differentiable where the projection's coverage is.
    """

    unit = SIDE

    def __call__(self, images: Images) -> Values:
        """The positions ``(batch, 4)`` of what is covered in images ``(batch, 3, height, width)``."""
        return moments(self.projection.coverage(images))

    def hold(self, coverage: Tensor, traced: bool, images: Images) -> None:
        """Note whether it can be differentiated."""
        self.differentiable = traced


def position(of: Projection) -> Position:
    """The position of what the projection `of` covers.

    Raises:
        CompositionError: it covers no region (a frequency band), as is found when the feature is first used.
    """
    return Position(of)
