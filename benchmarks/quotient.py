"""How near `davidson` comes to the exact Rayleigh quotient at warm waypoints, and what it costs.

    python benchmarks/quotient.py 'file("docs/examples/anime_dcgan.py:build", weights="…/anime_dcgan.safetensors")'

At every waypoint of a walk after the first, the solver's best vector is judged by Jacobians formed exactly in float64:
its quotient over the largest generalized eigenvalue, with the same ε for both.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from eigenwalk.api import start
from eigenwalk.quotient import Problem, Scaled
from eigenwalk.rayleigh import Davidson, Solution
from eigenwalk.rayleigh.subspace import RIDGE, gram, ritz
from eigenwalk.recipe import Recipe
from eigenwalk.walk import walk

FACE = "mask(box=(0.2, 0.25, 0.8, 0.8))"
LOW, HIGH = "fourier.low(cycles=8)", "fourier.high(cycles=8)"
PAIRS = ((FACE, f"~{FACE}"), (f"~{FACE}", FACE), (HIGH, LOW), (LOW, HIGH))


@dataclass(frozen=True)
class Recorded(Davidson):
    """Davidson, keeping what it found at every warm waypoint."""

    found: list[tuple[Scaled, Solution]] = field(default_factory=list, compare=False)

    def solve(self, problem: Any, k: int, memory: Any = None, previous: Any = None, pull_back: Any = None) -> Solution:
        """As `Davidson.solve`."""
        solution = super().solve(problem, k, memory, previous, pull_back)
        if memory is not None:
            self.found.append((problem, solution))
        return solution


def ratios(problem: Problem, exact: Problem, found: list[tuple[Scaled, Solution]]) -> np.ndarray:
    """Quotient of every solution's best vector over the exact optimum, one a row and waypoint."""
    every = []
    for scaled, solution in found:
        latents = scaled.like.double()
        for z, x in zip(latents.split(1), solution.vectors[:, 0].double(), strict=True):
            operators = Scaled(exact, exact.linearisation.at(z))
            C, F = operators.push(torch.eye(z.shape[1], dtype=torch.float64)[None])
            a, b = gram(C)[0], gram(F)[0]
            ridge = RIDGE * torch.linalg.eigvalsh(b)[-1]
            best = ritz(a[None], b[None], ridge[None])[0][0, 0]
            every.append(float((x @ a @ x) / (x @ b @ x + ridge * (x @ x)) / best))
    return np.array(every)


def measure(generator: str, fix: str, vary: str, seeds: Sequence[int], steps: int, solver: Recorded) -> str:
    """A row of the table for one pair of features."""
    sets = {"generator": generator, "fix": [fix], "vary": [vary]}
    # A tolerance that never ends a path: the question is the solver's.
    recipe = Recipe.of(**sets, seeds=tuple(seeds), steps=steps, paths=2, tolerance=10.0)
    run = start(recipe)
    options = replace(run.options, solver=solver)
    fronts = list(walk(run.problem, recipe.seeds, options))
    doubled = start(recipe.model_copy(update={"dtype": "float64"})).problem
    found = ratios(run.problem, doubled, solver.found)
    passes = [w.cost.passes for path in fronts[-1].paths for w in path.waypoints[2:]]
    counts = fronts[-1].paths[0].waypoints[-1].cost
    return (
        f"| {fix} | {vary} | {len(found)} | {found.mean():.4f} | {np.quantile(found, 0.05):.4f} | {found.min():.4f} "
        f"| {np.mean(passes):.1f} | {counts.forwards} + {counts.pushforwards} + {counts.pullbacks} |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="davidson against dense")
    parser.add_argument("generator")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=21)
    parser.add_argument("--expansions", type=int, default=Davidson.expansions)
    parser.add_argument("--keep", type=int, default=Davidson.keep)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print("| fixed | varied | warm waypoints | mean | 5 % quantile | least | passes | forward + push + pull |")
    print("|---|---|---|---|---|---|---|---|")
    for fix, vary in PAIRS:
        solver = Recorded(keep=options.keep, expansions=options.expansions)
        print(measure(options.generator, fix, vary, range(options.seeds), options.steps, solver), flush=True)


if __name__ == "__main__":
    main()
