"""What is minimised: how far every matched feature is from the photograph's, and the latent from typical ones.

    E(u) = Σ_j |f_j(G(z(u))) - f_j(x)|² / r_j²  +  λ |u|² / k

``x`` is the photograph, ``r_j`` the length among values of the feature's typical distance, so that every term is 1 for
two random samples. Features are frozen near the photograph: a face's box, say, is where it is there. All of it is a sum
of squares, which Gauss and Newton's method takes apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.chart import Chart
from eigenwalk.feature import Feature
from eigenwalk.maths.linearise import Linearisation, Point
from eigenwalk.maths.linearise.calls import freeze_near, values_of


@dataclass(frozen=True)
class Match:
    """A feature to match, under its canonical expression, with the typical distance of samples."""

    name: str
    feature: Feature
    typical: float


@dataclass(frozen=True)
class Objective:
    """E for some rows, each with its photograph.

    Attributes:
        look: the generator with the features as they stand near the photographs.
        targets: values ``(rows, n_j)`` of each feature at the photographs.
        scales: 1 / r_j ``(rows, 1)``.
        prior: λ.
    """

    look: Linearisation
    targets: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]
    prior: float

    @classmethod
    def of(cls, look: Linearisation, matches: Sequence[Match], photographs: Tensor, prior: float) -> Objective:
        """Return E of `photographs` ``(rows, 3, height, width)``; `look` has the generator, its features are replaced.

        Raises:
            Undefined: a feature has no value at some rows, such as a photograph without a face.
        """
        frozen, targets, scales = [], [], []
        for one in matches:
            near = freeze_near(one.name, one.feature, photographs, ())
            with torch.no_grad():
                values = values_of(one.name, near, photographs)
            frozen.append((one.name, Still(near)))
            targets.append(values.flatten(1) if values.dim() > 1 else values[:, None])
            scales.append(1 / one.feature.radius(one.typical, values).to(values)[:, None])
        return cls(replace(look, features=tuple(frozen)), tuple(targets), tuple(scales), prior)

    def residuals(self, point: Point) -> list[Tensor]:
        """Return scaled differences from the photographs ``(rows, n_j)``."""
        values = (value.reshape(len(value), -1) for value in point.values)
        return [(v - t) * s for v, t, s in zip(values, self.targets, self.scales, strict=True)]

    def terms(self, point: Point) -> Tensor:
        """Return every feature's term ``(rows, features)``, in float64."""
        return torch.stack([r.double().square().sum(1) for r in self.residuals(point)], 1)

    def value(self, point: Point, u: Tensor) -> Tensor:
        """Return E ``(rows,)``, in float64."""
        return self.terms(point).sum(1) + self.prior * u.double().square().mean(1)

    def gradient(self, point: Point, u: Tensor, chart: Chart) -> Tensor:
        """Return half the gradient of E ``(rows, k)``."""
        pulled = point.pull([r * s for r, s in zip(self.residuals(point), self.scales, strict=True)])
        return chart.pull(pulled) + self.prior / u.shape[1] * u

    def curvature(self, point: Point, p: Tensor, chart: Chart) -> Tensor:
        """Return ``H p`` ``(rows, k)``, with H half of Gauss and Newton's Hessian of E: one push and one pull."""
        pushed = point.push(chart.push(p)[:, None])
        pulled = point.pull([v[:, 0] * s.square() for v, s in zip(pushed, self.scales, strict=True)])
        return chart.pull(pulled) + self.prior / p.shape[1] * p


class Still(Feature):
    """A feature frozen near the photographs, which is not frozen again near other images."""

    def __init__(self, inner: Feature):
        self.inner, self.unit, self.differentiable, self.step = inner, inner.unit, inner.differentiable, inner.step

    def __call__(self, images: Tensor) -> Tensor:
        """The inner feature's values."""
        return self.inner(images)
