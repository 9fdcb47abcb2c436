"""How far reconstructions are from the photographs, feature by feature, each as it stands near its own image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.errors import Undefined
from eigenwalk.maths.linearise.calls import freeze_near, values_of
from eigenwalk_invert.objective import Match
from eigenwalk_invert.task import Task

Distances = dict[str, tuple[float, ...]]
"""By a feature's expression, of each photograph, in shares of the typical distance; NaN where it has no value."""


@torch.no_grad()
def measure(task: Task, images: Tensor) -> Distances:
    """Return how far `images` ``(photos, 3, height, width)`` are from the photographs."""
    found: dict[str, list[float]] = {}
    for i, (photo, image) in enumerate(zip(task.photographs, images.to(task.device), strict=True)):
        for one in (*task.matched([i]), *task.judges):
            found.setdefault(one.name, []).append(_distance(one, photo[None], image[None]))
    return {name: tuple(values) for name, values in found.items()}


def _distance(one: Match, photo: Tensor, image: Tensor) -> float:
    try:
        near, other = (freeze_near(one.name, one.feature, which, ()) for which in (photo, image))
        apart = near.distance(values_of(one.name, near, photo), values_of(one.name, other, image))
    except Undefined:
        return math.nan
    return float(apart[0]) / one.typical
