"""Estimate a mean over seeds with its bootstrap interval: starts are independent samples, paths from one start are not.

Percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13), from a fixed seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eigenwalk_evaluate.paths import Floats

RESAMPLES = 4000
COVERAGE = 0.95
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A mean, the ends of its 95 % interval (NaN below two seeds), and the number of seeds."""

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    seeds: int = 0


def estimate(by_seed: Floats) -> Estimate:
    """Return the mean of one number per seed, ``(seeds,)``; NaN is left out.

    >>> estimate(np.array([1.0, 1.0, np.nan])).mean, estimate(np.array([2.0])).low
    (1.0, nan)
    """
    values = by_seed[np.isfinite(by_seed)]
    if not len(values):
        return Estimate()
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, seeds=1)
    random = np.random.default_rng(SEED)
    means = values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Estimate(mean, float(low), float(high), len(values))
