"""How well an identity embedding distinguishes people that it never saw, and what else moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eigenwalk_miniatures.miniature import Miniature
from training.pairing import Pairing
from training.people import differing, drawn

UNSEEN = 950_000
"""Seed of the people for verification: the seeds of training lie far below."""

Draw = Callable[[Tensor], Tensor]
"""Images of factor values `(n, factors)`, in their units."""


def area(same: Tensor, different: Tensor) -> float:
    """Area under the ROC curve: how often a pair of one person lies nearer than a pair of two, ties half.

    `same` and `different` are distances, `(pairs,)` each.
    """
    below = torch.searchsorted(different.sort().values, same, right=True)
    under = torch.searchsorted(different.sort().values, same)
    return float((2 * len(different) - below - under).sum() / (2 * len(same) * len(different)))


def equal_error(same: Tensor, different: Tensor) -> tuple[float, float]:
    """The rate at which as many pairs of one person are refused as pairs of two accepted, and the distance there."""
    thresholds = torch.cat([same, different]).sort().values
    refused = 1 - torch.searchsorted(same.sort().values, thresholds, right=True) / len(same)
    accepted = torch.searchsorted(different.sort().values, thresholds, right=True) / len(different)
    at = (refused - accepted).abs().argmin()
    return float((refused[at] + accepted[at]) / 2), float(thresholds[at])


def accepted(same: Tensor, different: Tensor, false: float = 0.01) -> float:
    """The share of pairs of one person accepted where a share `false` of pairs of two is (TAR at FAR)."""
    return float((same <= different.quantile(false)).float().mean())


def figures(same: Tensor, different: Tensor) -> dict[str, float]:
    """The reported figures of two sets of distances."""
    error, threshold = equal_error(same, different)
    return {
        "pairs": len(same),
        "auc": area(same, different),
        "equal_error": error,
        "threshold": threshold,
        "accepted": accepted(same, different),
        "mean_same": float(same.mean()),
        "mean_different": float(different.mean()),
    }


@torch.no_grad()
def distances(embedder: Callable[[Tensor], Tensor], draw: Draw, one: Tensor, two: Tensor, chunk: int = 50) -> Tensor:
    """Cosine distances `(n,)` between the pictures that `draw` makes of factor values `one` and `two`."""
    apart = [
        (embedder(draw(a)) - embedder(draw(b))).square().sum(1) / 2
        for a, b in zip(one.split(chunk), two.split(chunk), strict=True)
    ]
    return torch.cat(apart)


def told_apart(
    world: Miniature, embedder: Callable[[Tensor], Tensor], draw: Draw, n: int, factors: int | None = None
) -> dict[str, float]:
    """Verify on n pairs of pictures of one person and n of two, with everything but identity drawn anew.

    With `factors` the two people of a pair differ in that many identity factors alone.
    """
    random = torch.Generator().manual_seed(UNSEEN + (factors or 0))
    one, two = differing(world, n, factors or len(world.identity), random)
    first, again, other = (drawn(world, who, random) for who in (one, one, two))
    same = distances(embedder, draw, first, again)
    return figures(same, distances(embedder, draw, first, other))


def moved_by(world: Miniature, embedder: Callable[[Tensor], Tensor], draw: Draw, n: int) -> dict[str, float]:
    """Mean cosine distance by factor, as it goes from 0.1 to 0.9 of its range and nothing else changes."""
    found = {}
    shares = torch.rand(n, len(world.factors), generator=torch.Generator().manual_seed(UNSEEN - 1))
    for column, name in enumerate(world.factors.names):
        ends = [shares.clone(), shares.clone()]
        ends[0][:, column], ends[1][:, column] = 0.1, 0.9
        low, high = (world.factors.scale(end) for end in ends)
        found[name] = float(distances(embedder, draw, low, high).mean())
    return found


def painted(world: Miniature) -> Draw:
    """The renderer at 64 x 64."""
    return lambda factors: world.render(factors, 64)[0]


def generated(world: Miniature, generator: Callable[[Tensor], Tensor], latent_dim: int) -> Draw:
    """The generator, at the latents that its training paired with the factors; the noise beside them is drawn anew."""
    pairing, random = Pairing(len(world.factors), latent_dim), torch.Generator().manual_seed(UNSEEN)

    def draw(factors: Tensor) -> Tensor:
        noise = torch.randn(len(factors), pairing.planes, generator=random)
        return generator(pairing.latents(world.factors.share(factors), noise)).clamp(0, 1)

    return draw


def verification(world: Miniature, embedder: Callable[[Tensor], Tensor], samples: Draw, n: int) -> dict[str, Any]:
    """All figures of the card: renders, people that differ in few factors, `samples`, and what moves the vector."""
    renders = painted(world)
    return {
        "renders": told_apart(world, embedder, renders, n),
        "hard": {str(k): told_apart(world, embedder, renders, n // 4, k) for k in (1, 2, 4, 8)},
        "samples": told_apart(world, embedder, samples, n // 2),
        "moved": moved_by(world, embedder, renders, n // 40),
        "moved_images": n // 40,
    }
