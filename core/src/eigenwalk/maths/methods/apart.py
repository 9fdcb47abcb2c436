"""Keep a path apart from others of its start, in what has varied.

Left to itself every path turns towards the same leading eigenvector. So what the paths before it have varied counts as
held, a little: with u_j the unit vector of varied values along which path j stands from the start, the path's direction
and pull are solved with

    B + Σ_j w_j (Cᵀu_j)(Cᵀu_j)ᵀ / τ²        and the drift min((dᵀu_j)₊, stride / 2) along u_j

The rows ``u_jᵀC`` are known where C is, so that they cost no pass. w_j is 1 for a path that this one is like, and falls
to 0 where the two go opposite ways: a path and its other sense leave each other alone until they would meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.direction import Gaps

WITHIN = 0.35
"""τ, in typical distances, as of what is held. The ends of two of the demo's six paths share .52 at most; with
.7, .70, and with 1.5, .77."""
BACK = 0.5
"""What two paths have in common is taken back by this share of a stride a step, at most, as a part of the step. When it
was a part of the pull, which is kept whole where a step is shortened, two of the demo's six paths ended early."""
SLACK = 0.3
"""Paths whose cosine is below minus this leave each other alone."""
ROUNDS = 3
"""Of taking out of m what it has in common with the others, one after the other."""


@dataclass(frozen=True)
class Apart:
    """What a path is to stay away from.

    Attributes:
        unit: u ``(batch, n, p)``; zeros where there is no other path.
        weight: w ``(batch, n)``.
        shared: ``(dᵀu)₊`` ``(batch, n)``, how far this path stands along each of the others; no more than
            `BACK` of a stride.
    """

    unit: Tensor
    weight: Tensor
    shared: Tensor

    @classmethod
    def of(cls, gaps: Gaps, stride: float | Tensor) -> Apart:
        """From what this path and others have varied; `stride` as in `eigenwalk.direction.Limits`."""
        d = gaps.varied
        unit = d.new_zeros(len(d), 0, d.shape[1]) if gaps.others is None else normalize(gaps.others, dim=-1)
        along = (unit @ d[:, :, None])[:, :, 0]
        cosine = along / d.norm(dim=1, keepdim=True).clamp_min(1e-30)
        most = BACK * torch.as_tensor(stride).to(along).reshape(-1, 1)
        return cls(unit, ((cosine + SLACK) / SLACK).clamp(0, 1), torch.minimum(along.clamp_min(0), most))

    def turn(self, m: Tensor) -> Tensor:
        """The unit vector m ``(batch, p)`` without what points along the others; m itself if nothing else is left."""
        left = m
        for j in range(self.unit.shape[1] * ROUNDS):
            u, w = self.unit[:, j % self.unit.shape[1]], self.weight[:, j % self.unit.shape[1]]
            left = left - (w * (left * u).sum(-1).clamp_min(0))[:, None] * u
        return torch.where(left.norm(dim=1, keepdim=True) > 0.1, normalize(left, dim=1), m)

    def rows(self, CV: Tensor) -> tuple[Tensor, Tensor]:
        """``√w Uᵀ C V / τ`` ``(batch, basis, n)`` of pushed vectors ``(batch, basis, p)``, and ``√w shared / τ``."""
        scale = self.weight.sqrt() / WITHIN
        return (CV @ self.unit.mT) * scale[:, None], self.shared * scale

    def back(self, x: Tensor) -> Tensor:
        """The varied values ``(batch, p)`` whose pullback is that of x ``(batch, n)``, scaled as `rows`."""
        return ((x * self.weight.sqrt() / WITHIN)[:, None] @ self.unit)[:, 0]
