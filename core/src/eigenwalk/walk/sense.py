"""The sense of a direction: where numbers vary, `+` is more of them, and they have only so many directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from eigenwalk.direction import Step
from eigenwalk.maths.cloud import FEW
from eigenwalk.maths.problem import Problem, Scaled


def count_directions(problem: Problem, values: Sequence[Tensor], dim: int) -> int:
    """Return how many directions can vary anything: one for each varied number, at most one for each coordinate."""
    return min(dim, sum(value[0].numel() for value in values[problem.fixed :]))


def towards_more(problem: Problem, sight: Scaled, step: Step) -> Step:
    """Return `step` ``(batch, k, ...)`` with each direction turned so that the varied number that changes most grows.

    Changes are compared in typical distances. Costs a pushforward a direction where numbers vary, else nothing.
    """
    sizes = [value[0].numel() for value in sight.point.values[problem.fixed :]]
    numbers = [n for size in sizes for n in [size <= FEW] * size]
    if not any(numbers):
        return step
    change = sight.push(step.direction)[0][..., numbers]
    largest = change.gather(-1, change.abs().argmax(-1, keepdim=True))
    return replace(step, direction=torch.where(largest < 0, -step.direction, step.direction))
