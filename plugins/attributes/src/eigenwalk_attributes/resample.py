"""Resampling of images along one axis as a fixed matrix, with an antialiased kernel.

    >>> from eigenwalk_attributes.resample import matrix
    >>> matrix(64, 224, "bicubic").shape
    torch.Size([224, 64])

Output i of n from p pixels lies at ``c = (i + ½) p/n`` of the input and is the mean of its pixels j at j + ½, weighted
by ``k((j + ½ - c) / max(1, p/n))``, as Pillow and torch's antialiased interpolation compute it. A product of matrices
has every derivative, and rows that would be cropped afterwards are not computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def matrix(pixels: int, size: int, interpolation: str) -> Tensor:
    """The matrix ``(size, pixels)``, float64, that resamples an axis of `pixels` to `size`; rows sum to 1.

    Raises:
        KeyError: `interpolation` is not one of `KERNELS`.
    """
    kernel, support = KERNELS[interpolation]
    scale = pixels / size
    width = max(1.0, scale)
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) * scale
    x = (torch.arange(pixels, dtype=torch.float64) + 0.5 - centre[:, None]) / width
    weights = torch.where(x.abs() < support, kernel(x), 0.0)
    return weights / weights.sum(1, keepdim=True)


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _bicubic(x: Tensor) -> Tensor:
    """Keys 1981, "Cubic convolution interpolation", with a = -½."""
    a, x = -0.5, x.abs()
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.special.sinc(x) * torch.special.sinc(x / 3)


KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
"""Kernels by timm's names, each with its reach in pixels."""


def window_place(size: int, window: int) -> tuple[int, int]:
    """Where a centred window begins on an axis of `size`, and, if the axis is shorter, where it begins in the window.

    >>> window_place(256, 224), window_place(100, 224)
    ((16, 0), (0, 62))
    """
    return (round((size - window) / 2), 0) if size >= window else (0, (window - size) // 2)


def windowed(pixels: int, size: int, window: int, interpolation: str) -> Tensor:
    """The matrix ``(window, pixels)`` that resamples to `size` and keeps the centred `window`; zeros beyond it."""
    start, inset = window_place(size, window)
    kept = matrix(pixels, size, interpolation)[start : start + window]
    placed = torch.zeros(window, pixels, dtype=torch.float64)
    placed[inset : inset + len(kept)] = kept
    return placed


def longer(short: int, long: int, size: int) -> int:
    """The longer side after the shorter has become `size` in proportion."""
    return math.floor(size * long / short)
