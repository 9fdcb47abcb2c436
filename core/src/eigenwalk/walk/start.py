"""The front at the starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eigenwalk.errors import InputError, NumericalError, WalkError
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.problem import Problem
from eigenwalk.path import Cost, Path, Waypoint
from eigenwalk.walk.front import Front
from eigenwalk.walk.rows import attempt_rows, groups, status
from eigenwalk.walk.sense import count_directions


@dataclass(frozen=True)
class Start:
    """Where paths begin.

    Attributes:
        latent: ``(latent,)``.
        number: the seed that it was sampled from, or its place among the starts that were given.
        given: where a start that was given comes from: ``me.pt:3``; "" for a seed's.
    """

    latent: Tensor
    number: int
    given: str = ""


def sample_start(generator: Generator, seed: int) -> Start:
    """Return the start that `generator` samples from `seed`."""
    return Start(generator.sample(1, seed)[0], seed)


def begin(
    problem: Problem,
    starts: Sequence[Start | int],
    paths: int,
    batch: int | None = None,
    device: torch.device | str = "cpu",
) -> Front:
    """Return the front at the starts, of which an integer is a seed: `paths` paths from each, with waypoint 0 on each.

    Fewer where what varies has fewer directions, each of which has two senses: one number has two paths.

    Raises:
        InputError: more paths are asked for than there are directions.
        WalkError: no path can start: a feature has no value at any start, or the generator gives NaN.
    """
    generator = problem.linearisation.generator
    starts = [sample_start(generator, one) if isinstance(one, int) else one for one in starts]
    latents = torch.stack([one.latent.to(device, problem.linearisation.dtype) for one in starts])
    if paths > 2 * latents.shape[1]:
        raise InputError(f"paths must be at most twice the {latents.shape[1]} coordinates of the latent, got {paths}")
    values, images, failures = _look(problem, latents, batch)
    if len(failures) == len(starts):
        raise next(iter(failures.values()))
    paths = min(paths, 2 * count_directions(problem, values, latents.shape[1]))
    each = [j for j in range(len(starts)) for _ in range(paths)]
    still = {role.name: 0.0 for role in problem.roles}
    started = []
    for i, j in enumerate(each):
        z = latents[j].cpu().numpy()
        # The first of a start's paths carries the cost that they share, so that costs add up.
        cost = Cost(forwards=int(i % paths == 0))
        start = Waypoint(0, z, images[j], still, 0 * z, 0.0, float("nan"), cost)
        sense = -1 if i % paths % 2 else 1
        rank = i % paths // 2 + 1
        path = Path(problem.name, starts[j].number, rank, sense, problem.roles, (start,), given=starts[j].given)
        started.append(path.end(status(failures[j])) if j in failures else path)
    origin = tuple(v[each] for v in values)
    return Front(0, tuple(started), latents[each], torch.zeros_like(latents[each]), origin=origin)


def origin(problem: Problem, front: Front, batch: int | None = None) -> tuple[Tensor, ...]:
    """Measure every feature at the starts, ``(paths, ...)``, for a front that was restored."""
    starts = torch.stack([torch.from_numpy(path.waypoints[0].latent) for path in front.paths]).to(front.latents)
    first: dict[str, int] = {}
    for i, path in enumerate(front.paths):
        first.setdefault(path.origin, i)
    values, _, _ = _look(problem, starts[list(first.values())], batch)
    place = {start: j for j, start in enumerate(first)}
    return tuple(v[[place[path.origin] for path in front.paths]] for v in values)


def _look(
    problem: Problem, latents: Tensor, batch: int | None
) -> tuple[list[Tensor], dict[int, NDArray[np.uint8]], dict[int, WalkError]]:
    """Return values ``(starts, ...)``, zeros where undefined; pictures by start; and failures by start."""
    found: list[tuple[list[int], tuple[Tensor, ...]]] = []
    pictures: dict[int, NDArray[np.uint8]] = {}
    failures: dict[int, WalkError] = {}
    for group in groups(range(len(latents)), batch):

        def look(rows: list[int]) -> tuple[list[int], tuple[Tensor, ...], list[NDArray[np.uint8]]]:
            point = problem.linearisation.at(latents[rows])
            return rows, point.values, picture(point.images)

        done, failed = attempt_rows(group, look)
        failures |= failed
        if done is not None:
            found.append(done[:2])
            pictures |= dict(zip(done[0], done[2], strict=True))
    bare = Linearisation(problem.linearisation.generator, (), differences=1.0)
    for row, error in failures.items():
        try:
            pictures[row] = picture(bare.at(latents[row : row + 1]).images)[0]
        except NumericalError:
            raise error from None
    if not found:
        return [], pictures, failures
    values = [v.new_zeros(len(latents), *v.shape[1:]) for v in found[0][1]]
    for rows, part in found:
        for whole, v in zip(values, part, strict=True):
            whole[rows] = v
    return values, pictures, failures


def picture(images: Tensor) -> list[NDArray[np.uint8]]:
    """Return a uint8 array ``(height, width, 3)`` for each of images ``(batch, 3, height, width)``, clipped."""
    pixels = (images.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return list(pixels.permute(0, 2, 3, 1).cpu().numpy())
