"""Gauss and Newton's method within a trust region (Steihaug 1983; Nocedal & Wright, Numerical Optimization, 7.1).

A step solves ``H δ = -g`` by conjugate gradients, one pushforward and one pullback each, until δ leaves the ball of the
trust region. As the norms of the iterates grow, a step that proves too long is cut along the same iterates: that costs
one forward pass and no derivative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.chart import Chart
from eigenwalk_invert.objective import Objective

ITERATES = 10
"""Conjugate gradients of one step."""
ENOUGH = 0.1
"""Of the gradient's norm: the residual at which a step is solved."""
CUTS = 3
"""How often a step is shortened, fourfold each time, before the gradient is taken anew."""
LEAST = 1e-7
"""Radius, as a share of a typical u's length, below which a row has come to rest."""


@dataclass(frozen=True)
class State:
    """Where a search stands.

    Attributes:
        u: coordinates ``(rows, k)``.
        radius: of the trust region ``(rows,)``.
        value: E ``(rows,)``, in float64.
    """

    u: Tensor
    radius: Tensor
    value: Tensor

    @classmethod
    def begin(cls, u: Tensor, value: Tensor) -> State:
        """Return the state at `u`; the first step may go half as far as a typical latent is from the mean."""
        return cls(u, torch.full((len(u),), 0.5 * u.shape[1] ** 0.5).to(u), value)

    @property
    def rests(self) -> Tensor:
        """Which rows have come to rest ``(rows,)``."""
        return self.radius < LEAST * self.u.shape[1] ** 0.5


def descend(objective: Objective, chart: Chart, state: State) -> tuple[State, Tensor]:
    """Take one step of every row; return the new state and the images before it ``(rows, 3, height, width)``."""
    point = objective.look.at(chart.latents(state.u))
    gradient = objective.gradient(point, state.u, chart)
    before = objective.value(point, state.u)
    path, bent = solve(objective, point, gradient, chart, state.radius)
    images = point.images
    point.forget()
    u, radius, value = state.u.clone(), state.radius.clone(), before.clone()
    waiting = torch.ones_like(radius, dtype=torch.bool)
    for _ in range(1 + CUTS):
        step, promised = cut(path, bent, gradient, radius)
        tried = objective.look.at(chart.latents(state.u + step))
        now = objective.value(tried, state.u + step)
        tried.forget()
        ratio = (before - now) / promised.double().clamp_min(1e-300)
        better = waiting & (now < before) & (ratio > 0.1)
        u, value = torch.where(better[:, None], state.u + step, u), torch.where(better, now, value)
        length = step.norm(dim=1)
        longer = better & (ratio > 0.7) & (length > 0.8 * radius)
        radius = torch.where(longer, 2 * radius, radius)
        radius = torch.where(waiting & ~better, length / 4, radius)
        waiting = waiting & ~better
        if not bool(waiting.any()):
            break
    return replace(state, u=u, radius=radius, value=value), images


def solve(
    objective: Objective, point: object, g: Tensor, chart: Chart, radius: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the iterates δ of ``H δ = -g``, from 0 on, and H δ of each, all ``(rows, k)``."""
    delta, bent, rest = torch.zeros_like(g), torch.zeros_like(g), -g
    p, path, curved = rest, [delta], [bent]
    for _ in range(ITERATES):
        square = rest.square().sum(1)
        hp = objective.curvature(point, p, chart)  # type: ignore[arg-type]
        along = (p * hp).sum(1)
        going = (along > 0) & (rest.norm(dim=1) > 1e-12 * g.norm(dim=1))
        alpha = torch.where(going, square / along.clamp_min(1e-38), 0 * square)[:, None]
        delta, bent, rest = delta + alpha * p, bent + alpha * hp, rest - alpha * hp
        path.append(delta)
        curved.append(bent)
        done = ~going | (delta.norm(dim=1) > radius) | (rest.norm(dim=1) < ENOUGH * g.norm(dim=1))
        if bool(done.all()):
            break
        p = rest + (rest.square().sum(1) / square.clamp_min(1e-38))[:, None] * p
    return path, curved


def cut(path: list[Tensor], curved: list[Tensor], g: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the broken line through `path` leaves the ball of `radius`, and how much E falls there by the model.

    Where it ends inside, its end. E falls by ``-2 gᵀδ - δᵀHδ``.
    """
    step, bent = path[-1].clone(), curved[-1].clone()
    found = torch.zeros_like(radius, dtype=torch.bool)
    for i in range(1, len(path)):
        leaves = ~found & (path[i].norm(dim=1) > radius)
        a, d = path[i - 1], path[i] - path[i - 1]
        dd, ad, aa = d.square().sum(1), (a * d).sum(1), a.square().sum(1)
        t = (-ad + (ad.square() + dd * (radius.square() - aa).clamp_min(0)).sqrt()) / dd.clamp_min(1e-38)
        t = t[:, None]
        step = torch.where(leaves[:, None], a + t * d, step)
        bent = torch.where(leaves[:, None], curved[i - 1] + t * (curved[i] - curved[i - 1]), bent)
        found = found | leaves
    return step, -(2 * (g * step).sum(1) + (step * bent).sum(1))
