"""Which direction half precision finds, and what it saves.

    python benchmarks/precision.py rooms faces
    python benchmarks/precision.py 'file("docs/examples/anime_dcgan.py:build", weights="…/anime_dcgan.safetensors")'
    python benchmarks/precision.py --stylegan 64

At each of some seeds both Jacobians of the scaled problem are formed exactly, in float32 and with the generator's
derivatives in half precision. Told are the cosine between the two leading directions, and the quotient that the one of
half precision has in float32, as a share of the largest there is; and what a waypoint's tensors take at most in half
precision, as a share of what they take in float32. `--stylegan SIZE` takes a StyleGAN2 with random
weights. Times are those of the processor, of 4 tangents and of a pullback, the median of some rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk import load_feature, load_generator
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation, Point
from eigenwalk.maths.linearise.agreement import measure_agreement
from eigenwalk.maths.linearise.precision import DTYPES
from eigenwalk.maths.methods.subspace import RIDGE, gram, ritz
from eigenwalk.maths.problem import Problem, Scaled
from eigenwalk.maths.typical import reference_images, typical_distance
from eigenwalk.path import Role
from eigenwalk.runs.memory.fitting import measure_footprint
from stylegan import generator as random_stylegan

MIDDLE = "mask(box=(0.25, 0.25, 0.75, 0.75))"
LOW, HIGH = "fourier.low(cycles=8)", "fourier.high(cycles=8)"
PAIRS = ((MIDDLE, f"~{MIDDLE}"), (f"~{MIDDLE}", MIDDLE), (HIGH, LOW))


@dataclass(frozen=True)
class Solved:
    """Both Gram matrices ``(d, d)`` with ε, the largest quotient, and its direction ``(d,)``."""

    a: Tensor
    b: Tensor
    best: float
    direction: Tensor

    @classmethod
    def at(cls, problem: Problem, point: Point) -> Solved:
        """The exact solution at a point of one row."""
        operators = Scaled(problem, point)
        C, F = (part.double() for part in operators.push(torch.eye(operators.dim)[None]))
        a, b = gram(C)[0], gram(F)[0]
        ridge = RIDGE * torch.linalg.eigvalsh(b)[-1]
        values, vectors = ritz(a[None], b[None], ridge[None])[:2]
        x = vectors[0, 0]
        return cls(a, b + ridge * torch.eye(len(b)), float(values[0, 0]), x / x.norm())

    def quotient(self, x: Tensor) -> float:
        """The quotient of a direction ``(d,)``."""
        return float((x @ self.a @ x) / (x @ self.b @ x))


def problem_of(generator: Generator, fix: str, vary: str) -> Problem:
    """The problem of a pair of features, tolerances a third of typical distances."""
    named = tuple((text, load_feature(text)) for text in (fix, vary))
    roles, images = [], reference_images(generator)
    for (text, feature), part in zip(named, ("fixed", "varied"), strict=True):
        typical = typical_distance((text, feature), images)
        tolerance = 0.35 * typical if part == "fixed" else None
        roles.append(Role(text, part, feature.unit, typical, tolerance))
    return Problem(Linearisation(generator, named, tangents=16), tuple(roles), "benchmark", 1.0)


def seconds(look: Linearisation, latents: Tensor, rounds: int) -> float:
    """Of the processor, for 4 tangents and a pullback at one latent."""
    point = look.at(latents)
    V = torch.randn(1, 4, latents.shape[1], generator=torch.Generator().manual_seed(1))
    u = [torch.ones(1, value.numel()) for value in point.values]
    times = []
    for _ in range(rounds + 1):
        before = time.process_time()
        point.push(V)
        point.pull(u)
        times.append(time.process_time() - before)
    return statistics.median(times[1:])  # the first warms up


def measure(name: str, generator: Generator, word: str, seeds: int, rounds: int) -> None:
    """Prints a row of the table for each pair of features."""
    for fix, vary in PAIRS:
        problem = problem_of(generator, fix, vary)
        look = problem.linearisation
        half = replace(look, precision=DTYPES[word])
        cosines, shares, agreed = [], [], []
        for seed in range(seeds):
            z = generator.sample(1, seed)
            exact, other = Solved.at(problem, look.at(z)), Solved.at(problem, half.at(z))
            cosines.append(float((exact.direction @ other.direction).abs()))
            shares.append(exact.quotient(other.direction) / exact.best)
            agreed.append(measure_agreement(half, z).gradient)
        z = generator.sample(1, 0)
        faster = seconds(look, z, rounds) / seconds(half, z, rounds)
        memory = (
            measure_footprint(replace(half, tangents=1), z).need / measure_footprint(replace(look, tangents=1), z).need
        )
        print(
            f"| {name} | {fix} | {vary} | {word} | {statistics.mean(cosines):.4f} | {min(cosines):.4f} "
            f"| {statistics.mean(shares):.4f} | {min(shares):.4f} | {min(agreed):.4f} | {memory:.2f} | {faster:.2f} |",
            flush=True,
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="*")
    parser.add_argument("--stylegan", type=int, nargs="*", default=[], help="sides of StyleGAN2s with random weights")
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp16"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print(
        "| generator | fixed | varied | precision | cosine, mean | least | quotient, mean | least | gradient, least "
        "| memory | times as fast |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    made = [(text, load_generator(text)) for text in options.generators]
    made += [(f"StyleGAN2, {side} pixels", random_stylegan("stylegan2", side, "z", "cpu")) for side in options.stylegan]
    for name, generator in made:
        measure(name, generator, options.precision, options.seeds, options.rounds)


if __name__ == "__main__":
    main()
