"""Where the time of a shard goes: passes through the generator and the features, and all the rest.

    python benchmarks/dataset.py faces --fix faces.identity --vary "faces.attribute(hair_length)" --to 0.3 --seeds 8

CPU time of one process in one thread, so that what else the machine does matters little. A pass is a call of the
generator, or of a feature, for values or for a derivative, as the walk must make it: in its batches, with a graph where
a derivative follows. Each part is the time inside it without the parts that it calls.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch

from eigenwalk.maths.linearise import Point, derivative, point
from eigenwalk.names.registry import Registry
from eigenwalk.runs.recipe import Recipe
from eigenwalk.walk import propose
from eigenwalk_dataset import rows
from eigenwalk_dataset.folder import Folder, Record
from eigenwalk_dataset.maker import Maker
from eigenwalk_dataset.parquet import ParquetShard
from eigenwalk_dataset.plan import Measured, Order, Plan, Seeds

PASSES = ("generator, images", "generator, derivatives", "features, values", "features, derivatives")
REST = (
    "algebra of the method",
    "walk",
    "judging the paths",
    "encoding pictures",
    "writing",
    "reading back and checking",
    "collecting garbage",
    "shard",
)


class Clock:
    """CPU seconds by part; `passes` are calls inside a walk, and those outside belong to whoever makes them."""

    def __init__(self) -> None:
        self.seconds, self.stack, self.since = defaultdict[str, float](float), ["shard"], time.process_time()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside as `name`."""
        self._count()
        self.stack.append(name)
        try:
            yield
        finally:
            self._count()
            self.stack.pop()

    def _count(self) -> None:
        now = time.process_time()
        self.seconds[self.stack[-1]] += now - self.since
        self.since = now

    def timed(self, function: Callable[..., Any], name: str | Callable[[], str]) -> Callable[..., Any]:
        """Return `function`, whose time counts as `name`."""

        def inner(*arguments: Any, **options: Any) -> Any:
            with self.part(name if isinstance(name, str) else name()):
                return function(*arguments, **options)

        return inner

    def differentiated(self) -> str:
        """Whose derivative is being computed: that of the part that asks for it."""
        owner = "features" if "feature derivative" in self.stack else "generator"
        return f"{owner}, derivatives" if "walk" in self.stack else self.stack[-1]


def watched(clock: Clock, method: object) -> ExitStack:
    """Let `clock` see the parts of a shard."""
    stack = ExitStack()
    for owner, name, part in (
        (Maker, "_walk", "walk"),
        (Maker, "_select", "judging the paths"),
        (type(method), "step", "algebra of the method"),
        (type(method), "start", "algebra of the method"),
        (propose, "surround", "walk"),
        (point, "images_of", "generator, images"),
        (point, "values_of", "features, values"),
        (point, "freeze_near", "features, values"),
        (Point, "_push_feature", "feature derivative"),
        (Point, "_pull_features", "feature derivative"),
        (derivative, "jvp", clock.differentiated),
        (derivative, "singly", clock.differentiated),
        (torch.autograd, "grad", clock.differentiated),
        (rows, "encode", "encoding pictures"),
        (ParquetShard, "add", "writing"),
        (ParquetShard, "__exit__", "writing"),
        (Folder, "publish", "writing"),
        (Folder, "record", "writing"),
        (ParquetShard, "check", "reading back and checking"),
        (gc, "collect", "collecting garbage"),
    ):
        stack.enter_context(mock.patch.object(owner, name, clock.timed(getattr(owner, name), part)))
    return stack


def arguments(words: str) -> argparse.ArgumentParser:
    """Return a parser of what is walked."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator")
    parser.add_argument("--fix", action="append", default=[])
    parser.add_argument("--vary", action="append", required=True)
    parser.add_argument("--judge", action="append", default=[])
    parser.add_argument("--to", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--memory", default="3GB", help="of each worker")
    return parser


def profile(given: argparse.Namespace, seeds: int) -> tuple[dict[str, float], Record, Measured]:
    """Make a shard of the first seeds; return the CPU seconds of its parts, its record, and what its plan measured."""
    kinds = {"generator": given.generator, "fix": given.fix, "vary": given.vary, "judges": given.judge}
    recipe = Recipe.of(**kinds, to=given.to, memory=given.memory)
    order = Order.of(recipe.canonical(Registry.discover()), Seeds.parse([f"0-{seeds - 1}"]), shard=seeds)
    made = Maker(order)
    plan = Plan(order, made.survey())
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        first = replace(plan, order=replace(order, seeds=Seeds.parse(["0"]), shard=1))
        made.make(first, Folder(f"{folder}/first"), 0, plan.measured.batch, lambda images: None)  # libraries warm up
        with watched(clock, made.run.options.method), clock.part("shard"):
            clock.seconds.clear()
            record = made.make(plan, Folder(f"{folder}/shard"), 0, plan.measured.batch, lambda images: None)
    assert record is not None
    clock.seconds["walk"] += clock.seconds.pop("feature derivative", 0.0)
    return clock.seconds, record, plan.measured


def main() -> None:
    """Print each part, and what it is of all passes."""
    given = arguments(__doc__ or "").parse_args()
    seconds, record, measured = profile(given, given.seeds)
    passes, whole, tally = sum(seconds[name] for name in PASSES), sum(seconds.values()), record.tally
    print(f"{tally['images']} images, {tally['passes']:,.0f} passes")
    print(f"batches of {measured.batch} rows, groups of {measured.group} seeds\n")
    print("| part | CPU seconds | of the passes |\n|---|---|---|")
    for name in (*PASSES, *REST):
        print(f"| {name} | {seconds[name]:.2f} | {seconds[name] / passes:.1%} |")
    size = sum(entry["bytes"] for entry in record.files.values())
    print(f"\nall passes {passes:.1f} s, the shard {whole:.1f} s: {whole / passes - 1:.1%} more")
    print(f"{tally['images'] / whole:.2f} images a CPU second, {size / tally['images']:,.0f} bytes an image")
    print(f"peak memory {record.made['peak_memory'] / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
