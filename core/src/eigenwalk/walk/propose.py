"""Where the paths mean to go: look, and ask the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from eigenwalk.chart import Chart
from eigenwalk.direction import Limits, State, Step
from eigenwalk.errors import WalkError
from eigenwalk.maths.cloud import FEW, Cloud, averaged, cloud_cost, surround
from eigenwalk.maths.linearise import Meter, Point, Tracked
from eigenwalk.maths.problem import Problem, Scaled
from eigenwalk.path import Cost, Path
from eigenwalk.walk.apart import others
from eigenwalk.walk.front import Front, look
from eigenwalk.walk.options import WalkOptions
from eigenwalk.walk.sense import towards_more

AHEAD, LEAST = 1.25, 0.5
"""A step may move what varies this many times as far as promised; else the next asks for less, at least this share."""


@dataclass(frozen=True)
class Proposal:
    """Where some paths mean to go from `latents`. Rows as in `paths`.

    Attributes:
        paths: by index in the front.
        latents: ``(rows, latent)``.
        step: the method's.
        state: what the method carries on.
        tracked: what the features carry on from `latents`.
        costs: what looking and asking the method took, by row.
        radius: ``(rows,)``, how far from the mean latent they may go; infinite where anywhere.
        outward: whether a step that leads back towards the start is refused.
    """

    paths: tuple[int, ...]
    latents: Tensor
    step: Step
    state: State
    tracked: Tracked
    costs: tuple[Cost, ...]
    radius: Tensor
    outward: bool

    def rows(self, index: list[int]) -> Proposal:
        """The proposal of some of its rows."""
        return Proposal(
            paths=tuple(self.paths[i] for i in index),
            latents=self.latents[index],
            step=self.step.map(lambda tensor: tensor[index]),
            state={name: tensor[index] for name, tensor in self.state.items()},
            tracked=tuple(tensor[index] for tensor in self.tracked),
            costs=tuple(self.costs[i] for i in index),
            radius=self.radius[index],
            outward=self.outward,
        )


def propose(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Proposal:
    """Ask the method where the paths `rows` are to go.

    Raises:
        WalkError: with the places in `rows` that cannot go on.
    """
    if front.index == 0:
        return _first(problem, front, rows, options)
    assert front.origin is not None  # measured before the first waypoint
    point = _point(problem, front, rows)
    state = {name: tensor[rows] for name, tensor in front.state.items()}
    scaled, cloud, extra = _sight(problem, point, _starts(front, rows), state, options)
    around = cloud.state if cloud else {}
    rate = state.pop("rate", None)
    state = {name: tensor for name, tensor in state.items() if name not in around}
    gaps = scaled.gaps([start[rows] for start in front.origin], front.directions[rows])
    limits = _limits(problem, front, rows, options)
    varied = others(front, rows, gaps.varied, problem.fixed)
    gaps = replace(gaps, others=varied, direction=limits.seen(gaps.direction))
    if cloud:
        lag = scaled.lag(cloud.explained, gaps.varied, options.averaging.lag)
        limits = replace(limits, stride=options.stride * lag)
    elif rate is not None:
        limits = replace(limits, stride=options.stride * _pace([front.paths[i] for i in rows], rate))
    step, state = options.method.step(scaled, state, gaps, limits)
    step = step.in_latents(limits)
    state = {**state, **around, **_rate(step, options)}
    costs = tuple(point.meter.cost + more for more in extra)
    outward = _must_lead_on(problem, point, options)
    return Proposal(tuple(rows), scaled.like, step, state, point.tracked, costs, limits.radius, outward)


def passes_ahead(problem: Problem, front: Front, options: WalkOptions) -> float:
    """Return about how many generator passes the next waypoint of `front` takes; 0: not known."""
    walking = front.walking
    if front.index == 0:
        return _first_passes(problem, front, options)
    if front.index == 1:  # what the first took is no measure
        return 0.0
    # Of the last two, as one may have taken a new cloud.
    passes = sum(min(one.cost.passes for one in front.paths[i].waypoints[-2:]) for i in walking)
    cloud = Cloud.of({name: tensor[walking] for name, tensor in front.state.items()})
    if cloud is None:
        return passes
    again = cloud.left(front.latents[walking], options.smooth * problem.latent_scale)
    return passes + len(again) * cloud_cost(cloud.jacobian.shape[1], options.averaging).passes


def _first_passes(problem: Problem, front: Front, options: WalkOptions) -> float:
    search = options.method.most_passes(max(path.rank for path in front.paths))
    if not search or front.origin is None:
        return 0.0
    places = averaged(problem, problem.linearisation.features, front.origin) if options.smooth else []
    if len(places) == len(front.origin):
        search = 1.0  # the look: the method asks for nothing that the clouds have not
    cloud = cloud_cost(sum(front.origin[i][0].numel() for i in places), options.averaging)
    starts = {front.paths[i].origin for i in front.walking}
    return len(starts) * (search + cloud.passes) + len(front.walking)


def _first(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Proposal:
    """Ask for the leading steps, once a start; its paths take one each, in one sense."""
    starts = [front.paths[i].origin for i in rows]
    firsts = [n for n, start in enumerate(starts) if start not in starts[:n]]
    place = {starts[n]: j for j, n in enumerate(firsts)}
    at = [rows[n] for n in firsts]
    try:
        point = look(problem, front, at, front.latents[at])
        limits = _limits(problem, front, at, options)
        count = max(front.paths[i].rank for i in rows)
        scaled, cloud, extra = _sight(problem, point, point.latents, {}, options)
        steps, state = options.method.start(scaled, count, limits)
        steps = towards_more(problem, scaled, steps).in_latents(limits)
    except WalkError as error:
        if error.rows is not None:  # those of starts, here; of paths, to whoever asked
            error.rows = tuple(n for n, start in enumerate(starts) if place[start] in error.rows)
        raise
    state = {**state, **(cloud.state if cloud else {})}
    index = [place[start] for start in starts]
    state = {name: tensor[index] for name, tensor in state.items()}
    ranks = [front.paths[i].rank - 1 for i in rows]
    step = steps.map(lambda tensor: tensor[index, ranks])
    senses = step.direction.new_tensor([front.paths[i].sense for i in rows])
    return Proposal(
        paths=tuple(rows),
        latents=front.latents[rows],
        step=replace(step, direction=senses[:, None] * step.direction),
        state={**state, **_rate(step, options)},
        tracked=tuple(tensor[index] for tensor in point.tracked),
        costs=tuple(point.meter.cost + extra[index[n]] if n in firsts else Cost() for n in range(len(rows))),
        radius=limits.radius[index],
        outward=_must_lead_on(problem, point, options),
    )


def _sight(
    problem: Problem, point: Point, starts: Tensor, state: State, options: WalkOptions
) -> tuple[Scaled, Cloud | None, Sequence[Cost]]:
    """Return what the method sees at `point`, the clouds that it is averaged over, and what they cost by row."""
    before = Cloud.of(state)
    cloud, costs = surround(problem, point, options.smooth, starts, before, options.batch, options.averaging)
    parts = cloud.parts(problem, point) if cloud else None
    return Scaled(problem, point, parts, _chart(problem, options)), cloud, costs


def _chart(problem: Problem, options: WalkOptions) -> Chart | None:
    """Return the chart in which the method sees latents; None for one that looks for directions of the latent's own."""
    return problem.chart if options.method.outward else None


