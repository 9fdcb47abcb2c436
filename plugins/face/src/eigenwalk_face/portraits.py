"""Drawn faces that MTCNN takes for faces: for the tests of this package and of features of faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SKIN, HAIR, EYES, LIPS = (0.85, 0.65, 0.55), (0.2, 0.12, 0.08), (0.15, 0.1, 0.08), (0.68, 0.32, 0.32)


def portrait(side: int = 96, x: float = 0.5, y: float = 0.5, size: float = 0.3, skin: Sequence[float] = SKIN) -> Tensor:
    """A face ``(3, side, side)`` that MTCNN takes for one, twice `size` of the image wide, its nose at (x, y).

    A little noise lies on it: in flat colours the detector's max-pooling ties, and has no derivative.
    """
    v, u = torch.meshgrid(*[(torch.arange(side) + 0.5) / side] * 2, indexing="ij")
    u, v = (u - x) / size, (v - y) / size
    dark = [0.6 * c for c in skin]
    image = torch.tensor([0.45, 0.55, 0.65])[:, None, None].expand(3, side, side)

    def paint(cx: float, cy: float, rx: float, ry: float, colour: Sequence[float], opacity: float = 1.0) -> None:
        nonlocal image
        from_middle = ((u - cx) / rx).square() + ((v - cy) / ry).square()
        mask = opacity * torch.sigmoid((1 - from_middle.sqrt()) * min(rx, ry) * size * side)
        image = image * (1 - mask) + torch.tensor(colour)[:, None, None] * mask

    paint(0, 2.6, 1.9, 1.3, (0.25, 0.3, 0.4))  # shoulders
    paint(0, -0.25, 1.2, 1.45, HAIR)
    paint(0, 1.3, 0.5, 0.8, [0.85 * c for c in skin])  # neck
    paint(0, 0.1, 0.95, 1.25, skin)
    for s in (-1, 1):
        paint(s * 0.4, -0.12, 0.26, 0.17, dark, 0.45)
        paint(s * 0.4, -0.1, 0.19, 0.09, (0.93, 0.92, 0.9))
        paint(s * 0.4, -0.1, 0.085, 0.09, EYES)
        paint(s * 0.42, -0.36, 0.26, 0.055, HAIR)
        paint(s * 0.13, 0.33, 0.07, 0.05, EYES, 0.5)  # nostrils
    paint(0.12, 0.1, 0.06, 0.3, dark, 0.25)  # the nose's shadow
    paint(0, 0.68, 0.36, 0.1, LIPS)
    paint(0, 0.67, 0.34, 0.025, EYES)
    return image + 0.02 * torch.randn(image.shape, generator=torch.Generator().manual_seed(side))


def portraits() -> Tensor:
    """Three people ``(3, 3, 96, 96)`` at different places."""
    return torch.stack([portrait(), portrait(x=0.45, y=0.48, size=0.25), portrait(size=0.27, skin=(0.5, 0.36, 0.28))])
