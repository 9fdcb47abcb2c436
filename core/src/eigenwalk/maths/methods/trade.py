"""Several fixed features, each with its own tolerance: the trade between them, solved.

The direction that varies most while every feature i keeps its tolerance, ``max vᵀAv`` subject to ``vᵀB_i v ≤ 1`` (B_i
in units of t_i²), is by duality the leading eigenvector of A against ``Σ μ_i B_i`` for multipliers μ that raise what
is nearest its tolerance and lower the rest. They are found by multiplicative updates, in the subspace, at no pass:

    μ_i ← μ_i √(ρ_i / ρ̄)        ρ_i: the share of its tolerance that feature i would use

so that at the end no feature is strained while another has room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from eigenwalk.maths.methods.pairs import Pairs
from eigenwalk.maths.methods.subspace import gram, ritz, without_zeros

ROUNDS = 16
LEAST = 0.05
"""Floor on μ_i, whose mean is 1: a feature that has room is still held."""


def multipliers(count: int, like: Tensor, strain: Callable[[Tensor], Tensor]) -> Tensor:
    """μ ``(batch, count)``, of mean 1; `strain` maps a μ to each feature's share ρ of its tolerance."""
    mu = like.new_ones(like.shape[0], count)
    for _ in range(ROUNDS if count > 1 else 0):
        rho = strain(mu)
        mean = rho.mean(1, keepdim=True)
        mu = mu * torch.where(mean > 0, rho / mean.clamp_min(1e-30), 1.0).sqrt()
        mu = (mu / mu.mean(1, keepdim=True)).clamp_min(LEAST)
        mu = mu / mu.mean(1, keepdim=True)
    return mu


def by_feature(X: Tensor, blocks: tuple[int, ...]) -> tuple[Tensor, ...]:
    """X ``(..., q)`` split into one part for each fixed feature; `blocks` are their sizes."""
    return X.split(blocks, -1) if len(blocks) > 1 else (X,)


def trade(pairs: Pairs, blocks: tuple[int, ...]) -> Pairs:
    """The leading pairs again, such that no feature of `blocks` is strained while another has room."""
    if len(blocks) < 2:
        return pairs
    a = without_zeros(gram(pairs.CV), pairs.V)
    b = torch.stack([gram(part) for part in by_feature(pairs.FV, blocks)], 1)

    def solve(mu: Tensor) -> tuple[Tensor, Tensor]:
        return ritz(a, torch.einsum("bi,bijk->bjk", mu, b), pairs.ridge)

    def strain(mu: Tensor) -> Tensor:
        x = solve(mu)[1][:, 0]
        return torch.einsum("bj,bijk,bk->bi", x, b, x).clamp_min(0).sqrt()

    theta, Y = solve(multipliers(len(blocks), a, strain))
    n = pairs.vectors.shape[1]
    X = Y[:, :n].to(pairs.V) @ pairs.V
    return replace(pairs, quotients=theta[:, :n], vectors=X / X.norm(dim=-1, keepdim=True))
