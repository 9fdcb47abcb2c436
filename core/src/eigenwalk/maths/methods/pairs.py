"""Eigenpairs of ``A v = λ (B + εI) v`` at some latents, and steps along them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.direction import Limits, Step, rate_in
from eigenwalk.maths.methods.subspace import Subspace

LEADING = 0.5
"""Eigenvectors whose quotient is at least this share of the previous direction's own may be followed."""


@dataclass(frozen=True)
class Pairs(Subspace):
    """Eigenpairs, in the subspace that they were found in.

    Attributes:
        quotients: ``(batch, n)``, largest first, at least as many as were asked for.
        vectors: ``(batch, n, latent)``, unit length.
    """

    quotients: Tensor
    vectors: Tensor

    def step(self, direction: Tensor, quotient: Tensor, limits: Limits) -> Step:
        """The step along `direction` ``(batch, latent)``, which lies in the subspace."""
        return Step.along(direction, rate_in(self.V, self.CV, direction), quotient, limits)

    def leading(self, k: int, limits: Limits) -> Step:
        """Steps along the k leading eigenvectors."""
        return Step.side_by_side([self.step(self.vectors[:, n], self.quotients[:, n], limits) for n in range(k)])

    def follow(self, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Unit directions ``(batch, latent)`` that continue `previous` ``(batch, latent)``, and quotients ``(batch,)``.

        Along a path eigenvalues cross, and the top eigenvector alone may turn at right angles from one waypoint to
        the next; so may that of a path which began along a lower one. The previous direction is projected on the span
        of the eigenvectors that have at least half of its own quotient, each weighted by its quotient, at most twice
        as much as its own: one step of power iteration, which turns towards the top and never jumps. Where nothing of
        it is left there, the top eigenvector is taken, in the sense nearer to before.
        """
        U, v = self.vectors.double(), previous.double()
        b = self._pushed(U)[1]
        # The metric B + εI: in it eigenvectors are orthogonal, so that the projection is a sum.
        metric = (b * self._pushed(v[:, None])[1]).sum(-1) + self.ridge[:, None] * (U * v[:, None]).sum(-1)
        size = b.square().sum(-1) + self.ridge[:, None] * U.square().sum(-1)
        share = self.quotients / self._quotient(v)[:, None].clamp_min(1e-30)
        weight = torch.where(share >= LEADING, share.clamp_max(1 / LEADING), 0.0) * metric / size.clamp_min(1e-30)
        mixed = (weight[:, None] @ U)[:, 0]
        sense = torch.where((U[:, 0] * v).sum(-1) < 0, -1.0, 1.0).to(U)
        overlap = mixed.norm(dim=-1)
        direction = torch.where((overlap > 0.1)[:, None], mixed, sense[:, None] * U[:, 0])
        direction = direction / direction.norm(dim=-1, keepdim=True)
        return direction.to(previous), self._quotient(direction)

    def _pushed(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """C X and F X ``(batch, k, ·)`` of the part of X ``(batch, k, latent)`` inside the subspace."""
        y = (X @ self.V.double().mT).to(self.V)
        return (y @ self.CV).double(), (y @ self.FV).double()

    def _quotient(self, direction: Tensor) -> Tensor:
        c, f = self._pushed(direction[:, None])
        held = f.square().sum((1, 2)) + self.ridge
        return c.square().sum((1, 2)) / held.clamp_min(1e-30)
