"""Where the paths mean to go: look, solve, choose a direction and how far."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.errors import WalkError
from eigenwalk.linearise import Memories, Meter, Point
from eigenwalk.path import Cost
from eigenwalk.quotient import Problem, Scaled
from eigenwalk.rayleigh import Memory, Solution
from eigenwalk.step import HANDFUL, correction, follow, onward, rate, step_size
from eigenwalk.walk.front import Front, look
from eigenwalk.walk.options import WalkOptions


@dataclass(frozen=True)
class Proposal:
    """Where some paths mean to go: from `latents` by ``step * direction + pull``. Rows as in `paths`.

    Attributes:
        paths: by index in the front.
        latents, direction, pull: ``(rows, latent)``.
        step: ``(rows,)``, in the latent's own length.
        varied: ``(rows,)``, the varied change that the step promises, as a share of typical distances; 0 where any
            step would undo what has varied.
        quotient: ``(rows,)``.
        memory: what the solver leaves.
        memories: what the features remember of `latents`, each ``(rows, ...)``.
        costs: what looking and solving took, by row.
        outward: whether what varies has a further and a back, and must not go back.
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

    def rows(self, index: list[int]) -> Proposal:
        """The proposal of some of its rows."""
        tensors = ("latents", "direction", "pull", "step", "varied", "quotient")
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
    memory = front.memory.rows(torch.tensor(rows, device=front.latents.device))
    varied_gap, fixed_gap = scaled.gaps([start[rows] for start in front.origin])
    pull_back = None
    if options.correct and problem.fixed:
        pull_back = scaled.pull(None, fixed_gap)
    solution = options.solver.solve(scaled, 1, memory, front.directions[rows], pull_back)
    direction, quotient = follow(solution, front.directions[rows])
    back = torch.zeros(len(rows), dtype=torch.bool, device=direction.device)
    outward = _outward(problem, point, options)
    if outward:
        direction, back = onward(solution, direction, front.directions[rows], varied_gap)
    varied_rate = rate(solution, direction)
    step = step_size(varied_rate, options.stride, options.longest * problem.latent_scale)
    pull = torch.zeros_like(direction)
    if pull_back is not None:
        pull = correction(solution, fixed_gap, varied_gap, step)
    return Proposal(
        paths=tuple(rows),
        latents=point.latents.detach(),
        direction=direction,
        pull=pull,
        step=step,
        varied=torch.where(back, 0.0, varied_rate * step),
        quotient=quotient,
        memory=solution.memory,
        memories=point.memories,
        costs=(point.meter.cost,) * len(rows),
        outward=outward,
    )


def _first(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Proposal:
    """The leading directions at the starts: solved once a seed, whose paths take one each, in one sense."""
    seeds = [front.paths[i].seed for i in rows]
    firsts = [n for n, seed in enumerate(seeds) if seed not in seeds[:n]]
    place = {seeds[n]: j for j, n in enumerate(firsts)}
    index = torch.tensor([place[seed] for seed in seeds], device=front.latents.device)
    try:
        point = look(problem, front, [rows[n] for n in firsts], front.latents[[rows[n] for n in firsts]])
        solution = options.solver.solve(Scaled(problem, point), (options.paths + 1) // 2)
    except WalkError as error:
        if error.rows is not None:  # those of seeds, here; of paths, to whoever asked
            error.rows = tuple(n for n, seed in enumerate(seeds) if place[seed] in error.rows)
        raise
    solution = _rows(solution, index)
    ranks = torch.tensor([front.paths[i].rank - 1 for i in rows], device=index.device)
    senses = solution.vectors.new_tensor([front.paths[i].sense for i in rows])
    every = torch.arange(len(rows), device=index.device)
    direction = senses[:, None] * solution.vectors[every, ranks]
    varied_rate = rate(solution, direction)
    step = step_size(varied_rate, options.stride, options.longest * problem.latent_scale)
    return Proposal(
        paths=tuple(rows),
        latents=front.latents[rows],
        direction=direction,
        pull=torch.zeros_like(direction),
        step=step,
        varied=varied_rate * step,
        quotient=solution.quotients[every, ranks],
        memory=solution.memory,
        memories=tuple(tensor[index] for tensor in point.memories),
        costs=tuple(point.meter.cost if n in firsts else Cost() for n in range(len(rows))),
        outward=_outward(problem, point, options),
    )


def _outward(problem: Problem, point: Point, options: WalkOptions) -> bool:
    """Whether a handful of numbers vary; not for the published rule, which has its own continuation."""
    return options.correct and sum(values[0].numel() for values in point.values[problem.fixed :]) <= HANDFUL


def _point(problem: Problem, front: Front, rows: list[int]) -> Point:
    """The point where `rows` stand: the one they arrived at where it is still there, else a new look."""
    if front.arrived is not None and front.arrived[0] == rows:
        return replace(front.arrived[1], meter=Meter())
    return look(problem, front, rows, front.latents[rows])


def _rows(solution: Solution, index: Tensor) -> Solution:
    tensors = {name: value[index] for name, value in vars(solution).items() if isinstance(value, Tensor)}
    return replace(solution, **tensors, memory=solution.memory.rows(index))
