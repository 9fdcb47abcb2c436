"""Coordinates in which the latents of samples vary alike in all directions: what is walked and searched in.

    latent = mean + L u         L Lᵀ = Σ, the covariance of samples, so that |u|² / k is about 1 for a typical latent

A mapped latent (w of a StyleGAN) varies little in most of its directions. What a network reads of a picture may grow
fast along those, where samples never go: on a face GAN, half of the squared length of a path along such a gradient lay
outside the hundred directions that vary most, and the reading of gender grew by 60 % of typical while the picture
stayed as it was. A gradient with respect to u leads along ``Σ ∇c`` instead, where samples with more of c are (at normal
latents the mean of it is their covariance with c, by Stein's lemma).

In w+ a sample has the same w in every layer; so L is that of one w, and the chart is *tied*, one u for all layers, or
*free*, a u for each (Zhu et al. 2020, arXiv 2012.09036, whiten w in the same way). Walks are between the two: of the
variance of a layer, a share `APART` is its own, and the rest the same in all layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.generator import Generator

SEED = 20221025
"""Of the samples; no seed that people walk from."""
COUNT = 2048
"""Samples that Σ is taken from: of w of a StyleGAN, Σ ∇c is then some 9 % off."""
LARGE, FEW = 1024, 64
"""Of more coordinates, only the mean variance is taken, and from so many samples; of fewer samples too."""
APART = 0.1
"""Share of the variance of a layer of w+ that is its own. Samples have none, and what people wish to find and change in
photographs some."""
SURE = 5.0
"""Standard deviations by which samples must differ from those of a sphere."""


@dataclass(frozen=True)
class Chart:
    """Coordinates u ``(..., k)`` of latents ``(..., layers d)``.

    Attributes:
        mean: ``(d,)`` of one layer.
        factor: L ``(d, d)``, lower triangular, or one number ``()`` where all directions may vary alike.
        layers: of w+; 1 elsewhere.
        tied: whether all layers have the same u.
        apart: of a chart that is not tied, the share of a layer's variance that is its own.
    """

    mean: Tensor
    factor: Tensor
    layers: int = 1
    tied: bool = True
    apart: float = 1.0

    @classmethod
    def of(cls, generator: Generator, like: Tensor) -> Chart:
        """Return the tied chart of `generator`, on the device and in the dtype of `like`."""
        layers = count_layers(generator)
        d = generator.latent_dim // layers
        z = generator.sample(COUNT if d <= LARGE else FEW, SEED)[:, :d].double()
        sigma = covariance(z) if d <= LARGE else None
        factor = z.var(0).mean().sqrt() if sigma is None else torch.linalg.cholesky(sigma)
        return cls(z.mean(0).to(like), factor.to(like), layers)

    @classmethod
    def natural(cls, generator: Generator, like: Tensor) -> Chart | None:
        """Return the chart to walk in, or None where all directions may vary alike.

        Its layers vary together but for `APART`, and u varies in the mean as much as the latent's coordinates do.
        """
        if generator.latent_dim // count_layers(generator) > LARGE:
            return None
        chart = cls.of(generator, like)
        if chart.even:
            return None
        spread = chart.factor.square().sum(-1).mean().sqrt()
        return replace(chart.free(), apart=APART, factor=chart.factor / spread)

    @property
    def even(self) -> bool:
        """Whether all directions may vary alike."""
        return self.factor.dim() == 0

    @property
    def size(self) -> int:
        """Coordinates k of a latent."""
        return self.mean.numel() * (1 if self.tied else self.layers)

    def free(self) -> Chart:
        """Return the chart with a u for each layer."""
        return replace(self, tied=False)

    def latents(self, u: Tensor) -> Tensor:
        """Return the latents ``(..., latent)`` of `u` ``(..., k)``."""
        return self._spread(self._scaled(u) + self.mean)

    def push(self, u: Tensor) -> Tensor:
        """Return the change ``(..., latent)`` of latents along `u` ``(..., k)``."""
        return self._spread(self._scaled(u))

    def pull(self, g: Tensor) -> Tensor:
        """Return the gradient ``(..., k)`` among coordinates of a gradient `g` ``(..., latent)`` among latents."""
        g = g.unflatten(-1, (self.layers, -1))
        g = g.sum(-2, keepdim=True) if self.tied else self._mixed(g)
        return (g * self.factor if self.even else g @ self.factor).flatten(-2)

    def coordinates(self, latents: Tensor) -> Tensor:
        """Return u ``(..., k)`` of `latents` ``(..., latent)``, of which a tied chart takes the mean over layers."""
        return self.back(latents - self.mean.repeat(self.layers))

    def back(self, change: Tensor) -> Tensor:
        """Return the u ``(..., k)`` along which latents change so ``(..., latent)``: what `push` is the inverse of."""
        x = change.unflatten(-1, (self.layers, -1))
        x = x.mean(-2, keepdim=True) if self.tied else self._mixed(x, -1)
        if self.even:
            return (x / self.factor).flatten(-2)
        return torch.linalg.solve_triangular(self.factor.mT, x, upper=True, left=False).flatten(-2)

    def _mixed(self, x: Tensor, power: int = 1) -> Tensor:
        """Return x ``(..., layers, d)`` times a power of the root of ``apart I + (1 - apart) 1 1ᵀ`` over layers."""
        own, common = self.apart ** (power / 2), (self.apart + (1 - self.apart) * self.layers) ** (power / 2)
        return x if self.apart == 1 else own * x + (common - own) * x.mean(-2, keepdim=True)

    def _scaled(self, u: Tensor) -> Tensor:
        u = u.unflatten(-1, (1 if self.tied else self.layers, -1))
        u = u if self.tied else self._mixed(u)
        return u * self.factor if self.even else u @ self.factor.mT

    def _spread(self, x: Tensor) -> Tensor:
        return (x.expand(*x.shape[:-2], self.layers, x.shape[-1]) if self.tied else x).flatten(-2)


def covariance(samples: Tensor) -> Tensor | None:
    """Return Σ ``(d, d)`` of `samples` ``(n, d)``, or None if it may be the same in all directions.

    ``Σ = (1 - ρ) S + ρ tr(S)/d I``, with S the covariance of the samples and ρ by Chen, Wiesel, Eldar and Hero,
    "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE Trans. Signal Processing 58 (2010), eq. 23. Of samples
    from a sphere, ``nU - d`` with ``U = d tr(S²)/tr(S)² - 1`` has mean 1 and variance 4 (Ledoit and Wolf, "Some
    hypothesis tests for the covariance matrix when the dimension is large compared to the sample size", 2002).
    """
    X = samples.unique(dim=0)  # encodings of a few pictures come again and again
    if len(X) < FEW:
        return None
    X = X - X.mean(0)
    n, d = X.shape
    S = X.mT @ X / n
    trace, square = S.trace(), S.square().sum()
    if not float(n * (d * square / trace**2 - 1) - d) > 1 + 2 * SURE:
        return None
    over = (n + 1 - 2 / d) * (square - trace**2 / d)
    rho = (((1 - 2 / d) * square + trace**2) / over).clamp_max(1.0)
    return (1 - rho) * S + rho * trace / d * torch.eye(d).to(S)


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
