"""How far to follow a direction."""

from __future__ import annotations

from torch import Tensor

from eigenwalk.maths.rayleigh.subspace import Solution


def rate(solution: Solution, direction: Tensor) -> Tensor:
    """``‖C v‖`` ``(batch,)``: the varied change per unit length along `direction` ``(batch, dim)``."""
    y = direction[:, None] @ solution.V.mT
    return (y @ solution.CV)[:, 0].norm(dim=-1)


def step_size(varied_rate: Tensor, stride: float, longest: float) -> Tensor:
    """The length ``(batch,)`` at which the varied features change by `stride`, to first order.

    `stride` is a share of their typical distance (C is scaled to it), so that waypoints are evenly spaced in what
    people see rather than in the latent. No step is longer than `longest`, in the latent's own length.
    """
    return (stride / varied_rate.clamp_min(1e-30)).clamp_max(longest)
