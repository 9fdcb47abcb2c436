"""Paths that no walk made: images of plain colours that say which waypoint they are, and known figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eigenwalk.path import Cost, Path, Role, Status, Waypoint

FIXED = Role("mask(box=(0, 0, 1, 0.5))", "fixed", "RMS pixel", typical=0.2, tolerance=0.05)
VARIED = Role("~mask(box=(0, 0, 1, 0.5))", "varied", "RMS pixel", typical=0.25)
FULL = Status("length")
CUT = Status("tolerance", "the next step would have moved the box by 27 %, and its tolerance is 25 %", FIXED.name)


def colour(seed: int, rank: int, sense: int, index: int) -> tuple[int, int, int]:
    """The colour of a waypoint's image: no two waypoints of one test share it."""
    return (40 + 15 * index, 30 + 40 * rank + 15 * (sense > 0), 250 - 60 * seed)


def waypoint(path: Path, index: int, size: tuple[int, int] = (16, 16)) -> Waypoint:
    """Waypoint `index` of `path`: varied 10 % of typical a step, fixed 2 %."""
    image = np.full((*size, 3), colour(path.seed, path.rank, path.sense, index), np.uint8)
    latent = np.full(4, path.sense * index * 0.1 + path.rank + path.seed / 7, np.float32)
    changes = {role.name: role.typical * index * (0.02 if role.part == "fixed" else 0.1) for role in path.roles}
    direction = np.eye(4, dtype=np.float32)[path.rank % 4] * bool(index)
    found = (0.3, 12.5 / index) if index else (0.0, float("nan"))
    return Waypoint(index, latent, image, changes, direction, *found, cost=Cost(2, 6, 4) if index else Cost(1))


def path(
    seed: int = 0,
    rank: int = 1,
    sense: int = 1,
    steps: int = 4,
    status: Status = FULL,
    size: tuple[int, int] = (16, 16),
    roles: Sequence[Role] = (FIXED, VARIED),
) -> Path:
    """One path of so many steps."""
    made = Path("rooms", seed, rank, sense, tuple(roles))
    for index in range(steps + 1):
        made = made.append(waypoint(made, index, size))
    return made.end(status)


def paths(seeds: int = 1, directions: int = 2, steps: int = 4, **also) -> tuple[Path, ...]:
    """Both senses of so many directions from every seed."""
    return tuple(
        path(seed, rank, sense, steps, **also)
        for seed in range(seeds)
        for rank in range(1, directions + 1)
        for sense in (1, -1)
    )


def until(whole: Sequence[Path], index: int) -> tuple[Path, ...]:
    """The same paths as they stood after waypoint `index`: those that go further are still walking."""
    return tuple(
        Path(p.generator, p.seed, p.rank, p.sense, p.roles, p.waypoints[: index + 1]) if len(p) > index + 1 else p
        for p in whole
    )
