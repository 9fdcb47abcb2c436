"""Walk straight lines along the directions that a method finds at the start, by forward passes alone.

The next waypoint is where the varied change should have grown by `STRIDE` strides, at the rate since the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eigenwalk.direction import Limits
from eigenwalk.maths.problem import Problem, Scaled
from eigenwalk.path import Cost, Path, Status, Waypoint
from eigenwalk.walk import Front, WalkOptions
from eigenwalk.walk.rows import attempt_rows, groups, status
from eigenwalk.walk.sense import towards_more
from eigenwalk.walk.start import begin, origin, picture

REACH = 2.0
"""A line ends at this many times the typical distance between two latents, where images stop resembling samples."""
STRIDE = 1.4
"""Strides between two waypoints: a straight line needs fewer of them than a curved walk."""


@dataclass
class _Line:
    """The next waypoint of a path: at `along` times its direction, after `last` with varied change `moved`."""

    along: float
    rate: float
    last: float = 0.0
    moved: float = 0.0


def lines(
    problem: Problem,
    seeds: tuple[int, ...],
    options: WalkOptions,
    device: torch.device | str,
    progress: Callable[[list[Path]], object] = lambda paths: None,
) -> list[Path]:
    """Walk the leading ``options.paths / 2`` directions of ``options.method`` from each seed, in both senses.

    Every path ends at `options.until`, at twice the typical distance between latents, or after `options.steps` looks.

    Raises:
        WalkError: no path can start.
        CompositionError, ContractError, PluginError: as the method and the features say.
    """
    front = begin(problem, seeds, options.paths, options.batch, device)
    front = replace(front, origin=origin(problem, front, options.batch))
    options = replace(options, paths=len(front.paths) // len(seeds))  # what varies may have fewer directions
    paths = list(front.paths)
    directions, rates = torch.zeros_like(front.latents), torch.zeros(len(paths))
    for group in groups([i for i in front.walking if paths[i].rank == 1 and paths[i].sense > 0], options.batch):
        done, failures = attempt_rows(group, lambda rows: list(_find_directions(problem, front, rows, options)))
        for row, error in failures.items():
            side_by_side = slice(row, row + options.paths)
            paths[side_by_side] = [one.end(status(error)) for one in paths[side_by_side]]
        for row, vectors, speeds, cost in done or ():
            directions[row : row + options.paths], rates[row : row + options.paths] = vectors, speeds
            start = paths[row].waypoints[0]
            paths[row] = replace(paths[row], waypoints=(replace(start, cost=start.cost + cost),))
    longest = options.longest * problem.latent_scale
    ahead = [_Line(min(longest, options.stride / max(float(r), 1e-30)), float(r)) for r in rates]
    plain = replace(problem, linearisation=replace(problem.linearisation, differences=1.0))
    for _ in range(options.steps):
        walking = [i for i, path in enumerate(paths) if path.status.reason == "walking"]
        for group in groups(walking, options.batch):
            _advance(plain, front, group, directions, ahead, paths, options)
        progress(paths)
    over = Status("length", f"looked at {options.steps} places")
    return [path.end(over) if path.status.reason == "walking" else path for path in paths]


def _find_directions(
    problem: Problem, front: Front, rows: list[int], options: WalkOptions
) -> Iterator[tuple[int, Tensor, Tensor, Cost]]:
    """Yield each row with directions ``(paths, latent)``, rates ``(paths,)`` and their cost."""
    point = problem.linearisation.at(front.latents[rows])
    anywhere = Limits(options.stride, float("inf"), None, front.latents.new_full((len(rows),), float("inf")))
    sight = Scaled(problem, point)
    steps, _ = options.method.start(sight, (options.paths + 1) // 2, anywhere)
    steps = towards_more(problem, sight, steps)
    both = steps.map(lambda tensor: tensor.repeat_interleave(2, 1)[:, : options.paths])
    senses = torch.tensor([1.0, -1.0]).repeat(options.paths)[: options.paths].to(both.direction)
    rates = (both.varied / both.size).cpu()
    for n, row in enumerate(rows):
        yield row, senses[:, None] * both.direction[n], rates[n], point.meter.cost


def _advance(
    problem: Problem,
    front: Front,
    group: list[int],
    directions: Tensor,
    ahead: list[_Line],
    paths: list[Path],
    options: WalkOptions,
) -> None:
    """Append the next waypoint to each path of `group`, and put the one after it into `ahead`."""

    def measure(rows: list[int]) -> list[tuple[int, Tensor, Tensor, Any]]:
        along = front.latents.new_tensor([ahead[i].along for i in rows])
        z = front.latents[rows] + along[:, None] * directions[rows]
        point = problem.linearisation.at(z)
        changes = problem.changes(point, [start[rows] for start in front.origin or ()])
        return list(zip(rows, z, changes, picture(point.images), strict=True))

    done, failures = attempt_rows(group, measure)
    for row, error in failures.items():
        paths[row] = paths[row].end(status(error))
    for row, z, changes, image in done or ():
        names = [role.name for role in problem.roles]
        waypoint = Waypoint(
            index=len(paths[row]),
            latent=z.cpu().numpy(),
            image=image,
            changes=dict(zip(names, changes.tolist(), strict=True)),
            direction=directions[row].cpu().numpy(),
            step_size=ahead[row].along - ahead[row].last,
            quotient=float("nan"),
            cost=Cost(forwards=1),
        )
        paths[row] = _end_if_done(paths[row].append(waypoint), ahead[row], problem, options)
        ahead[row] = _next_place(ahead[row], paths[row].moved, problem, options)


def _end_if_done(path: Path, line: _Line, problem: Problem, options: WalkOptions) -> Path:
    if options.until is not None and path.moved >= options.until:
        return path.end(Status("length", f"what varies has moved {100 * path.moved:.0f} % of typical"))
    if line.along >= REACH * problem.latent_scale * (1 - 1e-6):
        return path.end(Status("region", f"{REACH:g} times as far as two random latents lie apart"))
    return path


def _next_place(line: _Line, moved: float, problem: Problem, options: WalkOptions) -> _Line:
    """Return the next waypoint's place: at most twice the last step further."""
    step = line.along - line.last
    speed = (moved - line.moved) / step
    wanted = STRIDE * options.stride / speed if speed > 0 else float("inf")
    step = min(max(wanted, step / 4), 2 * step, options.longest * problem.latent_scale)
    return _Line(min(line.along + step, REACH * problem.latent_scale), speed, line.along, moved)
