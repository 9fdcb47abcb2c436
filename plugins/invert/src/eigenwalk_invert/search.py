"""The search for latents: from several starts by Adam, then from the best to its end by Gauss and Newton's method.

Adam's momentum passes over small valleys at which Gauss and Newton's method stops; near the end the latter needs a
tenth of the passes. In w+, a tied w is found first, and then a w for each layer from there. The rate of Adam rises and
falls as in StyleGAN2's projection (Karras et al. 2020, arXiv 1912.04958, appendix D).

A search is advanced step by step, and a `Search` is all that is known between two steps: it can be saved, and gone on
with to the same latents.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from eigenwalk.chart import Chart
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.path import PULLBACK_PASSES
from eigenwalk.runs.memory.fitting import choose_fit
from eigenwalk.runs.watch import Watch
from eigenwalk.walk.rows import groups
from eigenwalk_invert.descend import State, descend
from eigenwalk_invert.objective import Objective
from eigenwalk_invert.task import Task

SHARE = 0.6
"""Share of the passes that Adam takes."""
SIEVE = 0.25
"""Share of Adam's steps after which the best start of each photograph goes on alone."""
RATE, BETAS = 0.1, (0.9, 0.999)
RISE, FALL = 0.05, 0.25
"""Shares of the steps in which Adam's rate rises, and falls."""
CANDIDATES = 8
"""Samples for each restart, of which the nearest to the photograph are taken."""
NARROW = 0.2
"""First radius in w+, as a share of that in w: the tied w is near already."""


