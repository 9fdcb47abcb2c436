"""One step on from a waypoint: the direction, how far, and the pull back on what must hold.

Everything is solved in the subspace that a solver left, at no pass. With ``P = B + εI``, m what is to go on
(`eigenwalk.maths.rayleigh.outward`), e what has drifted and d what has varied:

    direction   v = P⁻¹ Cᵀm, as long as takes d further by `stride` to first order
    pull        δ = -P⁻¹ Fᵀe + n P⁻¹ Cᵀd        with n such that dᵀCδ = 0

The pull is Gauss-Newton's regularised minimum-norm step back, made neutral to what has varied by the oblique
projection that disturbs the fixed features least. It is taken inside a trust region, some lengths of the step: where it
would leave, its ε is raised (Levenberg 1944, Marquardt 1963). Near the edge of the latent's typical region the two
together are bent, by the same projection, to stay inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.maths.rayleigh.subspace import Solution, gram
from eigenwalk.maths.step.length import step_size
from eigenwalk.maths.step.trade import multipliers, shared_out

TRUST = 5.0
"""The pull is no longer than this many steps: cut at twice the step, a third more drift was left on an anime GAN."""
SLOWEST = 0.5
"""The least that the change away from the start is taken for, as a share of the change along m."""
CAREFUL = 0.2
"""The shortest that a step grows near a tolerance, as a share of its length."""
FIRMER, TRIES = 3.0, 16
"""How much ε is raised where the pull is too long, and how often."""


@dataclass(frozen=True)
class Edge:
    """Where the latents lie in their typical region: `away` ``(batch, dim)`` from the mean; never beyond `radius`."""

    away: Tensor
    radius: Tensor


@dataclass(frozen=True)
class Step:
    """From a waypoint by ``size * direction + pull``.

    Attributes:
        direction, pull: ``(batch, dim)``; the direction is a unit vector.
        size: ``(batch,)``, in the latent's own length.
        varied: ``(batch,)``, the change that the step promises.
        quotient: ``(batch,)``, ``(mᵀCv)² / vᵀPv``.
    """

    direction: Tensor
    pull: Tensor
    size: Tensor
    varied: Tensor
    quotient: Tensor


@dataclass(frozen=True)
class _Inside:
    """The problem in the subspace's coordinates y, float64; i counts fixed features.

    b ``(batch, i, m, m)``, h ``(batch, i, m)`` and e2 ``(batch, i)`` give what feature i will have drifted after y:
    ``yᵀ b_i y + 2 h_iᵀ y + e2_i``. g and u ``(batch, m)`` are the gradients along m and along d.
    """

    b: Tensor
    h: Tensor
    e2: Tensor
    g: Tensor
    u: Tensor
    ridge: Tensor

    def metric(self, mu: Tensor, ridge: Tensor) -> Tensor:
        """``Σ μ_i b_i + εI``."""
        return torch.einsum("bi,bijk->bjk", mu, self.b) + ridge[:, None, None] * torch.eye(self.b.shape[-1]).to(self.b)

    def strain(self, y: Tensor) -> Tensor:
        """What each fixed feature will have drifted after y, in tolerances, ``(batch, i)``."""
        square = torch.einsum("bj,bijk,bk->bi", y, self.b, y) + 2 * torch.einsum("bij,bj->bi", self.h, y) + self.e2
        return square.clamp_min(0).sqrt()


def plan(solution: Solution, stride: float, longest: float, edge: Edge | None = None, correct: bool = True) -> Step:
    """The step from a `solution` made to go on from: see `Solution.aim`.

    Args:
        solution: the subspace, and what is to be done.
        stride: how much further the step is to take what varies, to first order.
        longest: no step is longer, in the latent's own length.
        edge: of the typical region; None where the latent may go anywhere.
        correct: whether fixed features are pulled back.
    """
    inside = _inside(solution)

    # Half of the tolerance used, and steps grow shorter: the pull keeps up, where a whole step would not be accepted.
    room = (2 - 2 * inside.e2.amax(1).sqrt()).clamp(CAREFUL, 1.0) if correct else 1.0

    def both(mu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, rate = _direction(inside, mu)
        size = room * step_size(rate, stride, longest)
        pull = _pull(inside, mu, TRUST * size) if correct else torch.zeros_like(y)
        return size[:, None] * y, pull, rate

    def strain(mu: Tensor) -> Tensor:
        ahead, pull, _ = both(mu)
        return inside.strain(ahead + pull)

    mu = multipliers(inside.b.shape[1], inside.g, strain)
    ahead, pull, rate = both(mu)
    if edge is not None:
        pull = pull + _bend(solution, inside, mu, ahead + pull, edge)
    size = ahead.norm(dim=-1)
    y = ahead / size[:, None].clamp_min(1e-30)
    held = torch.einsum("bj,bjk,bk->b", y, inside.metric(mu, inside.ridge), y)
    quotient = (y * inside.g).sum(-1).square() / held.clamp_min(1e-30)
    direction, back = ((x.to(solution.V)[:, None] @ solution.V)[:, 0] for x in (y, pull))
    return Step(direction, back, size.to(solution.V), rate * size, quotient)


def _inside(solution: Solution) -> _Inside:
    aim = solution.aim
    assert aim is not None  # the solver was asked to go on
    gaps = aim.gaps
    parts, drift = shared_out(solution.FV, gaps.blocks), shared_out(gaps.fixed, gaps.blocks)
    return _Inside(
        b=torch.stack([gram(part) for part in parts], 1),
        h=torch.stack([_times(part, e) for part, e in zip(parts, drift, strict=True)], 1),
        e2=torch.stack([e.double().square().sum(-1) for e in drift], 1),
        g=_times(solution.CV, aim.m),
        u=_times(solution.CV, normalize(gaps.varied, dim=1)),
        ridge=solution.ridge,
    )


def _times(X: Tensor, x: Tensor) -> Tensor:
    return (X @ x[:, :, None])[:, :, 0].double()


def _direction(inside: _Inside, mu: Tensor) -> tuple[Tensor, Tensor]:
    """``P⁻¹ g`` as a unit vector ``(batch, m)``, and how much further from the start a unit of it takes what varies.

    Where that is little, the change along m decides: what varies then goes about the start, and not away from it.
    """
    y = normalize(torch.linalg.solve(inside.metric(mu, inside.ridge), inside.g), dim=1)
    along, away = (y * inside.g).sum(-1), (y * inside.u).sum(-1)
    return y, torch.maximum(away, SLOWEST * along)


def _pull(inside: _Inside, mu: Tensor, longest: Tensor) -> Tensor:
    """δ ``(batch, m)``, no longer than `longest` ``(batch,)``."""
    h, u, ridge = torch.einsum("bi,bij->bj", mu, inside.h), inside.u, inside.ridge
    for _ in range(TRIES):
        both = torch.linalg.solve(inside.metric(mu, ridge), torch.stack([-h, u], -1))
        y, Pu = both[..., 0], both[..., 1]
        bend = (u * Pu).sum(-1, keepdim=True)
        y = y - torch.where(bend > 0, (u * y).sum(-1, keepdim=True) / bend.clamp_min(1e-30), 0.0) * Pu
        far = y.norm(dim=-1) > longest
        if not bool(far.any()):
            return y
        ridge = torch.where(far, FIRMER * ridge, ridge)
    return y * (longest / y.norm(dim=-1).clamp_min(1e-30)).clamp_max(1.0)[:, None]


def _bend(solution: Solution, inside: _Inside, mu: Tensor, y: Tensor, edge: Edge) -> Tensor:
    """What is added to y ``(batch, m)`` so that the latents stay inside the edge and vary as much; zeros if they do."""
    V, away = solution.V.double(), edge.away.double()
    r = (V @ normalize(away, dim=1)[:, :, None])[:, :, 0]
    X = torch.linalg.solve(inside.metric(mu, inside.ridge), torch.stack([r, inside.g], -1))
    small = torch.stack([r, inside.g], 1) @ X
    # Where the latent moves along neither, or r and g are one, there is nothing to bend with.
    small = small + 1e-9 * small.diagonal(dim1=1, dim2=2).amax(-1).clamp_min(1e-30)[:, None, None] * torch.eye(2).to(
        small
    )
    added = torch.zeros_like(y)
    for _ in range(3):  # the region is round: each time what the last straight correction left
        there = (away + ((y + added)[:, None] @ V)[:, 0]).norm(dim=-1)
        over = torch.stack([(edge.radius - there).clamp_max(0), torch.zeros_like(there)], -1)
        added = added + (X @ torch.linalg.solve(small, over[..., None]))[..., 0]
    return added
