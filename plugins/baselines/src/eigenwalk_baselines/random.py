"""Random directions: what any method must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.shapes import Basis
from eigenwalk_baselines.vectors import everywhere


class Random(Directions):
    """Directions drawn uniformly from the sphere, one after another, so that a larger k only adds some."""

    def __init__(self, seed: int = 0):
        self.seed = seed

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """Return the first `k` directions of the seed ``(batch, k, latent)``, the same at every latent."""
        random = torch.Generator().manual_seed(self.seed)
        rows = [torch.randn(sight.dim, generator=random, dtype=torch.float64) for _ in range(k)]
        return everywhere(torch.stack(rows), sight)