@dataclass(frozen=True)
class Search:
    """Where a search stands.

    Attributes:
        stage: 0 for the first space, 1 for w+ after w; `Inverter.stages` of them.
        steps: of Adam, taken in this stage.
        spent: passes of Gauss and Newton's method in this stage.
        total: passes in all.
        photo: of each row, its photograph.
        u, m, v: coordinates, and Adam's moments, ``(rows, k)``.
        radius, value: of `State`.
    """

    stage: int
    steps: int
    spent: float
    total: float
    photo: tuple[int, ...]
    u: Tensor
    m: Tensor
    v: Tensor
    radius: Tensor
    value: Tensor
    images: Tensor | None = field(default=None, repr=False, compare=False)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is to be saved as tensors."""
        return {name: getattr(self, name).cpu().contiguous() for name in ("u", "m", "v", "radius", "value")}

    def facts(self) -> str:
        """Return what is to be saved as text."""
        names = ("stage", "steps", "spent", "total", "photo")
        return json.dumps({name: getattr(self, name) for name in names})

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], facts: str, device: torch.device) -> Search:
        """Return what was saved."""
        known: dict[str, Any] = json.loads(facts)
        moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in tensors.items()}
        return cls(**{**known, **moved, "photo": tuple(known["photo"])})


class Inverter:
    """Searches the latents of a task's photographs."""

    def __init__(self, task: Task, watch: Watch | None = None):
        self.task, self.options, self.watch, self._passed = task, task.options, watch or Watch(), 0.0
        self.look = Linearisation(task.generator, (), watch=self._count)
        self.photographs = task.photographs
        like = self.photographs[:1, 0, 0, 0]
        first = Chart.of(task.generator, like)
        self.charts = (first, first.free()) if first.layers > 1 else (first,)
        self.names = ("w", "w+") if first.layers > 1 else (task.generator.space,)
        self._objectives: dict[tuple[int, ...], Objective] = {}
        self.adam_steps = max(1, round(SHARE * self.options.passes / (1 + PULLBACK_PASSES)))

    @cached_property
    def batch(self) -> int:
        """How many rows fit into memory at once."""
        objective, chart = self.objective([0]), self.charts[0]
        latent = chart.latents(self.photographs.new_zeros(1, chart.size))
        fit = choose_fit(objective.look, latent, self.options.restarts * len(self.photographs))
        self.look = replace(fit.linearisation, features=())
        self._objectives.clear()
        return fit.batch

    def objective(self, photos: Sequence[int]) -> Objective:
        """Return what is minimised, for rows with these photographs."""
        key = tuple(photos)
        if key not in self._objectives:
            if len(self._objectives) > 8:
                self._objectives.clear()
            prior, weights = self.options.prior, self.task.weights
            made = Objective.of(self.look, self.task.matched(key), self.photographs[list(key)], prior)
            scales = tuple(s * w**0.5 for s, w in zip(made.scales, weights, strict=True))
            self._objectives[key] = replace(made, scales=scales)
        return self._objectives[key]

    def begin(self) -> Search:
        """Return the search at its starts: encodings, if the generator encodes; else the nearest of some samples."""
        chart, restarts, n = self.charts[0], self.options.restarts, len(self.photographs)
        generator, before = self.task.generator, self._passed
        encoded = generator.encode(self.photographs)
        pool = generator.sample(CANDIDATES * restarts, self.options.seed).to(self.photographs)
        u = torch.cat([self.photographs.new_zeros(1, chart.size), chart.coordinates(pool)])
        values = torch.stack([self._values(chart, u, i) for i in range(n)])
        best = values.argsort(1)[:, :restarts]
        starts, first = u[best], values.gather(1, best)
        if encoded is not None:
            starts[:, 0] = chart.coordinates(encoded.detach().to(u))
        rows = starts.flatten(0, 1)
        still = torch.zeros_like(rows)
        photo = tuple(i for i in range(n) for _ in range(restarts))
        radius = State.begin(rows, rows[:, 0]).radius
        return Search(0, 0, 0.0, self._passed - before, photo, rows, still, still, radius, first.flatten())

    def advance(self, search: Search) -> Search | None:
        """Take one step of every row, or go on to the next stage; return None at the end."""
        if search.steps < self.adam_steps:
            return self._adam(self._sieve(search) if search.steps == round(SIEVE * self.adam_steps) else search)
        if len(search.photo) > len(self.photographs):
            search = self._sieve(search)
        rests = State(search.u, search.radius, search.value).rests
        if search.spent < (1 - SHARE) * self.options.passes and not bool(rests.all()):
            return self._newton(search)
        if search.stage + 1 == len(self.charts):
            return None
        u = self.charts[search.stage + 1].coordinates(self.charts[search.stage].latents(search.u))
        radius = NARROW * State.begin(u, u[:, 0]).radius
        still = torch.zeros_like(u)
        return replace(search, stage=search.stage + 1, steps=0, spent=0.0, u=u, m=still, v=still, radius=radius)

    @property
    def looks(self) -> int:
        """How many images `begin` looks at."""
        return len(self.photographs) * (1 + CANDIDATES * self.options.restarts)

    def latents(self, search: Search) -> Tensor:
        """Return the best latent of each photograph so far ``(photos, latent)``."""
        return self.charts[search.stage].latents(search.u[self.best(search)])

    def share(self, search: Search) -> float:
        """Return how much of this stage is done, from 0 to 1."""
        newton = search.spent / ((1 - SHARE) * self.options.passes)
        return SHARE * search.steps / self.adam_steps + (1 - SHARE) * min(1.0, newton)

    def best(self, search: Search) -> list[int]:
        """Return the row of the lowest E of each photograph."""
        rows: dict[int, int] = {}
        for row, (photo, value) in enumerate(zip(search.photo, search.value.tolist(), strict=True)):
            if photo not in rows or value < float(search.value[rows[photo]]):
                rows[photo] = row
        return [rows[photo] for photo in range(len(self.photographs))]

    def _sieve(self, search: Search) -> Search:
        """Keep the best row of each photograph."""
        rows = self.best(search)
        kept = {name: getattr(search, name)[rows] for name in ("u", "m", "v", "radius", "value")}
        return replace(search, photo=tuple(search.photo[row] for row in rows), **kept)

    def _adam(self, search: Search) -> Search:
        chart, before = self.charts[search.stage], self._passed
        gradients, values, images = [], [], []
        for rows in groups(range(len(search.photo)), self.batch):
            objective = self.objective([search.photo[row] for row in rows])
            point = objective.look.at(chart.latents(search.u[rows]))
            gradients.append(objective.gradient(point, search.u[rows], chart))
            values.append(objective.value(point, search.u[rows]))
            images.append(point.images)
            point.forget()
        g, k, (a, b) = torch.cat(gradients), search.steps + 1, BETAS
        m, v = a * search.m + (1 - a) * g, b * search.v + (1 - b) * g.square()
        rate = RATE * ramp(k / self.adam_steps)
        step = rate * (m / (1 - a**k)) / ((v / (1 - b**k)).sqrt() + 1e-12)
        total = search.total + self._passed - before
        return replace(
            search, steps=k, total=total, u=search.u - step, m=m, v=v, value=torch.cat(values), images=torch.cat(images)
        )

    def _newton(self, search: Search) -> Search:
        chart, before = self.charts[search.stage], self._passed
        states, images = [], []
        for rows in groups(range(len(search.photo)), self.batch):
            objective = self.objective([search.photo[row] for row in rows])
            state = State(search.u[rows], search.radius[rows], search.value[rows])
            state, pictures = descend(objective, chart, state)
            states.append(state)
            images.append(pictures)
        u, radius, value = (torch.cat([getattr(state, name) for state in states]) for name in ("u", "radius", "value"))
        passes = self._passed - before
        return replace(
            search,
            spent=search.spent + passes / len(search.photo),
            total=search.total + passes,
            u=u,
            radius=radius,
            value=value,
            images=torch.cat(images),
        )

    def _values(self, chart: Chart, u: Tensor, photo: int) -> Tensor:
        """Return E of one photograph at every row of `u`."""
        found = []
        for rows in groups(range(len(u)), self.batch):
            objective = self.objective([photo] * len(rows))
            look = replace(objective.look, differences=1.0)  # no derivatives
            found.append(objective.value(look.at(chart.latents(u[rows])), u[rows]))
        return torch.cat(found)

    def _count(self, passes: float) -> None:
        self._passed += passes
        self.watch.passed(passes)


def ramp(share: float) -> float:
    """Return Adam's rate, of its largest, after this share of the steps.

    >>> [round(ramp(share), 2) for share in (0.01, 0.05, 0.5, 0.875, 1.0)]
    [0.2, 1.0, 1.0, 0.5, 0.0]
    """
    return min(1.0, share / RISE) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - share) / FALL)))
