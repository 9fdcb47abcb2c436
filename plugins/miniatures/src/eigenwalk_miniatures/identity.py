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

    Distance: 1 - cos of the angle between two vectors: 0 for the same, 1 for vectors at a right angle.
    """

    unit = UNIT

    def __init__(self, world: Miniature) -> None:
        self.embedder = load.embedder(world)

    def __call__(self, images: Tensor) -> Tensor:
        """The vectors of images `(batch, 3, height, width)`."""
        return move_like(self.embedder, images)(images)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """1 - cos, `(batch,)`, as half the squared length of the difference: the same, and 0 for equals."""
        return (a - b).square().sum(1) / 2

    def radius(self, distance: float, values: Tensor) -> Tensor:
        """The length of the difference at a cosine `distance`, `(batch,)`: its double's root."""
        return torch.full_like(values[:, 0], (2 * distance) ** 0.5)


def faces() -> Identity:
    """Who is on a portrait."""
    return Identity(miniature("faces"))
