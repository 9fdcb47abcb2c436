"""Pictures of people: who is on them is known, and everything else about them differs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk_miniatures.miniature import Miniature


def identity_columns(world: Miniature) -> list[int]:
    """The columns of a factor tensor that make a person."""
    return [world.factors.index(name) for name in world.identity]


def drawn(world: Miniature, people: Tensor, random: torch.Generator) -> Tensor:
    """Factor values `(n, factors)`, in their units, of one picture each of `people (n, identity)`, given as shares."""
    shares = torch.rand(len(people), len(world.factors), generator=random)
    shares[:, identity_columns(world)] = people
    return world.factors.scale(shares)


def differing(world: Miniature, n: int, factors: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Shares `(n, identity)` of pairs of people that differ in `factors` identity factors, drawn for each pair."""
    size = len(world.identity)
    one, other = (torch.rand(n, size, generator=random) for _ in range(2))
    order = torch.rand(n, size, generator=random).argsort(1)
    return one, torch.where(order < factors, other, one)


def code(shares: Tensor) -> Tensor:
    """The unit vectors `(batch, 2 factors)` that stand for people, given as shares `(batch, factors)` in [0, 1].

    Each factor has a half circle of its own, so that all count alike: 1 - cos between two people is the mean over
    the factors of 1 - cos(π Δ), Δ the difference of the two shares; 0.595 between people drawn at random.
    """
    angle = math.pi * shares
    return torch.cat([angle.cos(), angle.sin()], dim=1) / math.sqrt(shares.shape[1])
