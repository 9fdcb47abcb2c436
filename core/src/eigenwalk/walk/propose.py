"""Where the paths mean to go: look, solve, choose a direction and how far."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.errors import WalkError
from eigenwalk.maths.linearise import Memories, Meter, Point
from eigenwalk.maths.problem import Problem, Scaled
from eigenwalk.maths.rayleigh import Memory, Outward, Solution
from eigenwalk.maths.step import Edge, Step, follow, plan, rate, step_size, traded
from eigenwalk.path import Cost
from eigenwalk.walk.front import Front, look
from eigenwalk.walk.options import WalkOptions

HANDFUL = 8
"""Up to so many varied numbers in all, further and back have a meaning. A mask that moves changes what an image is
compared with, and a distance from the start may well fall where the picture goes on."""


@dataclass(frozen=True)
class Proposal:
    """Where some paths mean to go: from `latents` by ``step * direction + pull``. Rows as in `paths`.

    Attributes:
        paths: by index in the front.
        latents, direction, pull: ``(rows, latent)``.
        step: ``(rows,)``, in the latent's own length.
        varied: ``(rows,)``, the varied change that the step promises, as a share of typical distances.
        quotient: ``(rows,)``.
        memory: what the solver leaves.
        memories: what the features remember of `latents`, each ``(rows, ...)``.
        costs: what looking and solving took, by row.
        outward: whether what varies has a further and a back, and must not go back.
        radius: ``(rows,)``, how far from the mean latent they may go; infinite where anywhere.
    """

    paths: tuple[int, ...]
    latents: Tensor
    direction: Tensor
    pull: Tensor
    step: Tensor
    varied: Tensor
    quotient: Tensor
    memory: Memory
    memories: Memories
    costs: tuple[Cost, ...]
    outward: bool
    radius: Tensor

    def rows(self, index: list[int]) -> Proposal:
        """The proposal of some of its rows."""
        tensors = ("latents", "direction", "pull", "step", "varied", "quotient", "radius")
        return Proposal(
            paths=tuple(self.paths[i] for i in index),
            memory=self.memory.rows(torch.tensor(index, dtype=torch.long, device=self.latents.device)),
            memories=tuple(tensor[index] for tensor in self.memories),
            costs=tuple(self.costs[i] for i in index),
            outward=self.outward,
            **{name: getattr(self, name)[index] for name in tensors},
        )


def propose(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Proposal:
    """Where the paths `rows` mean to go.

    Raises:
        WalkError: with the places in `rows` that cannot go on.
    """
    if front.index == 0:
        return _first(problem, front, rows, options)
    assert front.memory is not None and front.origin is not None  # set by the first waypoint
    point = _point(problem, front, rows)
    scaled = Scaled(problem, point)
    latents = point.latents.detach()
    memory, previous = front.memory.rows(torch.tensor(rows, device=latents.device)), front.directions[rows]
    radius = _radius(problem, front, rows, options)
    edge = None if problem.region is None or options.region is None else Edge(problem.region.away(latents), radius)
    gaps = scaled.gaps([start[rows] for start in front.origin], None if edge is None else edge.away)
    solution = options.solver.solve(scaled, 1, memory, previous, gaps)
    longest = options.longest * problem.latent_scale
    if solution.aim is None:
        step = _plain(solution, *follow(solution, previous), options.stride, longest)
    else:
        step = plan(solution, options.stride, longest, edge, options.correct)
    return Proposal(
        paths=tuple(rows),
        latents=latents,
        direction=step.direction,
        pull=step.pull,
        step=step.size,
        varied=step.varied,
        quotient=step.quotient,
        memory=solution.memory,
        memories=point.memories,
        costs=(point.meter.cost,) * len(rows),
        outward=_outward(problem, point, options),
        radius=radius,
    )


def _plain(solution: Solution, direction: Tensor, quotient: Tensor, stride: float, longest: float) -> Step:
    """The step along a direction, with nothing pulled back."""
    varied_rate = rate(solution, direction)
    size = step_size(varied_rate, stride, longest)
    return Step(direction, torch.zeros_like(direction), size, varied_rate * size, quotient)


def _radius(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Tensor:
    """How far from the mean latent `rows` may go: to the typical region's edge, or as far out as they began."""
    if problem.region is None or options.region is None:
        return front.latents.new_full((len(rows),), float("inf"))
    starts = torch.stack([torch.from_numpy(front.paths[i].waypoints[0].latent) for i in rows]).to(front.latents)
    return problem.region.away(starts).norm(dim=1).clamp_min(options.region * problem.region.radius)


def _first(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Proposal:
    """The leading directions at the starts: solved once a seed, whose paths take one each, in one sense."""
    seeds = [front.paths[i].seed for i in rows]
    firsts = [n for n, seed in enumerate(seeds) if seed not in seeds[:n]]
    place = {seeds[n]: j for j, n in enumerate(firsts)}
    index = torch.tensor([place[seed] for seed in seeds], device=front.latents.device)
    try:
        point = look(problem, front, [rows[n] for n in firsts], front.latents[[rows[n] for n in firsts]])
        scaled = Scaled(problem, point)
        solution = options.solver.solve(scaled, (options.paths + 1) // 2)
        if isinstance(options.solver, Outward):
            solution = traded(solution, scaled.blocks)
    except WalkError as error:
        if error.rows is not None:  # those of seeds, here; of paths, to whoever asked
            error.rows = tuple(n for n, seed in enumerate(seeds) if place[seed] in error.rows)
        raise
    solution = _rows(solution, index)
    ranks = torch.tensor([front.paths[i].rank - 1 for i in rows], device=index.device)
    senses = solution.vectors.new_tensor([front.paths[i].sense for i in rows])
    every = torch.arange(len(rows), device=index.device)
    direction = senses[:, None] * solution.vectors[every, ranks]
    quotient = solution.quotients[every, ranks]
    step = _plain(solution, direction, quotient, options.stride, options.longest * problem.latent_scale)
    return Proposal(
        paths=tuple(rows),
        latents=front.latents[rows],
        direction=direction,
        pull=step.pull,
        step=step.size,
        varied=step.varied,
        quotient=quotient,
        memory=solution.memory,
        memories=tuple(tensor[index] for tensor in point.memories),
        costs=tuple(point.meter.cost if n in firsts else Cost() for n in range(len(rows))),
        outward=_outward(problem, point, options),
        radius=_radius(problem, front, rows, options),
    )


def _outward(problem: Problem, point: Point, options: WalkOptions) -> bool:
    """Whether a handful of numbers vary, and the solver takes them outward: then a step must not lead back."""
    return (
        isinstance(options.solver, Outward)
        and sum(values[0].numel() for values in point.values[problem.fixed :]) <= HANDFUL
    )


def _point(problem: Problem, front: Front, rows: list[int]) -> Point:
    """The point where `rows` stand: the one they arrived at where it is still there, else a new look."""
    if front.arrived is not None and front.arrived[0] == rows:
        return replace(front.arrived[1], meter=Meter())
    return look(problem, front, rows, front.latents[rows])


def _rows(solution: Solution, index: Tensor) -> Solution:
    tensors = {name: value[index] for name, value in vars(solution).items() if isinstance(value, Tensor)}
    return replace(solution, **tensors, memory=solution.memory.rows(index))
