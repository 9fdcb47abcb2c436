"""Scores of outputs on held-out images, and how well calibrated their probabilities are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 10
WEAK = 0.2
"""R² below which a fitted value is too weak to walk along."""
REMEDY = "give more images or another --backbone, and do not walk with this one"


@dataclass(frozen=True)
class Classified:
    """Scores of a label that is there or not.

    Attributes:
        count: held-out images.
        accuracy: share of them on the right side of logit 0; `low` to `high` is its 95 % interval (Wilson 1927).
        baseline: accuracy of always naming the commoner class.
        auc: area under the ROC curve: how often a positive image scores above a negative one.
        ece: expected calibration error, the mean of |share of positives - probability| over 10 bins of probability,
            weighted by their images; `ece_before` is that of the logits before the temperature.
        temperature: the logits' divisor (Guo et al. 2017).
    """

    count: int
    accuracy: float
    low: float
    high: float
    baseline: float
    auc: float
    ece: float
    ece_before: float
    temperature: float

    def lines(self, unit: str) -> list[str]:
        """Lines that say the scores."""
        return [
            f"accuracy {self.accuracy:.3f} (95 %: {self.low:.3f} to {self.high:.3f}; always the commoner class: "
            f"{self.baseline:.3f})",
            f"AUC {self.auc:.3f}",
            f"calibration error (ECE) {self.ece:.3f}; {self.ece_before:.3f} before its temperature of "
            f"{self.temperature:.2f}",
            *([f"no better than the commoner class: {REMEDY}"] if self.low <= self.baseline else []),
        ]


@dataclass(frozen=True)
class Regressed:
    """Scores of a value: `r2` is the share of its variance that is explained; errors are in its unit."""

    count: int
    r2: float
    mean_absolute_error: float
    rms_error: float

    def lines(self, unit: str) -> list[str]:
        """Lines that say the scores."""
        return [
            f"R² {self.r2:.3f}",
            f"mean absolute error {self.mean_absolute_error:.4g}, RMS error {self.rms_error:.4g} ({unit})",
            *([f"hardly better than the mean value: {REMEDY}"] if self.r2 < WEAK else []),
        ]


def classified(logits: Tensor, truth: Tensor, temperature: float) -> Classified:
    """Scores of `logits` ``(n,)``, already divided by `temperature`, against `truth` ``(n,)`` of 0 and 1."""
    logits, n = logits.double(), len(truth)
    right = float(((logits > 0) == (truth > 0.5)).double().mean())
    share = float(truth.double().mean())
    low, high = wilson(right, n)
    return Classified(
        n,
        right,
        low,
        high,
        max(share, 1 - share),
        auc(logits, truth),
        ece(logits.sigmoid(), truth),
        ece((logits * temperature).sigmoid(), truth),
        temperature,
    )


def regressed(values: Tensor, truth: Tensor) -> Regressed:
    """Scores of predicted `values` ``(n,)`` against `truth` ``(n,)``."""
    error = values.double() - truth.double()
    spread = (truth.double() - truth.double().mean()).square().mean()
    return Regressed(
        len(truth),
        float(1 - error.square().mean() / spread),
        float(error.abs().mean()),
        float(error.square().mean().sqrt()),
    )


def auc(scores: Tensor, truth: Tensor) -> float:
    """The share of pairs of a positive and a negative in which the positive scores higher, ties half; NaN for no pair.

    >>> auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
    0.75
    """
    positive, negative = scores[truth > 0.5].double(), scores[truth <= 0.5].double().sort().values
    below = torch.searchsorted(negative, positive, right=False).double()
    upto = torch.searchsorted(negative, positive, right=True).double()
    return float((below + upto).mean() / (2 * len(negative))) if len(positive) and len(negative) else math.nan


def bins(probabilities: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean probability, share of positives and count of the `BINS` equal bins of probability; 0 where one is empty."""
    which = (probabilities.double() * BINS).long().clamp(0, BINS - 1)
    count = torch.zeros(BINS, dtype=torch.float64).index_add(0, which, torch.ones(len(which), dtype=torch.float64))
    sums = [torch.zeros(BINS, dtype=torch.float64).index_add(0, which, one.double()) for one in (probabilities, truth)]
    said, were = (one / count.clamp(min=1) for one in sums)
    return said, were, count


def ece(probabilities: Tensor, truth: Tensor) -> float:
    """Expected calibration error of `probabilities` ``(n,)`` in [0, 1] (Naeini et al. 2015, on the positive class)."""
    said, were, count = bins(probabilities, truth)
    return float(((said - were).abs() * count).sum() / count.sum())


def temperature(logits: Tensor, truth: Tensor) -> float:
    """The T from 1 to 20 that minimises the log-loss of ``logits / T``.

    Where few images are told apart without an error, the log-loss falls with T to any bound, and the logits would grow
    without meaning: below 1, T is not sought. On heads fitted to 100 renders, targets smoothed as Platt (1999) has them
    gave a greater calibration error than this bound alone.

    The log-loss is convex in 1/T, so its derivative has one root, found by bisection in log T.
    """
    logits, truth = logits.double(), truth.double()
    low, high = 0.0, math.log(20.0)
    for _ in range(60):
        middle = (low + high) / 2
        slope = ((logits * math.exp(-middle)).sigmoid() - truth) * logits
        low, high = (low, middle) if float(slope.sum()) < 0 else (middle, high)
    return math.exp((low + high) / 2)


def log_loss(logits: Tensor, truth: Tensor) -> float:
    """Mean negative log-likelihood of `truth` under ``sigmoid(logits)``."""
    return float(F.binary_cross_entropy_with_logits(logits.double(), truth.double()))


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share observed in n trials.

    >>> [round(bound, 3) for bound in wilson(0.9, 100)]
    [0.826, 0.945]
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return centre - half, centre + half
