"""How near a solver's directions come to the exact Rayleigh quotient at warm waypoints, and what they cost.

    python benchmarks/quotient.py 'file("docs/examples/anime_dcgan.py:build", weights="…/anime_dcgan.safetensors")'
    python benchmarks/quotient.py rooms --solver davidson

At every waypoint of a walk after the first, the direction is judged by Jacobians formed exactly in float64: its
quotient over the largest there is, with the same ε for both. For `outward` the quotient is that of the change along one
vector of the varied values, and the largest is the exact solution's; for `davidson` it is the generalized
eigenproblem's.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eigenwalk.direction import Limits
from eigenwalk.maths.methods.davidson import Davidson
from eigenwalk.maths.methods.outward import Outward
from eigenwalk.maths.methods.plan import plan
from eigenwalk.maths.methods.subspace import gram, ridge_of, ritz
from eigenwalk.maths.problem import Problem, Scaled
from eigenwalk.runs.api import start
from eigenwalk.runs.recipe import Recipe
from eigenwalk.walk import walk

FACE = "mask(box=(0.2, 0.25, 0.8, 0.8))"
LOW, HIGH = "fourier.low(cycles=8)", "fourier.high(cycles=8)"
PAIRS = ((FACE, f"~{FACE}"), (f"~{FACE}", FACE), (HIGH, LOW), (LOW, HIGH))

Found = list[tuple[Tensor, Tensor, Tensor | None]]
"""Latents and directions ``(batch, latent)``, and the unit vector m of the varied values that counts; None: all do."""


@dataclass(frozen=True)
class RecordedDavidson(Davidson):
    """Davidson, keeping the leading eigenvector of every warm waypoint."""

    found: Found = field(default_factory=list, compare=False)

    def pairs(self, sight: Any, k: int, state: Any = None) -> Any:
        """As `Davidson.pairs`."""
        pairs, after = super().pairs(sight, k, state)
        if state is not None:
            self.found.append((sight.like, pairs.vectors[:, 0], None))
        return pairs, after


@dataclass(frozen=True)
class RecordedOutward(Outward):
    """Outward, keeping the direction of every warm waypoint, as it is far from the edge of the typical region."""

    found: Found = field(default_factory=list, compare=False)

    def subspace(self, sight: Any, state: Any, gaps: Any, limits: Any) -> Any:
        """As `Outward.subspace`."""
        space, m, after = super().subspace(sight, state, gaps, limits)
        anywhere = Limits(0.08, float("inf"), None, limits.radius)
        self.found.append((sight.like, plan(space, m, gaps, sight.blocks, anywhere).direction, m))
        return space, m, after


def ratios(exact: Problem, method: RecordedDavidson | RecordedOutward) -> np.ndarray:
    """Quotient of every direction over the largest there is, a number for each row and waypoint."""
    every = []
    for latents, directions, m in method.found:
        for row, (z, v) in enumerate(zip(latents.double().split(1), directions.double(), strict=True)):
            C, F = Scaled(exact, exact.linearisation.at(z)).push(torch.eye(z.shape[1], dtype=torch.float64)[None])
            a, b = gram(C), gram(F)
            if m is not None:
                c = C[0] @ m[row].double()
                a = torch.outer(c, c)[None]
            ridge = ridge_of(torch.linalg.eigvalsh(b)[:, -1], gram(C), method.share)
            best = ritz(a, b, ridge)[0][0, 0]
            every.append(float((v @ a[0] @ v) / (v @ b[0] @ v + ridge[0] * (v @ v)) / best))
    return np.array(every)


def measure(generator: str, fix: str, vary: str, seeds: Sequence[int], steps: int, solver: Any) -> str:
    """A row of the table for one pair of features."""
    sets = {"generator": generator, "fix": [fix], "vary": [vary]}
    # A tolerance that never ends a path: the question is the solver's.
    recipe = Recipe.of(**sets, seeds=tuple(seeds), steps=steps, paths=2, tolerance=10.0)
    run = start(recipe)
    fronts = list(walk(run.problem, recipe.seeds, replace(run.options, method=solver)))
    doubled = start(recipe.model_copy(update={"dtype": "float64"})).problem
    found = ratios(doubled, solver)
    passes = [w.cost.passes for path in fronts[-1].paths for w in path.waypoints[2:]]
    counts = fronts[-1].paths[0].waypoints[-1].cost
    return (
        f"| {fix} | {vary} | {len(found)} | {found.mean():.4f} | {np.quantile(found, 0.05):.4f} | {found.min():.4f} "
        f"| {np.mean(passes):.1f} | {counts.forwards} + {counts.pushforwards} + {counts.pullbacks} |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="a solver against the exact quotient")
    parser.add_argument("generator")
    parser.add_argument("--solver", choices=("outward", "davidson"), default="outward")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--expansions", type=int)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    kind = RecordedOutward if options.solver == "outward" else RecordedDavidson
    print("| fixed | varied | warm waypoints | mean | 5 % quantile | least | passes | forward + push + pull |")
    print("|---|---|---|---|---|---|---|---|")
    for fix, vary in PAIRS:
        solver = kind() if options.expansions is None else kind(expansions=options.expansions)
        print(measure(options.generator, fix, vary, range(options.seeds), options.steps, solver), flush=True)


if __name__ == "__main__":
    main()
