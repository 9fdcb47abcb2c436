"""What a large data set costs, from the finished shards of a smaller one, and how well that is foretold.

    python benchmarks/million.py FOLDER

The model is fitted to a third of the shards, and each of the others is foretold: by the passes that it took, and by
its number of seeds alone.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

SEEDS, SHARD = 1_000_000, 250
START = 5.0
"""CPU seconds until a worker has loaded Python, torch and the generator."""
WORKERS = (1, 10, 100, 1000)
KILLED = 0.1
"""Of the workers, each once: a killed worker loses half a shard on average, and starts again."""


def read(folder: Path) -> list[dict[str, Any]]:
    """Return seeds, passes, images, CPU seconds, bytes and peak memory of each finished shard, in order."""
    rows = []
    for file in sorted((folder / "shards").glob("[0-9]*.json")):
        record = json.loads(file.read_text())
        size = sum(entry["bytes"] for entry in record["files"].values())
        row = {key: record["tally"][key] for key in ("seeds", "passes", "images")} | {"bytes": size}
        rows.append(row | {"cpu": record["made"]["cpu_seconds"], "memory": record["made"]["peak_memory"]})
    return rows


def total(rows: list[dict[str, Any]], key: str) -> float:
    """Return the sum over shards."""
    return sum(row[key] for row in rows)


def main() -> None:
    """Print the fit, what it foretold, and what a million seeds would cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    rows = read(parser.parse_args().folder)
    known, unseen = rows[: max(2, len(rows) // 3)], rows[max(2, len(rows) // 3) :]
    if not unseen:
        raise SystemExit("three finished shards are needed at least")
    seconds = total(known, "cpu") / total(known, "passes")
    each = {key: total(known, key) / total(known, "seeds") for key in ("passes", "images", "cpu", "bytes")}
    spread = stdev(row["cpu"] / row["seeds"] for row in known) * math.sqrt(mean(row["seeds"] for row in known))
    print(f"fitted to {len(known)} shards of {known[0]['seeds']} seeds: {1e3 * seconds:.2f} ms a pass; a seed takes")
    print(f"{each['passes']:.0f} passes, {each['images']:.1f} images, {each['cpu']:.2f} ± {spread:.2f} CPU seconds\n")
    by_passes = [seconds * row["passes"] / row["cpu"] - 1 for row in unseen]
    by_seeds = [each["cpu"] * row["seeds"] / row["cpu"] - 1 for row in unseen]
    print(f"| {len(unseen)} shards that it had not seen | by passes | by seeds |\n|---|---|---|")
    for name, what in (("median error of a shard", median), ("largest error of a shard", max)):
        print(f"| {name} | {what(map(abs, by_passes)):.1%} | {what(map(abs, by_seeds)):.1%} |")
    errors = [
        seconds * total(unseen, "passes") / total(unseen, "cpu") - 1,
        each["cpu"] * total(unseen, "seeds") / total(unseen, "cpu") - 1,
    ]
    print(f"| all together | {errors[0]:+.1%} | {errors[1]:+.1%} |")
    for key in ("passes", "images", "bytes"):
        print(f"| {key} of all together | | {each[key] * total(unseen, 'seeds') / total(unseen, key) - 1:+.1%} |")
    cpu, size = (total(rows, key) / total(rows, "seeds") for key in ("cpu", "bytes"))
    print(f"\nall {len(rows)} shards: {total(rows, 'images'):,.0f} images, {total(rows, 'cpu'):,.0f} CPU seconds,")
    print(f"{total(rows, 'images') / total(rows, 'cpu'):.2f} images a CPU second,", end=" ")
    print(f"{total(rows, 'bytes') / total(rows, 'images'):,.0f} bytes an image, at most", end=" ")
    print(f"{max(row['memory'] for row in rows) / 1e9:.2f} GB\n")
    shard, n, images = SHARD * cpu, math.ceil(SEEDS / SHARD), total(rows, "images") / total(rows, "seeds")
    print(f"{SEEDS:,} seeds: {n:,} shards of {shard / 60:.1f} minutes and {SHARD * size / 1e6:.0f} MB,")
    print(f"{SEEDS * size / 1e9:.0f} GB, {SEEDS * images / 1e6:.0f} million images\n")
    print("| workers | hours | rounds of shards | lost where one in ten is killed once | MB a second |")
    print(f"|{'---|' * 5}")
    for workers in WORKERS:
        rounds = math.ceil(n / workers)
        hours = (START + rounds * shard) / 3600
        lost = KILLED * workers * (shard / 2 + START) / 3600
        rate = SEEDS * size / 1e6 / (3600 * hours)
        print(f"| {workers:,} | {hours:,.1f} | {rounds:,} | {lost:.2f} hours of CPU time | {rate:.2f} |")


if __name__ == "__main__":
    main()
