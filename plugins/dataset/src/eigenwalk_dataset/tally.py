"""Counts of what became of the paths of some shards, and histograms of how far features moved. No torch here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

WIDTH, BINS = 0.05, 41
"""Of a histogram: bins of a twentieth of the typical distance; the last holds all from twice that distance on."""


@dataclass
class Tally:
    """What became of paths.

    Attributes:
        seeds, paths, kept, images, pairs: how many.
        passes: of the generator, in forward passes of one row.
        ends: why paths ended, kept or not.
        dropped: why paths were dropped.
        directions: kept paths by direction and sense, such as ``1+``.
        changes: for each feature, the histogram of its change at the end of kept paths, in shares of typical.
    """

    seeds: int = 0
    paths: int = 0
    kept: int = 0
    images: int = 0
    pairs: int = 0
    passes: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    directions: Counter[str] = field(default_factory=Counter)
    changes: dict[str, list[int]] = field(default_factory=dict)

    def count_change(self, feature: str, share: float) -> None:
        """Put the change of a feature into its histogram; a value that is no number is left out."""
        bins = self.changes.setdefault(feature, [0] * BINS)
        if share == share:
            bins[int(min(abs(share) / WIDTH, BINS - 1))] += 1

    def add(self, other: Tally) -> None:
        """Add the counts of other shards."""
        for name in ("seeds", "paths", "kept", "images", "pairs", "passes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("ends", "dropped", "directions"):
            getattr(self, name).update(getattr(other, name))
        for feature, bins in other.changes.items():
            mine = self.changes.setdefault(feature, [0] * BINS)
            self.changes[feature] = [a + b for a, b in zip(mine, bins, strict=True)]

    def entries(self) -> dict[str, Any]:
        """Return the counts as JSON holds them."""
        return {**vars(self), **{name: dict(getattr(self, name)) for name in ("ends", "dropped", "directions")}}

    @classmethod
    def sum(cls, tallies: Iterable[Mapping[str, Any]]) -> Self:
        """Return the sum of what `entries` gave."""
        total = cls()
        for one in tallies:
            counters = {name: Counter(one[name]) for name in ("ends", "dropped", "directions")}
            total.add(cls(**{**one, **counters}))
        return total


def quantile(bins: list[int], share: float) -> float:
    """Return the change, as a share of typical, below which `share` of a histogram lies.

    >>> quantile([10, 10] + [0] * 39, 0.5)
    0.05
    """
    left = share * sum(bins)
    for place, count in enumerate(bins):
        if count and left <= count:
            return (place + left / count) * WIDTH
        left -= count
    return 0.0
