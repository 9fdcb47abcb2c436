"""What a shard costs beside its walks: CPU seconds of the passes, of the rest of a walk, and of judging and writing.

    python benchmarks/dataset.py faces --fix faces.identity --vary "faces.attribute(hair_length)" --to 0.3 --seeds 8

CPU time of one process in one thread, so that what else the machine does matters little. The passes are those that the
walk counts, each at the measured time of a forward pass in a batch of the same size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from eigenwalk.names.registry import Registry
from eigenwalk.runs.recipe import Recipe
from eigenwalk_dataset.folder import Folder
from eigenwalk_dataset.maker import Maker
from eigenwalk_dataset.plan import Order, Plan, Seeds


def main() -> None:
    """Print the three and what they are of the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator")
    parser.add_argument("--fix", action="append", default=[])
    parser.add_argument("--vary", action="append", required=True)
    parser.add_argument("--to", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=16)
    given = parser.parse_args()
    recipe = Recipe.of(generator=given.generator, fix=given.fix, vary=given.vary, to=given.to)
    order = Order.of(recipe.canonical(Registry.discover()), Seeds.parse([f"0-{given.seeds - 1}"]), shard=given.seeds)
    maker = Maker(order)
    plan = Plan(order, maker.survey())
    walked = 0.0
    inner = maker._walk

    def timed(*arguments):
        nonlocal walked
        began = time.process_time()
        paths = inner(*arguments)
        walked += time.process_time() - began
        return paths

    maker._walk = timed
    with tempfile.TemporaryDirectory() as folder:
        record = maker.make(plan, Folder(str(Path(folder))), 0, plan.measured.batch, lambda images: None)
    assert record is not None
    look = maker.run.problem.linearisation
    z = look.generator.sample(plan.measured.batch, 1).to(look.dtype)
    with torch.no_grad():
        look.generator(z)
        began = time.process_time()
        for _ in range(10):
            look.generator(z)
    forward = (time.process_time() - began) / 10 / len(z)
    tally, whole = record.tally, record.made["cpu_seconds"]
    size = sum(entry["bytes"] for entry in record.files.values())
    measured = plan.measured
    print(f"{tally['images']} images, {tally['passes']:,.0f} passes, batch {measured.batch}, group {measured.group}")
    print(f"forward pass of one row   {1e3 * forward:.2f} ms")
    print(f"passes alone              {tally['passes'] * forward:.1f} s, {tally['passes'] * forward / whole:.0%}")
    print(f"walks                     {walked:.1f} s, {walked / whole:.0%}")
    print(f"shard                     {whole:.1f} s, {(whole - walked) / walked:.1%} more than its walks")
    print(f"images a second           {tally['images'] / whole:.2f}; {size / tally['images']:,.0f} bytes an image")


if __name__ == "__main__":
    main()
