"""What paths of one start have in common, in what has varied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from eigenwalk.path import Path
from eigenwalk.walk.front import Front

NEAREST = 6
"""A path stays apart from so many of the paths before it, those that it is most like: more take memory."""


LARGEST = 64
"""A front keeps what varied of an image at no more pixels a side: at 1024, a path's would be 6 MB at every waypoint."""


def others(front: Front, rows: list[int], varied: Tensor, fixed: int) -> Tensor | None:
    """Return what the paths before each of `rows` have varied, ``(rows, n, p)``; None if there are none.

    The paths before it are those of the same seed that stand before it in the front, so that what a path does depends
    neither on how many paths follow nor on its batch. `varied` ``(rows, p)`` is what the rows have varied, and `fixed`
    how many features are fixed.
    """
    if front.varied is None:
        return None
    found = []
    for row, own in zip(rows, varied, strict=True):
        before = [i for i in range(row) if front.paths[i].origin == front.paths[row].origin]
        moved = enlarge(front.varied[before].to(varied), front, fixed)
        alike = normalize(moved, dim=1) @ own
        found.append(moved[alike.topk(min(NEAREST, len(before))).indices.sort().values])
    most = max(len(one) for one in found)
    padded = [torch.cat([one, one.new_zeros(most - len(one), one.shape[1])]) for one in found]
    return torch.stack(padded) if most else None


def reduce(varied: Tensor, front: Front, fixed: int) -> Tensor:
    """Return varied values ``(rows, p)`` as a front keeps them: large images pooled, in half precision.

    Enough for a direction, and a run saves them at every waypoint. Values that are small already stay as they are, so
    fronts that were saved whole are reduced by it too. Lengths are kept, but for what pooling smooths away.
    """
    shapes = _shapes(front, fixed)
    if varied.shape[1] == sum(math.prod(small) for _, small in shapes):
        return varied.clamp(-6e4, 6e4).half()
    found = []
    for part, (shape, small) in zip(varied.split([math.prod(one) for one, _ in shapes], 1), shapes, strict=True):
        if shape != small:
            scale = math.sqrt(math.prod(shape) / math.prod(small))
            part = scale * adaptive_avg_pool2d(part.float().reshape(-1, *shape), (small[1], small[2])).flatten(1)
        found.append(part)
    return torch.cat(found, 1).clamp(-6e4, 6e4).half()


def enlarge(reduced: Tensor, front: Front, fixed: int) -> Tensor:
    """Return what `reduce` kept as values ``(rows, p)`` again."""
    found, shapes = [], _shapes(front, fixed)
    for part, (shape, small) in zip(reduced.split([math.prod(one) for _, one in shapes], 1), shapes, strict=True):
        if shape != small:
            scale = math.sqrt(math.prod(shape) / math.prod(small))
            part = interpolate(part.reshape(-1, *small), [*shape[1:]], mode="nearest").flatten(1) / scale
        found.append(part)
    return torch.cat(found, 1)


def _shapes(front: Front, fixed: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the shape of each varied feature's values, and that in which a front keeps them."""
    assert front.origin is not None  # measured before the first waypoint
    shapes = [tuple(values.shape[1:]) for values in front.origin[fixed:]]
    return [
        (shape, (shape[0], *(min(side, LARGEST) for side in shape[1:])) if len(shape) == 3 else shape)
        for shape in shapes
    ]


def with_likeness(paths: Sequence[Path], varied: Tensor) -> tuple[Path, ...]:
    """Return `paths`, each with what it has in common with others of its seed; `varied` is that of `Front`."""
    by_start: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        by_start.setdefault(path.origin, []).append(i)
    told = list(paths)
    for rows in (rows for rows in by_start.values() if len(rows) > 1):
        unit = normalize(varied[rows].float(), dim=1)
        for row, shares in zip(rows, (unit @ unit.mT).tolist(), strict=True):
            alike = {paths[i].name: round(share, 3) for i, share in zip(rows, shares, strict=True) if i != row}
            told[row] = replace(paths[row], alike=alike)
    return tuple(told)
