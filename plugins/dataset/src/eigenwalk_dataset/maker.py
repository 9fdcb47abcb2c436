"""Make shards: the generator and the features are loaded once, then any shard is walked with them.

A shard depends on its plan and its number alone: groups of seeds, batches and typical distances are the plan's.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import torch

from eigenwalk.errors import WalkError
from eigenwalk.path import Path
from eigenwalk.runs import api
from eigenwalk.runs.memory.allocator import keep_freed
from eigenwalk.walk import WalkOptions, walk
from eigenwalk.walk.start import begin
from eigenwalk_dataset.filters import direction, select
from eigenwalk_dataset.folder import Folder, Record
from eigenwalk_dataset.parquet import ParquetShard
from eigenwalk_dataset.plan import Measured, Order, Plan
from eigenwalk_dataset.rows import Rows
from eigenwalk_dataset.schema import CONFIGURATIONS
from eigenwalk_dataset.tally import Tally
from eigenwalk_dataset.webdataset import TarShard

LOOKED_AT = 16
"""Seeds that the survey looks at."""
ROOM = 64 << 20
"""Bytes of images, latents and values of a group of seeds: its paths are in memory until all of them have ended."""
MOST_ROWS = 32
"""Of a batch on a CPU: on `faces`, 64 are 3 % faster and take a quarter more memory."""
SHARDS = {"parquet": ParquetShard, "webdataset": TarShard}
Advance = Callable[[int], object]
"""Takes the number of images that were walked since the last call."""


class Maker:
    """Makes shards of `order`, in one thread: so its sums do not depend on how many processors a machine has."""

    def __init__(self, order: Order, measured: Measured | None = None):
        torch.set_num_threads(1)
        if order.where.get("device", "cpu") == "cpu":
            keep_freed()
        self.order = order
        seeds = order.seeds.part(0, min(order.shard, LOOKED_AT))
        batch = {} if measured is None else {"batch": measured.batch}
        self.run = api.start(order.recipe_for(seeds, **batch), typical=measured.typical if measured else None)
        gc.collect()
        gc.freeze()  # what is loaded stays: looking through it again after every group took 2 % of a shard's time
        atexit.register(gc.unfreeze)  # else libraries report at the end that their objects are still there

    def survey(self) -> Measured:
        """Measure what all shards share.

        Raises:
            InputError: more paths are asked for than there are directions.
            WalkError: none of the first seeds can start.
        """
        run, recipe = self.run, self.run.recipe
        look = run.problem.linearisation
        front = begin(run.problem, run.starts, recipe.paths, recipe.batch, recipe.device)
        judged = run.judge(front.paths[:1], installed=False)[0]
        batch = recipe.batch or 1
        if recipe.device == "cpu" and "batch" not in self.order.where:
            batch = min(batch, MOST_ROWS)
        # A limit that no basis of the latent space reaches would only say how much memory was free.
        every = batch * front.latents.shape[1]
        tangents = None if look.tangents is None or look.tangents >= every else look.tangents
        height, width = front.paths[0].waypoints[0].image.shape[:2]
        values = sum(value[0].numel() for value in front.origin or ())
        waypoint = 3 * height * width + 8 * front.latents.shape[1]
        each = len(front.paths) // len(run.starts) * ((recipe.most_steps + 1) * waypoint + 12 * values)
        return Measured(
            batch=batch,
            group=max(1, min(self.order.shard, ROOM // each)),
            record=look.record,
            tangents=tangents,
            typical={role.name: role.typical for role in run.problem.roles},
            resolution=(height, width),
            latent=front.latents.shape[1],
            roles=tuple(
                {key: getattr(role, key) for key in ("name", "part", "unit", "typical", "tolerance")}
                for role in judged.roles
            ),
            installed=recipe.installed,
            weights=recipe.weights,
            files=recipe.files,
            notes=run.notes,
        )

    def make(self, plan: Plan, folder: Folder, index: int, batch: int, advance: Advance) -> Record | None:
        """Make a shard in `folder`, and its record; None if another process is making it.

        Raises:
            OutputError: it cannot be written.
            EigenwalkError, MemoryError, RuntimeError: as the walk raises them.
        """
        with folder.claim(index) as mine, tempfile.TemporaryDirectory(prefix="eigenwalk-") as temporary:
            if not mine:
                return None
            began, cpu = time.time(), time.process_time()
            place = folder.parts(index, FilePath(temporary))
            parts = {name: place / f".{index:05d}-{name}-{os.getpid()}" for name in CONFIGURATIONS}
            try:
                tally = self.fill(plan, parts, index, batch, advance)
                files = {}
                for name, part in parts.items():
                    target = plan.file(index, CONFIGURATIONS[name])
                    with open(part, "rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    files[target] = {"bytes": part.stat().st_size, "sha256": digest}
                    folder.publish(part, target)
            finally:
                for part in parts.values():
                    part.unlink(missing_ok=True)
            made = self._made(began, time.process_time() - cpu)
            record = Record(index, plan.digest, files, tally.entries(), batch, made)
            folder.record(record)
            return record

    def fill(self, plan: Plan, parts: dict[str, FilePath], index: int, batch: int, advance: Advance) -> Tally:
        """Write a shard into the files `parts`, one for each configuration, read them back, and count."""
        tally, rows = Tally(), Rows(plan)
        seeds = plan.order.seeds_of(index)
        metadata = {"eigenwalk.plan": plan.digest, "eigenwalk.seeds": f"{seeds[0]}-{seeds[-1]}"}
        shard = SHARDS[plan.order.format](plan, parts, metadata)
        with shard:
            for group in plan.groups(index):
                walked = self._walk(plan, group, batch, advance)
                kept = self._select(plan, walked, tally)
                tally.seeds += len(group)
                for path in kept:
                    images, pair = rows.of(path)
                    shard.add({"default": images, "pairs": [pair]})
                    tally.images += len(images)
                    tally.pairs += 1
                del walked, kept
                gc.collect()
        shard.check()
        return tally

    def _walk(self, plan: Plan, seeds: tuple[int, ...], batch: int, advance: Advance) -> tuple[Path, ...]:
        """Walk from some seeds to the end; no paths if none of them can start."""
        paths: tuple[Path, ...] = ()
        fronts = walk(self._problem(plan, batch), seeds, self._options(batch), self.run.recipe.device)
        try:
            for front in fronts:
                advance(sum(len(path) for path in front.paths) - sum(len(path) for path in paths))
                paths = front.paths
        except WalkError:
            if paths:  # the walk itself ends paths, and raises only where no path could start
                raise
        return paths

    def _options(self, batch: int) -> WalkOptions:
        return replace(self.run.options, batch=batch)

    def _problem(self, plan: Plan, batch: int):
        measured, look = plan.measured, self.run.problem.linearisation
        if measured.record != "blocks":  # else this process has found the blocks itself
            tangents = measured.tangents and max(batch, measured.tangents * batch // measured.batch)
            look = replace(look, record=measured.record, tangents=tangents, blocks=())
        return replace(self.run.problem, linearisation=look)

    def _select(self, plan: Plan, walked: tuple[Path, ...], tally: Tally) -> list[Path]:
        tally.paths += len(walked)
        tally.passes += sum(path.cost.passes for path in walked)
        tally.ends.update(path.status.reason for path in walked)
        judged = self.run.judge([path for path in walked if len(path) > 1], installed=False)
        still = [path for path in walked if len(path) < 2]
        kept, dropped = select(judged, plan.order.filters)
        tally.dropped.update(dropped)
        tally.dropped.update({"no step": len(still)} if still else {})
        tally.kept += len(kept)
        for path in kept:
            tally.directions[direction(path)] += 1
            for role in path.roles:
                tally.count_change(f"{role.part} {role.name}", path.waypoints[-1].changes[role.name] / role.typical)
        return kept

    def _made(self, began: float, cpu: float) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        made = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)), "seconds": time.time() - began}
        with suppress(OSError):
            made["host"] = socket.gethostname()
        return {**made, "cpu_seconds": cpu, "peak_memory": peak, "installed": dict(self.run.recipe.installed)}


def measure(maker: Maker, plan: Plan, advance: Advance) -> dict[str, Any]:
    """Make the first group of the first shard in a temporary folder; return its counts, bytes and seconds."""
    few = replace(plan, order=replace(plan.order, shard=plan.measured.group))
    with tempfile.TemporaryDirectory(prefix="eigenwalk-") as temporary:
        record = maker.make(few, Folder(temporary), 0, plan.measured.batch, advance)
    assert record is not None
    return {"tally": record.tally, "bytes": sum(one["bytes"] for one in record.files.values()), "made": record.made}
