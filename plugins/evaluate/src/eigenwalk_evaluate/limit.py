"""The least drift at some varied change that optimising the latent finds: what no walk can be expected to beat.

At each start, over latents z,

    minimise  mean_i (d_i(z) / typical_i)²     subject to  mean_j (d_j(z) / typical_j) ≥ level

with d the features' own distances from the start, by an augmented Lagrangian in Adam (Nocedal & Wright, Numerical
Optimization, section 17.4): ``L = D² + (max(0, λ + ρ(level - s))² - λ²) / 2ρ``, and ``λ ← max(0, λ + ρ(level - s))``.
It starts from where walks reached that level, and from random directions; the first rounds choose among these.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from eigenwalk.maths.linearise import Point
from eigenwalk.maths.problem import Problem
from eigenwalk.path import PULLBACK_PASSES
from eigenwalk.store import write_whole
from eigenwalk.walk.rows import attempt_rows, groups
from eigenwalk_evaluate.paths import Floats, Paths, clock, drift_at, load_arrays

TRIALS, ROUNDS = 25, 110
"""Rounds from every start, then from the best of each seed."""
RANDOM = 1
"""Random directions among the starts of each seed."""
FREEZE = 5
"""Rounds that share frozen masks; a latent that is kept is measured with its own."""
RHO = 8.0
RATE = 0.03
"""Adam's first rate, as a share of one coordinate's typical distance."""
SLACK = 1e-3
"""A latent may miss the level by this much."""


@dataclass(frozen=True)
class Limit:
    """The least drift found, ``(levels, seeds)``, with the varied change there; NaN where no start got there.

    Attributes:
        passes: per seed, all levels together.
    """

    levels: tuple[float, ...]
    seeds: tuple[int, ...]
    drift: Floats
    varied: Floats
    passes: float
    seconds: float

    def save(self, file: FilePath) -> None:
        """Write it, whole or not at all; raises OSError."""
        facts = {"levels": self.levels, "seeds": self.seeds, "passes": self.passes, "seconds": self.seconds}
        write_whole(file, save({"drift": self.drift, "varied": self.varied}, {"limit": json.dumps(facts)}))

    @classmethod
    def load(cls, file: FilePath) -> Limit:
        """Return what `save` wrote; raises FileError where the file is missing or damaged."""
        arrays, facts = load_arrays(file, "limit")
        return cls(
            tuple(facts["levels"]), tuple(facts["seeds"]), passes=facts["passes"], seconds=facts["seconds"], **arrays
        )


def limit(
    problem: Problem, seeds: Sequence[int], levels: Sequence[float], walks: Sequence[Paths], batch: int, like: Tensor
) -> Limit:
    """Seek the limit at each level, from the highest down: latents on the way to the last serve as further starts.

    Raises:
        PluginError: the generator's or a feature's own code fails.
    """
    began, search = clock(like), _Search(problem, batch)
    drift, varied = np.full((len(levels), len(seeds)), np.nan), np.full((len(levels), len(seeds)), np.nan)
    z0 = torch.cat([problem.linearisation.generator.sample(1, seed) for seed in seeds]).to(like)
    above: dict[int, tuple[Tensor, float]] = {}
    for n in sorted(range(len(levels)), key=lambda i: -levels[i]):
        starts = [*_starts_on_walks(walks, seeds, levels[n], z0), *_random_starts(problem, z0, levels[n])]
        starts += [(j, z0[j] + levels[n] / level * (z - z0[j])) for j, (z, level) in above.items()]
        for j, best in search.minimise(z0, starts, levels[n]).items():
            drift[n, j], varied[n, j] = best.drift, best.varied
            above[j] = best.z, levels[n]
    return Limit(tuple(levels), tuple(seeds), drift, varied, search.passes / len(seeds), clock(like) - began)


def _starts_on_walks(
    walks: Sequence[Paths], seeds: Sequence[int], level: float, z0: Tensor
) -> list[tuple[int, Tensor]]:
    """Return, for each walk and seed, the latent where the path of least drift reached the level."""
    found = []
    for walked in walks:
        drift = drift_at(walked, level)
        for j, seed in enumerate(seeds):
            rows = [int(i) for i in np.flatnonzero(walked.seeds == seed) if np.isfinite(drift[i])]
            if rows:
                z = walked.latent_at(min(rows, key=lambda i: drift[i]), level)
                found.append((j, torch.from_numpy(z).to(z0)))
    return found


def _random_starts(problem: Problem, z0: Tensor, level: float) -> list[tuple[int, Tensor]]:
    random = torch.Generator().manual_seed(0)
    found = []
    for j in range(len(z0)):
        for _ in range(RANDOM):
            v = torch.randn(z0.shape[1], generator=random).to(z0)
            found.append((j, z0[j] + level * problem.latent_scale * v / v.norm()))
    return found


@dataclass(frozen=True)
class _Best:
    z: Tensor
    drift: float
    varied: float


class _Search:
    """Minimise augmented Lagrangians in batches of rows, and count generator passes."""

    def __init__(self, problem: Problem, batch: int):
        self.problem, self.batch, self.passes = problem, batch, 0.0
        self.rate = RATE * problem.latent_scale / math.sqrt(problem.linearisation.generator.latent_dim)

    def minimise(self, z0: Tensor, starts: list[tuple[int, Tensor]], level: float) -> dict[int, _Best]:
        """Return the best latent found at the level, by the row of `z0` it began from."""
        found: dict[int, _Best] = {}
        merits: dict[int, tuple[float, Tensor]] = {}
        for rows in groups(range(len(starts)), self.batch):
            index = [starts[i][0] for i in rows]
            ends = self._descend(z0[index], torch.stack([starts[i][1] for i in rows]), level, TRIALS, index, found)
            for j, (merit, z) in zip(index, ends, strict=True):
                if merit < merits.get(j, (math.inf,))[0]:
                    merits[j] = merit, z
        for index in groups(sorted(merits), self.batch):
            self._descend(z0[index], torch.stack([merits[j][1] for j in index]), level, ROUNDS, index, found)
        return found

    def _descend(
        self, z0: Tensor, z: Tensor, level: float, rounds: int, index: list[int], found: dict[int, _Best]
    ) -> list[tuple[float, Tensor]]:
        """Return merit (infinite for lost rows) and latent of each row after `rounds`; the best go into `found`."""
        look, z = self.problem.linearisation, z.clone()
        start, rows = self._values(z0, list(range(len(z))))
        merit, lam = [math.inf] * len(z), z.new_zeros(len(z), dtype=torch.float64)
        adam = torch.optim.Adam([z], lr=self.rate)
        for n in range(0, rounds, FREEZE):
            done, _ = attempt_rows(rows, lambda these: (these, look.at(z[these])))
            if done is None:
                break
            rows, point = done
            near = replace(look, features=point.features) if not point.tracked else look
            s, d2 = self._measure(point, [v[rows] for v in start])
            lam[rows] = (lam[rows] + RHO * (level - s)).clamp_min(0)
            for i, gap, square in zip(rows, (level - s).tolist(), d2.tolist(), strict=True):
                merit[i] = square + RHO / 2 * max(0.0, gap) ** 2
                self._keep(found, index[i], z[i], math.sqrt(square), level - gap, level)
            for _ in range(FREEZE):
                for group in adam.param_groups:
                    group["lr"] = self.rate * (0.05 + 0.95 * (1 - n / rounds))
                z.grad = torch.zeros_like(z)
                z.grad[rows] = self._gradient(point, [v[rows] for v in start], lam[rows], level)
                adam.step()
                point = near.at(z[rows])
            self.passes += FREEZE * len(rows) * (1 + PULLBACK_PASSES) + len(rows)
        return list(zip(merit, z, strict=True))

    def _keep(self, found: dict[int, _Best], j: int, z: Tensor, square: float, varied: float, level: float) -> None:
        if varied >= level - SLACK and (j not in found or square < found[j].drift):
            found[j] = _Best(z.clone(), square, varied)

    def _values(self, z0: Tensor, rows: list[int]) -> tuple[list[Tensor], list[int]]:
        """Return values at the starts, ``(rows, ...)``, and the rows that have them."""
        done, _ = attempt_rows(rows, lambda these: (these, self.problem.linearisation.at(z0[these]).values))
        if done is None:
            return [], []
        values = [v.new_zeros(len(rows), *v.shape[1:]) for v in done[1]]
        for whole, v in zip(values, done[1], strict=True):
            whole[done[0]] = v
        return values, done[0]

    def _measure(self, point: Point, start: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return ``(s, D²)``: mean varied share and mean squared fixed share, ``(rows,)``."""
        return self._split(self.problem.changes(point, start))

    def _split(self, changes: Tensor) -> tuple[Tensor, Tensor]:
        shares = changes / changes.new_tensor([role.typical for role in self.problem.roles])
        return shares[:, self.problem.fixed :].mean(1), shares[:, : self.problem.fixed].square().mean(1)

    def _gradient(self, point: Point, start: list[Tensor], lam: Tensor, level: float) -> Tensor:
        """Return the gradient of the augmented Lagrangian, ``(rows, latent)``."""
        values = [v.clone().requires_grad_() for v in point.values]
        pairs = zip(point.features, values, start, strict=True)
        s, d2 = self._split(torch.stack([feature.distance(a, v).double() for (_, feature), v, a in pairs], 1))
        L = d2 + (lam + RHO * (level - s)).clamp_min(0).square() / (2 * RHO)
        # The gradient of a distance is NaN at 0, its minimum.
        pulled = [
            None if u is None else u.nan_to_num(0.0) for u in torch.autograd.grad(L.sum(), values, allow_unused=True)
        ]
        return point.pull(pulled)
