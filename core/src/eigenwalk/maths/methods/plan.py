"""Plan the next step inside a subspace: its direction, its length, and the pull that corrects the drift.

Everything is solved inside the subspace, at no pass. With ``P = B + εI``, m the unit vector of varied values to go
along (`eigenwalk.maths.methods.outward`), e the drift and d the varied change since the start:

    direction   v = P⁻¹ Cᵀm, scaled so that d grows by `stride` to first order
    pull        δ = -P⁻¹ Fᵀe - n P⁻¹ Cᵀd        with n such that dᵀCδ = 0
    retreat     from what other paths have varied, as the pull (`eigenwalk.maths.methods.apart`); a part of the step

The pull is the regularised Gauss-Newton step back. An oblique projection, the one that disturbs the fixed features
least, keeps it from changing d. A trust region limits it to some lengths of the step: if it would be longer, its ε is
raised (Levenberg 1944, Marquardt 1963). Near the edge of the latent's typical region, step and pull together are bent
by the same projection to stay inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.direction import Gaps, Limits, Step
from eigenwalk.maths.methods.apart import Apart
from eigenwalk.maths.methods.subspace import Subspace, gram, times
from eigenwalk.maths.methods.trade import by_feature, multipliers

TRUST = 5.0
"""The pull is no longer than this many steps: cut at twice the step, a third more drift was left on an anime GAN."""
MIN_RATE = 0.5
"""Floor on the rate at which a step leads away from the start, as a share of its rate along m."""
MIN_ROOM = 0.2
"""Near a tolerance a step shrinks to this share of its length, and no further."""
FIRMER, TRIES = 3.0, 16
"""Factor by which ε is raised if the pull is too long, and how often at most."""


@dataclass(frozen=True)
class _Inside:
    """The problem in the subspace's coordinates y, float64; i counts fixed features.

    B ``(batch, i, basis, basis)``, Fe ``(batch, i, basis)`` and e2 ``(batch, i)`` give what feature i will have drifted
    after y: ``yᵀ B_i y + 2 Fe_iᵀ y + e2_i``. Cm and Cd ``(batch, basis)`` are the gradients along m and along d.
    D ``(batch, basis, basis)`` and Ds ``(batch, basis)`` are what keeps the path apart from others.
    """

    B: Tensor
    Fe: Tensor
    e2: Tensor
    Cm: Tensor
    Cd: Tensor
    ridge: Tensor
    D: Tensor
    Ds: Tensor

    @classmethod
    def of(cls, space: Subspace, m: Tensor, gaps: Gaps, blocks: tuple[int, ...], stride: float | Tensor) -> _Inside:
        rows, shared = Apart.of(gaps, stride).rows(space.CV)
        parts, drift = by_feature(space.FV, blocks), by_feature(gaps.fixed, blocks)
        return cls(
            B=torch.stack([gram(part) for part in parts], 1),
            Fe=torch.stack([times(part, e) for part, e in zip(parts, drift, strict=True)], 1),
            e2=torch.stack([e.double().square().sum(-1) for e in drift], 1),
            Cm=times(space.CV, m),
            Cd=times(space.CV, normalize(gaps.varied, dim=1)),
            ridge=space.ridge,
            D=gram(rows),
            Ds=times(rows, shared),
        )

    def metric(self, mu: Tensor, ridge: Tensor) -> Tensor:
        """``P = Σ μ_i B_i + D + εI``."""
        eye = torch.eye(self.B.shape[-1]).to(self.B)
        return torch.einsum("bi,bijk->bjk", mu, self.B) + self.D + ridge[:, None, None] * eye

    def strain(self, y: Tensor) -> Tensor:
        """Return the drift of each fixed feature after a step y, in tolerances, ``(batch, i)``."""
        square = torch.einsum("bj,bijk,bk->bi", y, self.B, y) + 2 * torch.einsum("bij,bj->bi", self.Fe, y) + self.e2
        return square.clamp_min(0).sqrt()

    def direction(self, mu: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``P⁻¹ Cm`` as a unit vector, and the rate at which d grows along it.

        If that rate is small, because the varied values circle the start, a share of the rate along m replaces it.
        """
        y = normalize(torch.linalg.solve(self.metric(mu, self.ridge), self.Cm), dim=1)
        along, away = (y * self.Cm).sum(-1), (y * self.Cd).sum(-1)
        return y, torch.maximum(away, MIN_RATE * along)

    def pull(self, mu: Tensor, longest: Tensor) -> Tensor:
        """Return the pull δ ``(batch, basis)``, no longer than `longest` ``(batch,)``."""
        Fe, Cd, ridge = torch.einsum("bi,bij->bj", mu, self.Fe), self.Cd, self.ridge
        for _ in range(TRIES):
            y = neutral_pull(self.metric(mu, ridge), Fe, Cd)[0]
            far = y.norm(dim=-1) > longest
            if not bool(far.any()):
                return y
            ridge = torch.where(far, FIRMER * ridge, ridge)
        return y * (longest / y.norm(dim=-1).clamp_min(1e-30)).clamp_max(1.0)[:, None]

    def retreat(self, mu: Tensor, longest: Tensor) -> Tensor:
        """Return the step ``(batch, basis)`` back from what other paths have varied, no longer than `longest`."""
        y = neutral_pull(self.metric(mu, self.ridge), self.Ds, self.Cd)[0]
        return y * (longest / y.norm(dim=-1).clamp_min(1e-30)).clamp_max(1.0)[:, None]

    def weights(self, mu: Tensor, FV: Tensor, blocks: tuple[int, ...]) -> Tensor:
        """W ``(batch, basis, q)``: the pull against any drift e, ``-W e``, neutral to what has varied."""
        each = [m[:, None, None] * part for m, part in zip(mu.unbind(1), by_feature(FV, blocks), strict=True)]
        both = torch.linalg.solve(
            self.metric(mu, self.ridge), torch.cat([*each, self.Cd[:, :, None].to(FV)], 2).double()
        )
        solved, PCd = both[..., :-1], both[..., -1]
        bend = (self.Cd * PCd).sum(-1)[:, None, None].clamp_min(1e-30)
        return (solved - PCd[:, :, None] * (self.Cd[:, None] @ solved) / bend).to(FV)


