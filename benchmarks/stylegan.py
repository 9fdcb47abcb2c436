"""Seconds and memory of a walk on a StyleGAN of full size, with random weights.

    python benchmarks/stylegan.py stylegan2 --size 1024 --memory 8GB
    python benchmarks/stylegan.py stylegan3 --size 1024 --memory 8GB --passes
    python benchmarks/stylegan.py stylegan3 --size 1024 --device cuda --precision bf16

The walk is `eigenwalk.walk` itself with its default solver: one path, the image's middle held, the rest varied, memory
fitted as for any walk. Told are the cold waypoint, which the start leads to, and the warm ones after it. Typical
distances come from two samples instead of 24, and `--cold` says how many expansions the start may make. `--passes`
measures single passes instead, where a whole waypoint would take too long: what a waypoint costs in them is known.

Memory is the most that the process, or the device, has held since it began, fitting and weights included.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from eigenwalk import load_feature
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.linearise.agreement import describe_agreement
from eigenwalk.maths.linearise.precision import DTYPES, half_dtype
from eigenwalk.maths.methods.davidson import Davidson
from eigenwalk.maths.methods.outward import Outward
from eigenwalk.maths.problem import Problem
from eigenwalk.maths.typical import latent_scale, typical_region
from eigenwalk.path import Role
from eigenwalk.runs.memory.fitting import Fit, choose_fit, in_use
from eigenwalk.runs.memory.words import in_bytes, in_words
from eigenwalk.walk import WalkOptions, walk
from eigenwalk_stylegan.configuration import Configuration, Mapping, StyleGAN2, StyleGAN3
from eigenwalk_stylegan.description import build_network
from eigenwalk_stylegan.generator import StyleGAN

MIDDLE = "mask(box=(0.25, 0.25, 0.75, 0.75))"


def configuration(network: str, size: int) -> Configuration:
    """Config F of StyleGAN2, or configuration T or R of StyleGAN3, at `size` pixels."""
    if network == "stylegan2":
        sides = [4 << k for k in range(size.bit_length() - 2)]
        return StyleGAN2(Mapping(512, 512, 512, 8), tuple(min(32768 // side, 512) for side in sides))
    sizes = Mapping(512, 512, 512, 2)
    if network == "stylegan3-r":
        return StyleGAN3(sizes, size, channel_base=65536, channel_max=1024, kernel=1, radial=True)
    return StyleGAN3(sizes, size)


def generator(network: str, size: int, space: str, device: str) -> StyleGAN:
    """The generator with random weights, as they are before training."""
    return StyleGAN(randomised(build_network(configuration(network, size))), space=space).to(device)


def randomised(made: torch.nn.Module) -> Any:
    """`made` with random weights, as they are before training."""
    torch.manual_seed(0)
    for name, tensor in made.state_dict().items():
        tensor.normal_()
        if name.startswith("mapping.layers") and name.endswith("weight"):
            tensor.mul_(100)
        elif name.endswith(("style.bias", "magnitude")):
            tensor.fill_(1)
        elif name.endswith(("bias", "mean", "strength")):
            tensor.zero_()
        elif name == "input.transform":
            tensor.copy_(torch.eye(3))
    return made.eval().requires_grad_(False)


class Stopwatch:
    """Prints the seconds since the line before, of the clock and of the processor, and the most memory so far."""

    def __init__(self, device: torch.device):
        self.device = device
        self._before = self._now()

    def note(self, what: str) -> None:
        """A line about what has just been done."""
        now = self._now()
        clock, processor = (b - a for a, b in zip(self._before, now, strict=True))
        peak = in_words(self._peak())
        print(f"{what:64} {clock:8.1f} s {processor:8.1f} s of the processor   {peak:>8}", flush=True)
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter(), time.process_time()

    def _peak(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        if self.device.type == "mps":
            return in_use(self.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def problem_of(made: StyleGAN, asked: argparse.Namespace, watch: Stopwatch) -> tuple[Problem, Fit]:
    """The problem, its linearisation fitted into memory as a walk's is."""
    device = watch.device
    named = tuple((text, load_feature(text)) for text in (MIDDLE, f"~{MIDDLE}"))
    bare = Linearisation(made, named, differences=1.0)
    a, b = (bare.at(made.sample(1, seed).to(device)) for seed in (0, 1))
    typical = [float(feature.distance(x, y)) for (_, feature), x, y in zip(a.features, a.values, b.values, strict=True)]
    watch.note("two images")
    budget = in_bytes(asked.memory) if asked.memory else None
    fit = choose_fit(replace(bare, differences=None), bare.generator.sample(1, 0).to(device, bare.dtype), 1, budget)
    watch.note(f"fitting: {fit.linearisation.record}, {fit.linearisation.tangents} tangents at once")
    look = replace(fit.linearisation, precision=half_dtype(asked.precision, device, torch.float32))
    if look.precision is not None:
        watch.note(describe_agreement(look, fit.start))
    fixed = Role(named[0][0], "fixed", named[0][1].unit, typical[0], 0.35 * typical[0])
    varied = Role(named[1][0], "varied", named[1][1].unit, typical[1])
    return Problem(look, (fixed, varied), asked.network, latent_scale(made), typical_region(made)), fit


