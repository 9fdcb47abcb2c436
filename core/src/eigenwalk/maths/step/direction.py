"""The direction to take among those that a solver found, in continuation of the one before."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.maths.rayleigh.subspace import Solution

LEADING = 0.5
"""Eigenvectors whose quotient is at least this share of the previous direction's own may be followed."""


def follow(solution: Solution, previous: Tensor) -> tuple[Tensor, Tensor]:
    """Unit directions ``(batch, dim)`` that continue `previous` ``(batch, dim)``, and their quotients ``(batch,)``.

    Along a path eigenvalues cross, and the top eigenvector alone may turn at right angles from one waypoint to
    the next; so may that of a path which began along a lower one. The previous direction is projected on the span
    of the eigenvectors that have at least half of its own quotient, each weighted by its quotient, at most twice
    as much as its own: one step of power iteration, which turns towards the top and never jumps. Where nothing of
    it is left there, the top eigenvector is taken, in the sense nearer to before.
    """
    if solution.continued:
        return solution.vectors[:, 0], solution.quotients[:, 0]
    U, quotients = solution.vectors.double(), solution.quotients
    v = previous.double()
    b = _coordinates(solution, U)[1]
    # The metric B + εI: in it eigenvectors are orthogonal, so that the projection is a sum.
    metric = (b * _coordinates(solution, v[:, None])[1]).sum(-1) + solution.ridge[:, None] * (U * v[:, None]).sum(-1)
    size = b.square().sum(-1) + solution.ridge[:, None] * U.square().sum(-1)
    share = quotients / _quotient(solution, v)[:, None].clamp_min(1e-30)
    weight = torch.where(share >= LEADING, share.clamp_max(1 / LEADING), 0.0) * metric / size.clamp_min(1e-30)
    mixed = (weight[:, None] @ U)[:, 0]
    sense = torch.where((U[:, 0] * v).sum(-1) < 0, -1.0, 1.0).to(U)
    overlap = mixed.norm(dim=-1)
    direction = torch.where((overlap > 0.1)[:, None], mixed, sense[:, None] * U[:, 0])
    direction = direction / direction.norm(dim=-1, keepdim=True)
    return direction.to(previous), _quotient(solution, direction)


def _coordinates(solution: Solution, X: Tensor) -> tuple[Tensor, Tensor]:
    """C X and F X ``(batch, k, ·)`` for X ``(batch, k, dim)`` in the solution's subspace (its part there)."""
    y = (X @ solution.V.double().mT).to(solution.V)
    return (y @ solution.CV).double(), (y @ solution.FV).double()


def _quotient(solution: Solution, direction: Tensor) -> Tensor:
    c, f = _coordinates(solution, direction[:, None])
    held = f.square().sum((1, 2)) + solution.ridge
    return c.square().sum((1, 2)) / held.clamp_min(1e-30)
