"""Soft masks of polygons, with the exact derivative of the covered area by the corners."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

FINEST = 192
"""Pixels of the longer side in which areas are computed; larger masks are enlarged. Points that a network finds in a
crop of so many pixels are not known more finely."""


def cover(points: Tensor, polygons: Sequence[Sequence[int]], height: int, width: int) -> Tensor:
    """Return the share ``(batch, 1, height, width)`` of each pixel that lies in some of disjoint polygons.

    `points` ``(batch, k, 2)`` are (x, y) in pixels; each of `polygons` lists its corners by their numbers.

    >>> square = torch.tensor([[[1.0, 0.5], [3.0, 0.5], [3.0, 2.0], [1.0, 2.0]]])
    >>> cover(square, [(0, 1, 2, 3)], 3, 4)[0, 0]
    tensor([[0.0000, 0.5000, 0.5000, 0.0000],
            [0.0000, 1.0000, 1.0000, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000]])
    """
    scale = min(1.0, FINEST / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    points = points * points.new_tensor([columns / width, rows / height])
    areas = sum(_area(points[:, list(polygon)], rows, columns) for polygon in polygons)
    assert isinstance(areas, Tensor)
    covered = areas.clamp(0, 1)[:, None]
    return covered if scale == 1 else F.interpolate(covered, (height, width), mode="bilinear", align_corners=False)


def _area(corners: Tensor, rows: int, columns: int) -> Tensor:
    """The share ``(batch, rows, columns)`` of each pixel inside one polygon ``(batch, corners, 2)``.

    As font rasterisers do: in each row of pixels, an edge that goes down by h there adds h to all that lies to the
    right of it. Where it goes from x to x', the step is a ramp between these, at least a pixel wide.
    """
    x, y = corners.unbind(2)
    x_next, y_next = (torch.roll(one, -1, 1) for one in (x, y))
    top = torch.arange(rows, dtype=x.dtype, device=x.device)[:, None]
    enter, leave = (one[:, None].clamp(top, top + 1) for one in (y, y_next))  # ``(batch, rows, edges)``
    down = leave - enter
    rise = y_next - y
    level = rise.abs() < 1e-6
    slope = torch.where(level, 0, (x_next - x) / torch.where(level, 1, rise))
    middle = x[:, None] + ((enter + leave) / 2 - y[:, None]) * slope[:, None]
    ramp = (down * slope[:, None]).abs().clamp(min=1)
    centres = torch.arange(columns, dtype=x.dtype, device=x.device) + 0.5
    right = ((centres[:, None] - middle[:, :, None]) / ramp[:, :, None] + 0.5).clamp(0, 1)
    return (right * down[:, :, None]).sum(3).abs()
