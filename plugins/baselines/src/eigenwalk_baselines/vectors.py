"""What several methods share: signs, unit vectors, Jacobians."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eigenwalk.direction import Sight
from eigenwalk.generator import Generator
from eigenwalk.shapes import Basis, Latents

TOGETHER = 64
"""Tangents, or samples, in one batch through the generator."""
PIXELS = TOGETHER * 64 * 64
"""Of all images of a batch: of larger images there are fewer, or those of 256 pixels a side would take 20 GB."""


def count_together(generator: Generator) -> int:
    """Return how many samples to pass through `generator` at once: 64 images of 64 x 64, one of 1024 x 1024.

    >>> from eigenwalk.generator import FunctionGenerator
    >>> count_together(FunctionGenerator(lambda z: z, 8, (256, 256)))
    4
    """
    height, width = generator.resolution
    return max(1, min(TOGETHER, PIXELS // (height * width)))


def unit(vectors: Tensor) -> Tensor:
    """Normalise `vectors` ``(…, latent)`` to unit length."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)


def signed(vectors: Tensor) -> Tensor:
    """Flip `vectors` ``(…, latent)`` so that their largest coordinate is positive: factorisations leave the sign open.

    >>> signed(torch.tensor([[1.0, -3.0]])).tolist()
    [[-1.0, 3.0]]
    """
    largest = vectors.gather(-1, vectors.abs().argmax(-1, keepdim=True))
    return torch.where(largest < 0, -vectors, vectors)


def everywhere(vectors: Tensor, sight: Sight) -> Basis:
    """Repeat directions ``(k, latent)`` at every latent of `sight`: unit vectors ``(batch, k, latent)``."""
    return unit(vectors).to(sight.like).expand(sight.batch, -1, -1)


def jacobians(sight: Sight) -> tuple[Tensor, Tensor]:
    """Cᵀ and Fᵀ, ``(batch, latent, p)`` and ``(batch, latent, q)``, by one pushforward for each coordinate."""
    every = torch.eye(sight.dim, dtype=sight.like.dtype, device=sight.like.device)
    pushed = [sight.push(some.expand(sight.batch, -1, -1)) for some in every.split(TOGETHER)]
    C, F = zip(*pushed, strict=True)
    return torch.cat(C, 1), torch.cat(F, 1)


def gram(J: Tensor) -> Tensor:
    """Return ``JᵀJ`` ``(batch, latent, latent)`` in float64, of Jᵀ ``(batch, latent, values)``."""
    return torch.stack([row @ row.T for row in (one.double() for one in J)])


def jacobian(function: Callable[[Tensor], Tensor], latents: Latents) -> Tensor:
    """Jᵀ ``(batch, latent, values)`` at `latents` of a function whose rows depend on their own latent alone.

    By forward mode: the tangents of a chunk together under vmap, or one after another if an operation has no rule for
    that.
    """
    every = torch.eye(latents.shape[1], dtype=latents.dtype, device=latents.device)

    def along(tangent: Tensor) -> Tensor:
        return torch.func.jvp(function, (latents,), (tangent.expand_as(latents),))[1].flatten(1)

    with torch.no_grad():
        try:
            columns = torch.func.vmap(along, chunk_size=TOGETHER)(every)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            columns = torch.stack([along(tangent) for tangent in every])
    return columns.transpose(0, 1)