def _rate(step: Step, options: WalkOptions) -> State:
    """Return what `step` of an outward method promises a length, ``(rows,)``, for `_pace` at the next waypoint."""
    return {"rate": step.varied / step.size.clamp_min(1e-30)} if options.method.outward else {}


def _pace(paths: Sequence[Path], rate: Tensor) -> Tensor:
    """Return the share of the stride ``(paths,)`` to ask for: less where the last step moved far more than promised."""
    found = torch.ones_like(rate)
    for n, path in enumerate(paths):
        shares = [role.weight * path.change(role)[-2:] for role in path.varied]
        before, now = np.linalg.norm(shares, axis=0)
        promised = float(rate[n]) * path.waypoints[-1].step_size
        if now - before > AHEAD * promised:
            found[n] = max(LEAST, AHEAD * promised / float(now - before))
    return found


def _limits(problem: Problem, front: Front, rows: list[int], options: WalkOptions) -> Limits:
    """Return how far the next step of `rows` may go: to the typical region's edge, or as far out as they began."""
    longest, chart = options.longest * problem.latent_scale, _chart(problem, options)
    if problem.region is None or options.region is None:
        return Limits(options.stride, longest, None, front.latents.new_full((len(rows),), float("inf")), chart)
    radius = problem.region.away(_starts(front, rows)).norm(dim=1).clamp_min(options.region * problem.region.radius)
    return Limits(options.stride, longest, problem.region.away(front.latents[rows]), radius, chart)


def _starts(front: Front, rows: list[int]) -> Tensor:
    """Return the latents ``(rows, latent)`` where the paths began."""
    return torch.stack([torch.from_numpy(front.paths[i].waypoints[0].latent) for i in rows]).to(front.latents)


def _must_lead_on(problem: Problem, point: Point, options: WalkOptions) -> bool:
    """Whether a step must not lead back: few numbers vary, and the method takes them outward.

    With more, a distance from the start may fall where the picture goes on: a mask that moves changes what an image is
    compared with.
    """
    varied = sum(values[0].numel() for values in point.values[problem.fixed :])
    return options.method.outward and varied <= FEW


def _point(problem: Problem, front: Front, rows: list[int]) -> Point:
    """Return the point where `rows` stand: the one they arrived at if it is still in memory, else a new look."""
    if front.arrived is not None and front.arrived[0] == rows:
        return replace(front.arrived[1], meter=Meter())
    return look(problem, front, rows, front.latents[rows])
