"""The feature that says who is on a picture: `faces.identity`."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.feature import Feature, move_like
from eigenwalk_miniatures import load
from eigenwalk_miniatures.miniature import Miniature, miniature

UNIT = "cosine distance"


class Identity(Feature):
    """Unit vectors `(batch, dimensions)` of the miniature's identity embedding.

    The distance is 1 - cos of the angle between two vectors: 0 for equal ones, 1 at a right angle.
    """

    unit = UNIT

    def __init__(self, world: Miniature) -> None:
        self.embedder = load.embedder(world)

    def __call__(self, images: Tensor) -> Tensor:
        """The vectors of images `(batch, 3, height, width)`."""
        return move_like(self.embedder, images)(images)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """1 - cos, `(batch,)`, computed as |a - b|² / 2, which is exactly 0 for equal vectors."""
        return (a - b).square().sum(1) / 2

    def radius(self, distance: float, values: Tensor) -> Tensor:
        """The length `(batch,)` of the difference at a cosine `distance` t: √(2t)."""
        return torch.full_like(values[:, 0], (2 * distance) ** 0.5)


def faces() -> Identity:
    """Open the identity of portraits."""
    return Identity(miniature("faces"))
