"""The first method's drift over that of others, pair by pair: the published rule, the best straight line, the limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eigenwalk_evaluate.plan import Pair
from eigenwalk_evaluate.summary import Summary

PUBLISHED = "nullspace"


@dataclass(frozen=True)
class Ratios:
    """Drift of the first method at the last level over that of others, on the starts where both get there.

    Attributes:
        published: over the published rule's.
        linear, best: over that of the straight method with the least drift, and its name. A method without a
            preferred direction counts by its best one, though nobody knows it beforehand.
        limit: over the least drift that is known.
    """

    pair: Pair
    published: float
    linear: float
    best: str
    limit: float


def ratios(summary: Summary) -> list[Ratios]:
    """Return the ratios of every pair that the first method walked."""
    found = []
    for pair in summary.plan.pairs:
        rows = summary.of(pair)
        if not rows or not pair.is_ordinary or not pair.recipe.fix:
            continue
        first, others = rows[0], rows[1:]
        published = next((row for row in others if row.solver == PUBLISHED), None)
        straight = [(ratio(first.by_seed, row.by_seed), row.method) for row in others if row.straight]
        worst = max(((value, name) for value, name in straight if math.isfinite(value)), default=(math.nan, "–"))
        limit = summary.limit_of(pair)
        found.append(
            Ratios(
                pair,
                ratio(first.by_seed, published.by_seed) if published else math.nan,
                *worst,
                ratio(first.by_seed, limit.by_seed) if limit else math.nan,
            )
        )
    return found


def ratio(mine: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """Return mean over mean, on the seeds where both have a drift, or NaN.

    >>> ratio({0: 0.1, 1: 0.2, 2: 0.9}, {0: 0.2, 1: 0.4, 3: 0.1}), ratio({0: float("nan")}, {0: 1.0})
    (0.5, nan)
    """
    both = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    kept = np.array([pair for pair in both if all(map(math.isfinite, pair))]).reshape(-1, 2)
    return float(kept[:, 0].mean() / kept[:, 1].mean()) if len(kept) and kept[:, 1].mean() > 0 else math.nan
