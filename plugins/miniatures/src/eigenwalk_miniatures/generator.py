"""The generator that a miniature offers to eigenwalk."""

from __future__ import annotations

from os import PathLike

import torch
from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk.feature import move_like
from eigenwalk.generator import Generator as GeneratorContract
from eigenwalk_miniatures import load
from eigenwalk_miniatures.miniature import miniature
from eigenwalk_miniatures.network import Generator as Network

SPACES = ("z", "w")


class MiniatureGenerator(GeneratorContract):
    """Latents to images `(batch, 3, 64, 64)`, nominally in [0, 1], not clipped.

    `space="z"` walks before the mapping network, where latents are standard normal; `space="w"`
    after it. `truncation` draws every w towards the mean one, `w' = mean + truncation (w - mean)`
    (arXiv 1812.04958, section B): 1 leaves the samples as they are, 0 gives one image. In `z` it
    belongs to the map from latent to image; in `w` to `sample`, so that a walk may leave the truncated set.
    """

    def __init__(self, network: Network, space: str = "z", truncation: float = 1.0) -> None:
        if space not in SPACES:
            raise OptionError(f"space must be one of {', '.join(SPACES)}, got {space!r}")
        if not 0 <= truncation <= 2:
            raise OptionError(f"truncation must be from 0 to 2, got {truncation}")
        self.network = network
        self.space, self.truncation = space, truncation
        shape = self.network.shape
        self.latent_dim = shape.latent_dim if space == "z" else shape.style_dim
        side = shape.resolution
        self.resolution = (side, side)

    def __call__(self, latents: Tensor) -> Tensor:
        """Images `(batch, 3, height, width)` of latents `(batch, latent_dim)`, in their dtype."""
        network = move_like(self.network, latents)
        w = self._styles(latents) if self.space == "z" else latents
        return network.synthesise(w) * 0.5 + 0.5

    def sample(self, n: int, seed: int) -> Tensor:
        """`n` latents of the space, float32: the first m of n are those of `sample(m, seed)`."""
        z = torch.randn(n, self.network.shape.latent_dim, generator=torch.Generator().manual_seed(seed))
        if self.space == "z":
            return z
        move_like(self.network, z)
        with torch.no_grad():
            # Row by row: a matrix product over more rows may round the first ones differently.
            return torch.cat([self._styles(row[None]) for row in z]) if n else z

    def _styles(self, z: Tensor) -> Tensor:
        w = self.network.map(z)
        return w if self.truncation == 1 else self.network.w_mean + self.truncation * (w - self.network.w_mean)


def rooms(space: str = "z", truncation: float = 1.0) -> MiniatureGenerator:
    """Open the generator of living rooms."""
    return MiniatureGenerator(load.generator(miniature("rooms")), space, truncation)


def faces(space: str = "z", truncation: float = 1.0) -> MiniatureGenerator:
    """Open the generator of portraits."""
    return MiniatureGenerator(load.generator(miniature("faces")), space, truncation)


def open_trained(path: str | PathLike[str], space: str = "z", truncation: float = 1.0) -> MiniatureGenerator:
    """Open a generator that the training of a miniature saved, finished or not."""
    return MiniatureGenerator(load.trained(path), space, truncation)
