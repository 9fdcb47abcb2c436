"""The image times a mask: what all masks have in common."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from eigenwalk.feature import Projection
from eigenwalk.shapes import Distances, Images
from eigenwalk_masks.plugin import MASK

MIN_COVER = 0.001
"""Smallest share of the image that an object must cover, where its mask is above 1/2: 4 pixels of 64 x 64."""


class Masked(Projection):
    """The image times a mask m that stands still while the image changes; its distance is the RMS pixel inside m.

    The distance is ``√(Σ (m a - m b)² / (3 Σ m²))``: if every pixel changes by δ, it is δ, however small the mask. A
    distance t is thus a Euclidean length ``t √(3 Σ m²)``.
    """

    unit = MASK

    @abstractmethod
    def masks(self, images: Images) -> Tensor:
        """The mask of each image, ``(batch or 1, 1, height, width)`` in [0, 1], in their dtype, on their device."""

    def __call__(self, images: Images) -> Images:
        """The images ``(batch, 3, height, width)``, black outside the mask."""
        return images * self.masks(images)

    def coverage(self, images: Images) -> Images:
        """The masks ``(batch, 1, height, width)``."""
        return self.masks(images).expand(images.shape[0], -1, -1, -1)

    def distance(self, a: Images, b: Images) -> Distances:
        """The RMS difference ``(batch,)`` of pixels inside the mask."""
        return (a - b).flatten(1).square().sum(1).div(self._area(a)).sqrt()

    def radius(self, distance: float, values: Images) -> Distances:
        """The Euclidean length ``(batch,)`` of masked pixels that amounts to `distance`."""
        return distance * self._area(values).sqrt().expand(values.shape[0])

    def _area(self, values: Images) -> Tensor:
        """``3 Σ m²``, one for each row or one for all."""
        m = self.masks(values)
        return (values.shape[1] * m.double().flatten(1).square().sum(1)).to(values.dtype)


def uncovered_rows(masks: Tensor) -> tuple[int, ...]:
    """The rows of masks ``(batch, 1, height, width)`` that cover less than `MIN_COVER` of the image."""
    with torch.no_grad():
        return tuple(((masks > 0.5).double().mean((1, 2, 3)) < MIN_COVER).nonzero().flatten().tolist())
