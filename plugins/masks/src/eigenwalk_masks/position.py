"""Where what a mask covers stands, and how large it is."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.errors import Undefined
from eigenwalk.feature import Feature, Projection
from eigenwalk.shapes import Images, Values
from eigenwalk_masks.masked import LEAST, little
from eigenwalk_masks.plugin import SIDE


def moments(coverage: Tensor) -> Tensor:
    """Centre and size of soft masks ``(batch, 1, height, width)``: (x, y, width, height), ``(batch, 4)``.

    x and y are the mean of the covered pixels, width and height √12 times the root of their variance: those of a
    box that is covered evenly. All are shares of the image's width and height, from the top left. What is covered
    counts by its squared odds, c² / (c² + (1 - c)²): the little that a soft mask has everywhere would otherwise draw
    the centre towards the middle of the image.

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
    """Mean and extent, ``(batch,)`` each, of masses ``(batch, pixels)`` along one side, which is 1 long."""
    n = mass.shape[1]
    at = (torch.arange(n, dtype=mass.dtype, device=mass.device) + 0.5) / n
    total = mass.sum(1)
    mean = (mass * at).sum(1) / total
    # A pixel is as wide as it is: 1 / (12 n²) is the variance inside one.
    variance = (mass * (at - mean[:, None]).square()).sum(1) / total + 1 / (12 * n**2)
    return mean, (12 * variance).sqrt()


class Position(Feature):
    """Centre and size of what a projection covers: (x, y, width, height), shares of the image's sides.

    Frozen, it is differentiable where the projection's coverage is.
    """

    unit = SIDE

    def __init__(self, projection: Projection):
        self.projection = projection
        self.memories, self.remembered = projection.memories, projection.remembered

    def __call__(self, images: Images) -> Values:
        """The positions ``(batch, 4)`` of what is covered in images ``(batch, 3, height, width)``."""
        return moments(self.projection.coverage(images))

    def at(self, images: Images) -> Feature:
        """The feature of the projection as it stands near these images.

        Raises:
            Undefined: it covers too little of some of them.
        """
        return self._near(self.projection.at(images), images)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> Feature:
        """The feature of the projection, followed; raises as `at`."""
        return self._near(self.projection.follow(images, remembered), images)

    def _near(self, frozen: Projection, images: Images) -> Position:
        near = Position(asked(self.projection, frozen))
        near.remembered = frozen.remembered
        near.differentiable = seen(near.projection, images)[1]
        return near


def asked(projection: Projection, frozen: Projection) -> Projection:
    """The projection whose coverage changes with the image, near those that it is `frozen` near.

    One that remembers nothing is as good as ever; one that follows an object knows which when it is frozen.
    """
    return frozen if projection.memories else projection


@torch.enable_grad()
def seen(projection: Projection, images: Images) -> tuple[Tensor, bool]:
    """The coverage ``(batch, 1, height, width)`` of the images, and whether the gradient goes through it.

    Raises:
        Undefined: it covers too little of some of them to say where it is.
    """
    coverage = projection.coverage(images.detach().requires_grad_())
    rows = little(coverage.detach())
    if rows:
        raise Undefined(f"less than {LEAST:.1%} of the image is covered: there is no object to measure", rows=rows)
    return coverage.detach(), coverage.requires_grad


def position(of: Projection) -> Position:
    """Where what the projection `of` covers stands.

    Raises:
        CompositionError: it covers no region (a frequency band); told when the feature is first used.
    """
    return Position(of)
