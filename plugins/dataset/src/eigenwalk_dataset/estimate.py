"""What a data set would cost, from one measured group of seeds. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eigenwalk.runs.memory.words import in_words
from eigenwalk.runs.watch import duration
from eigenwalk_dataset.plan import Plan


def estimate(plan: Plan, measured: Mapping[str, Any], workers: int) -> list[str]:
    """Return lines that say the counts, bytes and hours of all seeds.

    `measured` is what `eigenwalk_dataset.maker.measure` returned; `workers` are as fast as the one that measured.
    """
    tally, made = measured["tally"], measured["made"]
    seeds, share = len(plan.order.seeds), len(plan.order.seeds) / tally["seeds"]
    seconds = made["seconds"] * share
    files = 3 * plan.order.count
    return [
        f"measured  {tally['seeds']:,} seeds, {tally['paths']:,} paths of which {tally['kept']:,} are kept, "
        f"{tally['images']:,} images, {duration(made['seconds'])}, {in_words(made['peak_memory'])} of memory",
        f"seeds     {seeds:,} in {plan.order.count:,} shards",
        f"images    {tally['images'] * share:,.0f} on {tally['kept'] * share:,.0f} paths",
        f"bytes     {in_words(measured['bytes'] * share)} in {files:,} files",
        f"time      {duration(seconds)} on one worker, {duration(seconds / workers)} on {workers}",
        f"a shard   {duration(seconds / plan.order.count)}, {in_words(measured['bytes'] * share / plan.order.count)}",
    ]
