"""Judge a walk by features that no method was asked about: distances from the start, or scores of scalar features."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Literal

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from eigenwalk.errors import WalkError
from eigenwalk.maths.linearise import Point
from eigenwalk.maths.problem import Problem
from eigenwalk.store import write_whole
from eigenwalk.walk.rows import attempt_rows, groups
from eigenwalk_evaluate.paths import Floats, Paths, load_arrays

SAMPLES = 128
SEED = 20221024
"""Of the samples whose scores give a scalar feature's standard deviation."""
Ends = list[tuple[int, Floats]]
What = Literal["distances", "scores"]


@dataclass(frozen=True)
class Judgement:
    """Values of judges where paths reach each level: distances as shares of typical, or scores in standard deviations.

    Attributes:
        names: of the judges.
        values: ``(paths, levels, judges)``; NaN where a path never gets there, or a judge has no value.
    """

    names: tuple[str, ...]
    values: Floats

    def save(self, file: FilePath) -> None:
        """Write it, whole or not at all; raises OSError."""
        write_whole(file, save({"values": self.values}, {"judged": json.dumps({"names": self.names})}))

    @classmethod
    def load(cls, file: FilePath) -> Judgement:
        """Return what `save` wrote; raises FileError where the file is missing or damaged."""
        arrays, facts = load_arrays(file, "judged")
        return cls(tuple(facts["names"]), arrays["values"])


def judge(problem: Problem, walked: Paths, batch: int, what: What, like: Tensor) -> Judgement:
    """Measure a walk at its levels by all features of `problem`: distances from the start, or signed changes.

    Scores are in standard deviations of the scalar feature over 128 samples.

    Raises:
        WalkError: a feature whose score is asked for is not a single number.
    """
    scale = spread(problem, batch, like) if what == "scores" else [role.typical for role in problem.roles]
    values = np.full((len(walked.seeds), len(walked.levels), len(problem.roles)), np.nan)
    seeds, firsts = np.unique(walked.seeds, return_index=True)
    first = torch.from_numpy(walked.latents[firsts, 0]).to(like)
    starts = values_at(problem, first, batch, lambda point, rows: point.values)
    place = {int(seed): j for j, seed in enumerate(seeds)}
    for n, level in enumerate(walked.levels):
        reached = [(i, z) for i in range(len(values)) if (z := walked.latent_at(i, level)) is not None]
        ends: Ends = [(i, z) for i, z in reached if place[int(walked.seeds[i])] in starts]

        def measure(point: Point, rows: list[int], ends: Ends = ends) -> tuple[Tensor, ...]:
            mine = [starts[place[int(walked.seeds[ends[row][0]])]] for row in rows]
            start = [torch.stack(column) for column in zip(*mine, strict=True)]
            return (problem.changes(point, start) if what == "distances" else _scores(point, start),)

        if ends:
            found = values_at(problem, torch.from_numpy(np.stack([z for _, z in ends])).to(like), batch, measure)
            for row, (changes,) in found.items():
                values[ends[row][0], n] = changes.cpu().numpy()
    return Judgement(tuple(role.name for role in problem.roles), values / np.array(scale))


def spread(problem: Problem, batch: int, like: Tensor) -> list[float]:
    """Return the standard deviation of each scalar feature over 128 samples of the generator.

    Raises:
        WalkError: a feature is not a single number, or has a value at fewer than two samples.
    """
    z = problem.linearisation.generator.sample(SAMPLES, SEED).to(like)
    found = values_at(problem, z, batch, lambda point, rows: point.values)
    if len(found) < 2:
        raise WalkError(f"fewer than two of {SAMPLES} samples have all scores: choose other attributes")
    for role, value in zip(problem.roles, found[min(found)], strict=True):
        if value.numel() != 1:
            raise WalkError(f"{role.name} has {value.numel()} numbers, and an attribute has one: name them one by one")
    columns = zip(*found.values(), strict=True)
    return [float(torch.stack([value.flatten()[0] for value in column]).double().std()) for column in columns]


def values_at(
    problem: Problem, latents: Tensor, batch: int, of: Callable[[Point, list[int]], tuple[Tensor, ...]]
) -> dict[int, tuple[Tensor, ...]]:
    """Return `of` every row of `latents` at which all features have a value."""
    found: dict[int, tuple[Tensor, ...]] = {}
    for rows in groups(range(len(latents)), batch):
        done, _ = attempt_rows(rows, lambda these: (these, problem.linearisation.at(latents[these])))
        if done is not None:
            columns = of(done[1], done[0])
            found |= {row: tuple(column[n] for column in columns) for n, row in enumerate(done[0])}
    return found


def _scores(point: Point, start: list[Tensor]) -> Tensor:
    """Return signed changes of scalar features, ``(rows, features)``."""
    return torch.stack([(v - a).reshape(len(v)) for v, a in zip(point.values, start, strict=True)], 1).double()
