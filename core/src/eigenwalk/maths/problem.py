"""The walk's problem: named features with their roles, and the scaled Jacobians that methods see.

Every feature has its own unit, so none can be added to another as it is. A varied feature is measured in shares of its
typical distance, times its weight; a fixed one in tolerances:

    A = Σ_j w_j² J_cjᵀ J_cj / r_j²        r_j: the length, among values, of its typical distance
    B = Σ_i J_fiᵀ J_fi / t_i²             t_i: the length, among values, of its tolerance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.chart import Chart
from eigenwalk.direction import Gaps
from eigenwalk.maths.linearise import Linearisation, Named, Point
from eigenwalk.path import Role


@dataclass(frozen=True)
class Region:
    """Where latents are typical: within `radius` of their mean ``(latent,)``."""

    mean: Tensor
    radius: float

    def away(self, latents: Tensor) -> Tensor:
        """`latents` ``(batch, latent)`` as seen from the mean."""
        return latents - self.mean.to(latents)


@dataclass(frozen=True)
class Problem:
    """A generator, and the features to hold and to vary in its images.

    Attributes:
        linearisation: generator and features, in the order of `roles`.
        roles: one for each feature, the fixed ones first.
        name: the generator's canonical expression.
        latent_scale: the typical distance between two latents.
        region: where latents are typical; None if unknown.
        chart: in which methods that lead outward see the latent; None: as it is.
    """

    linearisation: Linearisation
    roles: tuple[Role, ...]
    name: str
    latent_scale: float
    region: Region | None = None
    chart: Chart | None = None

    @property
    def fixed(self) -> int:
        """How many features are fixed."""
        return sum(role.part == "fixed" for role in self.roles)

    def changes(self, point: Point, start: Sequence[Tensor]) -> Tensor:
        """Return the distance of every feature from its value at the start, ``(batch, features)``, each in its unit."""
        pairs = zip(point.features, point.values, start, strict=True)
        return torch.stack([feature.distance(a, value).double() for (_, feature), value, a in pairs], 1)

    def excess(self, changes: Tensor) -> Tensor:
        """Return distance over tolerance of every fixed feature, ``(batch, fixed)``; above 1 a tolerance is broken."""
        tolerances = [role.tolerance for role in self.roles if role.part == "fixed"]
        return changes[:, : self.fixed] / changes.new_tensor(tolerances)


class Scaled:
    """What a method sees at a point (`eigenwalk.direction.Sight`), in the units of the roles.

    `averaged` has the Jacobian ``(batch, values, latent)`` of features, by place, that replaces their own at the point
    (`eigenwalk.maths.cloud`). Vectors that are pushed and pulled are in the coordinates of `chart`; None: the latent's.
    """

    def __init__(
        self,
        problem: Problem,
        point: Point,
        averaged: Mapping[int, Tensor] | None = None,
        chart: Chart | None = None,
    ):
        self.point, self._fixed, self._averaged, self._chart = point, problem.fixed, averaged or {}, chart
        self.batch, self.dim = point.latents.shape
        self.like = point.latents.detach()
        pairs = zip(problem.roles, point.features, point.values, strict=True)
        self._scales = [_scale(role, named, values).to(values) for role, named, values in pairs]
        self.generator, self.images = problem.linearisation.generator, point.images

    def values(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Varied ``(n, p)`` and fixed ``(n, q)`` values at other latents ``(n, latent)``, not scaled.

        Raises:
            Undefined: a feature has no value at some rows, which it names.
        """
        values = replace(self.point.owner, differences=1.0).at(latents.to(self.like)).values
        flat = [v.reshape(len(v), -1) for v in values]
        none = self.like.new_zeros(len(latents), 0)
        return torch.cat([none, *flat[self._fixed :]], 1), torch.cat([none, *flat[: self._fixed]], 1)

    def push(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``: every feature's change along V ``(batch, k, dim)``, scaled and laid side by side."""
        V = V if self._chart is None else self._chart.push(V)
        every = range(len(self._scales))
        own = self.point.push(V, self._averaged) if len(self._averaged) < len(every) else ()
        pushed = [V @ self._averaged[i].mT if i in self._averaged else own[i] for i in every]
        scaled = [p * scale[:, None, None] for p, scale in zip(pushed, self._scales, strict=True)]
        return self._split(scaled, V.shape[1])

    def pull(self, c: Tensor | None, f: Tensor | None) -> Tensor:
        """``Cᵀ c + Fᵀ f`` ``(batch, dim)``."""
        sizes = [values[0].numel() for values in self.point.values]
        fixed = [None] * self._fixed if f is None else list(f.split(sizes[: self._fixed], 1))
        varied = [None] * (len(sizes) - self._fixed) if c is None else list(c.split(sizes[self._fixed :], 1))
        scaled = [
            None if u is None else u * scale[:, None] for u, scale in zip([*fixed, *varied], self._scales, strict=True)
        ]
        pulled = self.point.pull([None if i in self._averaged else u for i, u in enumerate(scaled)])
        for i, jacobian in self._averaged.items():
            if (u := scaled[i]) is not None:
                pulled = pulled + (u[:, None] @ jacobian)[:, 0]
        return pulled if self._chart is None else self._chart.pull(pulled)

    def lag(self, explained: Tensor, varied: Tensor, most: float) -> Tensor:
        """Return by what factor ``(batch,)`` averaged Jacobians promised more change since the start than there was.

        `explained` ``(batch, p)`` is what they promised, in each feature's own unit, and `varied` ``(batch, p)`` the
        change, scaled. From 1 to `most`; 1 unless all that varies is averaged.
        """
        places = range(self._fixed, len(self._scales))
        if not all(i in self._averaged for i in places):
            return varied.new_ones(self.batch)
        parts = explained.split([self._averaged[i].shape[1] for i in places], 1)
        scaled = [part * self._scales[i][:, None] for i, part in zip(places, parts, strict=True)]
        promised = torch.cat(scaled, 1).norm(dim=1)
        return (promised / varied.norm(dim=1).clamp_min(1e-30)).clamp(1.0, most)

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many values each fixed feature has."""
        return tuple(values[0].numel() for values in self.point.values[: self._fixed])

    def gaps(self, start: Sequence[Tensor], direction: Tensor) -> Gaps:
        """Return what varied and what drifted since values `start`, scaled alike; `direction` led here."""
        pairs = zip(self.point.values, start, self._scales, strict=True)
        scaled = [(value - a).reshape(len(value), 1, -1) * scale[:, None, None] for value, a, scale in pairs]
        c, f = self._split(scaled, 1)
        return Gaps(c[:, 0], f[:, 0], direction)

    def _split(self, scaled: list[Tensor], k: int) -> tuple[Tensor, Tensor]:
        none = self.like.new_zeros(self.batch, k, 0)
        return torch.cat([none, *scaled[self._fixed :]], 2), torch.cat([none, *scaled[: self._fixed]], 2)


def _scale(role: Role, named: Named, values: Tensor) -> Tensor:
    """The factor ``(batch,)`` by which a feature's values are multiplied."""
    distance = role.tolerance if role.part == "fixed" else role.typical
    assert distance is not None  # a fixed role has a tolerance
    return role.weight / named[1].radius(distance, values)
