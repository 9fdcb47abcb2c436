"""What paths of one start have in common, in what has varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.path import Path
from eigenwalk.walk.front import Front

NEAREST = 6
"""A path stays apart from so many of the paths before it, those that it is most like: more take memory."""


def others(front: Front, rows: list[int], varied: Tensor) -> Tensor | None:
    """Return what the paths before each of `rows` have varied, ``(rows, n, p)``; None if there are none.

    The paths before it are those of the same seed that stand before it in the front, so that what a path does depends
    neither on how many paths follow nor on its batch. `varied` ``(rows, p)`` is what the rows have varied.
    """
    if front.varied is None:
        return None
    found = []
    for row, own in zip(rows, varied, strict=True):
        before = [i for i in range(row) if front.paths[i].origin == front.paths[row].origin]
        moved = front.varied[before].to(varied)
        alike = normalize(moved, dim=1) @ own
        found.append(moved[alike.topk(min(NEAREST, len(before))).indices.sort().values])
    most = max(len(one) for one in found)
    padded = [torch.cat([one, one.new_zeros(most - len(one), one.shape[1])]) for one in found]
    return torch.stack(padded) if most else None


def as_half(varied: Tensor) -> Tensor:
    """Return varied values in half precision: enough for a direction, and a run saves them at every waypoint."""
    return varied.clamp(-6e4, 6e4).half()


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