def walked(problem: Problem, asked: argparse.Namespace, watch: Stopwatch) -> None:
    """Prints what each waypoint of a walk took."""
    method = Outward(lead=Davidson(cold=asked.cold))
    options = WalkOptions(steps=asked.waypoints, paths=1, method=method, batch=1)
    for front in walk(problem, [0], options, watch.device):
        (path,) = front.paths
        cost = path.waypoints[-1].cost
        counted = f"{cost.forwards} forward, {cost.pushforwards} pushforward, {cost.pullbacks} pullback"
        watch.note(f"{('the start', 'cold', 'warm')[min(front.index, 2)]}: {counted}, varied {path.moved:.3f}")
    print(path.status.reason, path.status.detail)


def passes(problem: Problem, fit: Fit, watch: Stopwatch) -> None:
    """Prints what single passes took: what is recorded the first time is not the second."""
    point = problem.linearisation.at(fit.start)
    watch.note("an image, recorded")
    u = [torch.ones_like(value).flatten(1) for value in point.values]
    tangents = torch.nn.functional.normalize(torch.randn(1, 4, fit.start.shape[1]), dim=2).to(fit.start)
    for again in ("", ", again"):
        point.pull(u)
        watch.note(f"a pullback{again}")
        point.push(tangents[:, :1])
        watch.note(f"a pushforward{again}")
    point.push(tangents)
    watch.note("4 pushforwards at once")


def main() -> None:
    """Measures and prints."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("network", choices=("stylegan2", "stylegan3", "stylegan3-r"))
    words.add_argument("--size", type=int, default=1024, help="pixels")
    words.add_argument("--space", default="z")
    words.add_argument("--memory", help="as of eigenwalk walk")
    words.add_argument("--precision", default="full", choices=DTYPES)
    words.add_argument("--waypoints", type=int, default=2)
    words.add_argument("--cold", type=int, default=Davidson.cold, help="expansions at the start, at most")
    words.add_argument("--passes", action="store_true", help="single passes, no waypoints")
    words.add_argument("--device", default="cpu")
    asked = words.parse_args()
    made = generator(asked.network, asked.size, asked.space, asked.device)
    count = sum(parameter.numel() for parameter in made.network.parameters())
    threads = torch.get_num_threads()
    print(f"{asked.network}, {asked.size} pixels, {count / 1e6:.1f} million parameters, {threads} threads", flush=True)
    watch = Stopwatch(torch.device(asked.device))
    problem, fit = problem_of(made, asked, watch)
    if asked.passes:
        passes(problem, fit, watch)
    else:
        walked(problem, asked, watch)


if __name__ == "__main__":
    main()
