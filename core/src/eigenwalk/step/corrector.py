"""The pull on fixed features, back towards their values at the start.

A step along the tangent lets fixed features drift: the map is curved. With ``e = (f(z) - f(z_0)) / t`` the drift
so far, Gauss-Newton's regularised minimum-norm step back is

    δ = -(B + εI)⁻¹ Fᵀ e

taken in the subspace of the eigenproblem, so that it costs no pass. Alone it would undo what has varied;
so it is made neutral to the variation to first order: with ``g = Cᵀ(c(z) - c(z_0))``,

    δ ← δ - P⁻¹ g (gᵀδ) / (gᵀ P⁻¹ g)        P = B + εI

the oblique projection that leaves ``gᵀδ = 0`` and disturbs the fixed features least.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.rayleigh.subspace import Solution, gram


def correction(solution: Solution, fixed_gap: Tensor, varied_gap: Tensor, longest: Tensor) -> Tensor:
    """δ ``(batch, dim)``, no longer than `longest` ``(batch,)``.

    Args:
        solution: the eigenproblem at this waypoint.
        fixed_gap: e ``(batch, q)``, what the fixed features have drifted, in tolerances.
        varied_gap: ``c(z) - c(z_0)`` ``(batch, p)``, in typical distances.
        longest: the length of the step that it accompanies.
    """
    m = solution.V.shape[1]
    b = gram(solution.FV)
    P = b + solution.ridge[:, None, None] * torch.eye(m, dtype=b.dtype, device=b.device)
    pull = (solution.FV @ fixed_gap[:, :, None])[:, :, 0].double()
    g = (solution.CV @ varied_gap[:, :, None])[:, :, 0].double()
    both = torch.linalg.solve(P, torch.stack([-pull, g], -1))
    y, Pg = both[..., 0], both[..., 1]
    bend = (g * Pg).sum(-1, keepdim=True)
    y = y - torch.where(bend > 0, (g * y).sum(-1, keepdim=True) / bend.clamp_min(1e-30), 0.0) * Pg
    length = y.norm(dim=-1, keepdim=True)
    y = y * (longest.double()[:, None] / length.clamp_min(1e-30)).clamp_max(1.0)
    return (y[:, None].to(solution.V) @ solution.V)[:, 0]
