"""Coordinates in which latents of samples are standard normal: what is searched, instead of latents themselves.

    latent = mean + L u         L Lᵀ: the covariance of samples, so that |u|² / k is about 1 for a typical latent

In w+ a sample has the same w in every layer; so ``L`` is that of one w, and the chart is *tied*, one u for all layers,
or *free*, a u for each (Zhu et al. 2020, arXiv 2012.09036, whiten w in the same way).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.generator import Generator

SEED, FEW, LARGE = 20221025, 512, 1024
"""Seed and least number of samples whose covariance is taken; of more than `LARGE` coordinates, only variances are."""


@dataclass(frozen=True)
class Chart:
    """Coordinates u ``(rows, k)`` of latents ``(rows, layers d)``.

    Attributes:
        mean: ``(d,)`` of one layer.
        factor: ``(d, d)``, or ``(d,)`` where coordinates are scaled one by one.
        layers: of w+; 1 elsewhere.
        tied: whether all layers have the same u.
    """

    mean: Tensor
    factor: Tensor
    layers: int = 1
    tied: bool = True

    @classmethod
    def of(cls, generator: Generator, like: Tensor) -> Chart:
        """Return the tied chart of `generator`, on the device and in the dtype of `like`."""
        layers = count_layers(generator)
        d = generator.latent_dim // layers
        z = generator.sample(max(FEW, 4 * d) if d <= LARGE else 64, SEED)[:, :d].double()
        mean, variance = z.mean(0), z.var(0)
        if d > LARGE:
            factor = variance.mean().sqrt().expand(d)
        else:
            # Latents may lie in a plane, where the covariance is singular: a little of its mean is added.
            covariance = z.T.cov() if d > 1 else variance[None]
            factor = torch.linalg.cholesky(covariance + 1e-4 * variance.mean() * torch.eye(d).double())
        return cls(mean.to(like), factor.to(like), layers)

    @property
    def size(self) -> int:
        """Coordinates k of a latent."""
        return self.mean.numel() * (1 if self.tied else self.layers)

    def free(self) -> Chart:
        """Return the chart with a u for each layer."""
        return replace(self, tied=False)

    def latents(self, u: Tensor) -> Tensor:
        """Return the latents ``(rows, latent)`` of `u` ``(rows, k)``."""
        return self._spread(self._scaled(u) + self.mean)

    def push(self, u: Tensor) -> Tensor:
        """Return the change ``(rows, latent)`` of latents along `u` ``(rows, k)``."""
        return self._spread(self._scaled(u))

    def pull(self, g: Tensor) -> Tensor:
        """Return the gradient ``(rows, k)`` among coordinates of a gradient `g` ``(rows, latent)`` among latents."""
        g = g.unflatten(1, (self.layers, -1))
        g = g.sum(1, keepdim=True) if self.tied else g
        return (g * self.factor if self.factor.dim() == 1 else g @ self.factor).flatten(1)

    def coordinates(self, latents: Tensor) -> Tensor:
        """Return u ``(rows, k)`` of `latents` ``(rows, latent)``, of which a tied chart takes the mean over layers."""
        x = latents.unflatten(1, (self.layers, -1)) - self.mean
        x = x.mean(1, keepdim=True) if self.tied else x
        if self.factor.dim() == 1:
            return (x / self.factor).flatten(1)
        return torch.linalg.solve_triangular(self.factor, x.mT, upper=False).mT.flatten(1)

    def _scaled(self, u: Tensor) -> Tensor:
        u = u.unflatten(1, (1 if self.tied else self.layers, -1))
        return u * self.factor if self.factor.dim() == 1 else u @ self.factor.mT

    def _spread(self, x: Tensor) -> Tensor:
        return (x.expand(-1, self.layers, -1) if self.tied else x).flatten(1)


def count_layers(generator: Generator) -> int:
    """Return how many times a sample of the space w+ repeats its w; 1 in other spaces."""
    if generator.space != "w+":
        return 1
    row = generator.sample(1, SEED)[0]
    for layers in range(generator.latent_dim, 1, -1):
        if generator.latent_dim % layers == 0:
            parts = row.view(layers, -1)
            if bool((parts == parts[:1]).all()):
                return layers
    return 1
