"""What a pushforward and a pullback cost in generator forward passes, on this machine.

    python benchmarks/passes.py rooms
    python benchmarks/passes.py 'file("docs/examples/anime_dcgan.py:build", weights="…/anime_dcgan.safetensors")'

The three are timed in turn, round after round, and the medians compared, so that what else the machine does
falls on all alike. `eigenwalk.path` counts a pushforward as 1.4 and a pullback as 1.2 passes.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch

from eigenwalk import FunctionFeature, load_generator
from eigenwalk.maths.linearise import Linearisation


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def measure(text: str, rows: int, tangents: int, rounds: int) -> str:
    """A row of the table for the generator that `text` names."""
    generator = load_generator(text)
    z = generator.sample(rows, 0)
    point = Linearisation(generator, (("image", FunctionFeature(lambda images: images)),)).at(z)
    V = torch.randn(rows, tangents, generator.latent_dim)
    image = torch.randn_like(point.images)

    def forward() -> object:
        with torch.no_grad():
            return generator(z)

    times: dict[str, list[float]] = {"forward": [], "push": [], "pull": []}
    for i in range(rounds + 1):
        found = (seconds(forward), seconds(lambda: point.push(V)) / tangents, seconds(lambda: point.pull([image])))
        if i:  # the first round warms up
            for name, value in zip(times, found, strict=True):
                times[name].append(value)
    forward_, push, pull = (statistics.median(times[name]) for name in times)
    return f"| {rows} | {tangents} | {1e3 * forward_ / rows:.1f} | {push / forward_:.2f} | {pull / forward_:.2f} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="generator passes")
    parser.add_argument("generator")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print("| rows | tangents | forward, ms a latent | pushforward, passes | pullback, passes |")
    print("|---|---|---|---|---|")
    for rows in (1, 6):
        for tangents in (1, 4):
            print(measure(options.generator, rows, tangents, options.rounds), flush=True)


if __name__ == "__main__":
    main()
