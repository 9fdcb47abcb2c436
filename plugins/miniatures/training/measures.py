"""Measures for the model card: subjects counted, overlap of masks, factors explained and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import label
from scipy.stats import ks_2samp
from torch import Tensor

SPECK = 0.005
"""Components below this share of the image (20 pixels of 64 x 64) are specks, and ignored."""
DECENT = 0.04
"""A part counted as present covers at least this share of the image; the smallest sofa rendered
covers about 0.08."""


def shows_one(mask: Tensor, threshold: float = 0.5) -> bool:
    """Whether soft `mask (height, width)` shows exactly one object.

    Thresholded at `threshold`, with pixels touching at edges or corners joined and specks ignored:
    one connected component is left, and it is of decent size.
    """
    found: Any = label((mask > threshold).numpy(), structure=np.ones((3, 3)))
    labels = np.asarray(found[0])
    areas = np.bincount(labels.ravel())[1:] / labels.size
    kept = areas[areas >= SPECK]
    return len(kept) == 1 and bool(kept[0] >= DECENT)


def share_with_one(masks: Tensor) -> float:
    """The share of `masks (batch, height, width)` that show exactly one object."""
    return sum(shows_one(mask) for mask in masks) / len(masks)


def overlap(found: Tensor, true: Tensor) -> Tensor:
    """Soft intersection over union per part, `(parts,)`, over all images.

    Both are masks `(batch, parts, height, width)` in [0, 1]; Σ min(a, b) / Σ max(a, b).
    """
    return torch.minimum(found, true).sum((0, 2, 3)) / torch.maximum(found, true).sum((0, 2, 3))


def explained(read: Tensor, true: Tensor) -> Tensor:
    """R² per factor, `(factors,)`, of readings against the truth, both `(batch, factors)`."""
    return 1 - (read - true).square().sum(0) / (true - true.mean(0)).square().sum(0)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Kolmogorov-Smirnov distance per factor, `(factors,)`, between two samples `(batch, factors)`."""
    pairs = zip(a.T.numpy(), b.T.numpy(), strict=True)
    found: list[Any] = [ks_2samp(x, y) for x, y in pairs]
    return torch.tensor([float(one.statistic) for one in found])


def nearest(images: Tensor, stored: np.ndarray, chunk: int = 2000) -> tuple[Tensor, Tensor]:
    """Rows of `stored` nearest to each of `images`, and the RMS pixel distances, both `(batch,)`.

    `images (batch, 3, height, width)` in [0, 1]; `stored` the same in uint8.
    """
    flat = images.flatten(1)
    best, row = torch.full((len(images),), torch.inf), torch.zeros(len(images), dtype=torch.long)
    for start in range(0, len(stored), chunk):
        part = torch.from_numpy(stored[start : start + chunk]).flatten(1).float() / 255
        value, index = torch.cdist(flat, part).min(1)
        row = torch.where(value < best, index + start, row)
        best = torch.minimum(best, value)
    return row, best / flat.shape[1] ** 0.5