def neutral_pull(P: Tensor, Fe: Tensor, Cd: Tensor) -> tuple[Tensor, Tensor]:
    """``δ = -P⁻¹ Fe - n P⁻¹ Cd`` ``(batch, basis)`` with n ``(batch, 1)`` such that ``Cdᵀ δ = 0``; and n."""
    both = torch.linalg.solve(P, torch.stack([-Fe, Cd], -1))
    y, PCd = both[..., 0], both[..., 1]
    bend = (Cd * PCd).sum(-1, keepdim=True)
    n = torch.where(bend > 0, (Cd * y).sum(-1, keepdim=True) / bend.clamp_min(1e-30), 0.0)
    return y - n * PCd, n


def plan(space: Subspace, m: Tensor, gaps: Gaps, blocks: tuple[int, ...], limits: Limits, correct: bool = True) -> Step:
    """Plan the next step in `space`.

    Args:
        space: the subspace at this waypoint, with its pushforwards.
        m: ``(batch, p)``, the unit vector of varied values to go on along.
        gaps: what has varied and drifted since the start, here and on other paths.
        blocks: how many values each fixed feature has.
        limits: how far the step may go.
        correct: whether fixed features are pulled back.
    """
    inside = _Inside.of(space, m, gaps, blocks, limits.stride)

    # Once half of a tolerance is used, steps grow shorter: the pull keeps up, where a whole step would be refused.
    room = (2 - 2 * inside.e2.amax(1).sqrt()).clamp(MIN_ROOM, 1.0)
    room = room if correct else torch.ones_like(room)

    def both(mu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, rate = inside.direction(mu)
        size = room * limits.size(rate)
        pull = inside.pull(mu, TRUST * size) if correct else torch.zeros_like(y)
        # A part of the step and not of the pull: near a tolerance it gets shorter with the step.
        retreat = room[:, None] * inside.retreat(mu, size)
        return size[:, None] * y + retreat, pull, rate * size

    def strain(mu: Tensor) -> Tensor:
        ahead, pull, _ = both(mu)
        return inside.strain(ahead + pull)

    mu = multipliers(inside.B.shape[1], inside.Cm, strain)
    ahead, pull, varied = both(mu)
    if limits.away is not None:
        pull = pull + _bend(limits.moved(space.V), inside, mu, ahead + pull, limits.away, limits.radius)
    size = ahead.norm(dim=-1)
    y = ahead / size[:, None].clamp_min(1e-30)
    held = torch.einsum("bj,bjk,bk->b", y, inside.metric(mu, inside.ridge) - inside.D, y)
    quotient = (y * inside.Cm).sum(-1).square() / held.clamp_min(1e-30)
    direction, back = ((x.to(space.V)[:, None] @ space.V)[:, 0] for x in (y, pull))
    weights = inside.weights(mu, space.FV, blocks) if correct else None
    return Step(direction, size.to(space.V), varied, quotient, back, space.V if correct else None, weights)


def _bend(V: Tensor, inside: _Inside, mu: Tensor, y: Tensor, away: Tensor, radius: Tensor) -> Tensor:
    """What to add to y ``(batch, basis)`` so that latents stay within `radius` and vary as much; zeros if they do."""
    V, away = V.double(), away.double()
    r = (V @ normalize(away, dim=1)[:, :, None])[:, :, 0]
    X = torch.linalg.solve(inside.metric(mu, inside.ridge), torch.stack([r, inside.Cm], -1))
    small = torch.stack([r, inside.Cm], 1) @ X
    # Where the latent moves along neither, or r and Cm are one, there is nothing to bend with.
    small = small + 1e-9 * small.diagonal(dim1=1, dim2=2).amax(-1).clamp_min(1e-30)[:, None, None] * torch.eye(2).to(
        small
    )
    added = torch.zeros_like(y)
    for _ in range(3):  # the region is round: each time what the last straight correction left
        there = (away + ((y + added)[:, None] @ V)[:, 0]).norm(dim=-1)
        over = torch.stack([(radius - there).clamp_max(0), torch.zeros_like(there)], -1)
        added = added + (X @ torch.linalg.solve(small, over[..., None]))[..., 0]
    return added
