"""What a waypoint costs: the walk against the published rule, on the same networks, features and machine.

    python benchmarks/cost.py                # d from 64 to 512, w+, sides of 64 to 256
    python benchmarks/cost.py --largest 1024 # hours on a CPU

Networks are StyleGAN2s with random weights: for the latent's dimension d one of 64 x 64 whose z and w have d
coordinates, for w+ the same with 512 coordinates a style, for the side configuration F (at 1024 its w+ has 9,216
coordinates). The image's middle is held, the rest varies. Each case has a process of its own, whose largest memory is
told. A warm waypoint is the last of three after the start, by the clock. The published rule takes d + 1 forward passes
each time: where those would take longer than `--patience`, some are timed and the rest are reckoned (≈).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

SIDES = (64, 128, 256, 512, 1024)
DIMENSIONS = (64, 128, 256, 512)
HELD, VARIED = "mask(box=(0.25, 0.25, 0.75, 0.75))", "~mask(box=(0.25, 0.25, 0.75, 0.75))"


def build(side: int = 64, dim: int = 512, space: str = "z"):
    """A StyleGAN2 of configuration F's channels, its z and w of `dim` coordinates, with random weights."""
    from eigenwalk_stylegan.configuration import Mapping, StyleGAN2
    from eigenwalk_stylegan.description import build_network
    from eigenwalk_stylegan.generator import StyleGAN
    from stylegan import randomised

    sides = [4 << k for k in range(side.bit_length() - 2)]
    channels = tuple(min(32768 // s, 512) if side > 64 else 4096 // s for s in sides)
    return StyleGAN(randomised(build_network(StyleGAN2(Mapping(dim, dim, dim, 8), channels))), space=space)


def walked(case: dict[str, Any]) -> dict[str, Any]:
    """Seconds and counts of the last of the waypoints of `case`."""
    from eigenwalk.runs.api import start
    from eigenwalk.runs.recipe import Recipe

    text = f"{__file__}:build(side={case['side']}, dim={case['dim']}, space='{case['space']}')"
    recipe = Recipe.of(
        generator=text, fix=[HELD], vary=[VARIED], paths=1, steps=case["steps"], solver=case["solver"], tolerance=10.0
    )
    run = start(recipe)
    seconds, path = 0.0, None
    before = time.perf_counter()
    for front in run.fronts():
        seconds, before, path = time.perf_counter() - before, time.perf_counter(), front.paths[0]
    assert path is not None
    cost = path.waypoints[-1].cost
    return {"seconds": seconds, "passes": cost.passes, "latent": run.problem.linearisation.generator.latent_dim}


def reckoned(case: dict[str, Any], forwards: int = 16) -> dict[str, Any]:
    """The published rule's waypoint from the time of some of its forward passes."""
    import torch

    generator = build(case["side"], case["dim"], case["space"])
    z = generator.sample(1, 0)
    with torch.no_grad():
        generator(z)
        before = time.perf_counter()
        for _ in range(forwards):
            generator(z)
        each = (time.perf_counter() - before) / forwards
    count = generator.latent_dim + 1
    return {"seconds": each * count, "passes": count, "latent": generator.latent_dim, "reckoned": True}


def alone(case: dict[str, Any]) -> dict[str, Any]:
    """`case` in a process of its own: its numbers and its largest memory."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{case}: {ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else ran.returncode}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def row(side: int, dim: int, space: str, patience: float) -> str:
    """A row of the table."""
    case = {"side": side, "dim": dim, "space": space}
    ours = alone(case | {"solver": "outward", "steps": 3})
    theirs = alone(case | {"solver": "reckoned"})
    if theirs["seconds"] < patience:
        theirs = alone(case | {"solver": "nullspace", "steps": 1})
    about = "≈ " if theirs.get("reckoned") else ""
    memory = "" if about else f"{theirs['memory'] / 1e9:.1f}"
    return (
        f"| {side} | {space} | {ours['latent']:,} | {ours['passes']:.1f} | {theirs['passes']:,.0f} "
        f"| {theirs['passes'] / ours['passes']:.0f} | {ours['seconds']:.2f} | {about}{theirs['seconds']:.2f} "
        f"| {about}{theirs['seconds'] / ours['seconds']:.0f} | {ours['memory'] / 1e9:.1f} | {memory} |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="the walk against the published rule, a waypoint")
    parser.add_argument("--largest", type=int, default=256, choices=SIDES)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds of a waypoint of the published rule")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    if asked.case:
        case = json.loads(asked.case)
        found = reckoned(case) if case["solver"] == "reckoned" else walked(case)
        unit = 1 if sys.platform == "darwin" else 1024
        print(json.dumps(found | {"memory": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
        return
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    print("| side | space | d | passes | published | ratio | s | published s | ratio | GB | published GB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for dim in DIMENSIONS:
        print(row(64, dim, "z", asked.patience), flush=True)
    print(row(64, 512, "w+", asked.patience), flush=True)
    for side in (side for side in SIDES if 64 < side <= asked.largest):
        print(row(side, 512, "z", asked.patience), flush=True)
    if asked.largest > 256:
        print(row(asked.largest, 512, "w+", asked.patience), flush=True)


if __name__ == "__main__":
    main()
