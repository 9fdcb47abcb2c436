"""The natural covariance of latents, and the part of a gradient that samples have any part in.

A mapped latent (w of a StyleGAN) varies little in most of its directions. What a network reads of a picture may grow
fast along those, where samples never go: on a face GAN, half of the squared length of a path along such a gradient lay
outside the hundred directions that vary most, and the reading of gender grew by 60 % of typical while the picture
stayed as it was. For a latent of covariance Σ, ``Σ ∇c`` leads to where samples with more of c are (at normal latents
the mean of it is their covariance with c, by Stein's lemma). Where Σ is the same in all directions, it is the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.generator import Generator
from eigenwalk.maths.typical import SEED

COUNT = 2048
"""Samples that the covariance is taken from; of w of a StyleGAN, Σ ∇c is then some 9 % off."""
SURE = 5.0
"""Standard deviations by which samples must differ from those of a sphere."""
RANK = 1e-5
"""Least singular value, as a share of the largest, of directions that count as different."""


def natural_part(J: Tensor, generator: Generator) -> Tensor:
    """Return ``J Π`` ``(batch, p, latent)``, Π the orthogonal projection on the span of ``Σ Jᵀ``.

    Along ``Σ Jᵀ`` it changes the p numbers as the Jacobian J ``(batch, p, latent)`` does, and across it not at all. J
    itself, where `generator`'s samples do not show that some directions of the latent vary more than others.
    """
    samples = generator.sample(COUNT, SEED).to(J).double()
    turned = covariance_times(samples, normalize(J.double(), dim=-1))
    if turned is None:
        return J
    U, s, _ = torch.linalg.svd(normalize(turned, dim=-1).mT, full_matrices=False)
    U = U * (s > RANK * s[:, :1])[:, None]
    return (J.double() @ U @ U.mT).to(J)


def covariance_times(samples: Tensor, V: Tensor) -> Tensor | None:
    """Return ``Σ v`` for every row v of V ``(batch, p, latent)``, or None if Σ may be the same in all directions.

    ``Σ = (1 - ρ) S + ρ tr(S)/d I``, with S the covariance of `samples` ``(n, latent)`` and ρ by Chen, Wiesel, Eldar and
    Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE Trans. Signal Processing 58 (2010), eq. 23. Of
    samples from a sphere, ``nU - d`` with ``U = d tr(S²)/tr(S)² - 1`` has mean 1 and variance 4 (Ledoit and Wolf, "Some
    hypothesis tests for the covariance matrix when the dimension is large compared to the sample size", 2002).
    """
    X = samples - samples.mean(0)
    n, d = X.shape
    small = (X @ X.mT if n < d else X.mT @ X) / n  # S has the same trace, and the same trace of its square
    trace, square = small.trace(), small.square().sum()
    if not float(n * (d * square / trace**2 - 1) - d) > 1 + 2 * SURE:
        return None
    over = (n + 1 - 2 / d) * (square - trace**2 / d)
    rho = (((1 - 2 / d) * square + trace**2) / over).clamp_max(1.0)
    return (1 - rho) / n * ((V @ X.mT) @ X) + rho * trace / d * V
