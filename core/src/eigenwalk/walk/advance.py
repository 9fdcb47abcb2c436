"""One more waypoint on every path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from eigenwalk.maths.linearise import Point
from eigenwalk.maths.problem import Problem
from eigenwalk.path import Path, Status
from eigenwalk.walk.apart import reduce, with_likeness
from eigenwalk.walk.arrive import Arrival, arrive
from eigenwalk.walk.front import Front, newest, put
from eigenwalk.walk.options import WalkOptions
from eigenwalk.walk.propose import Proposal, propose
from eigenwalk.walk.rows import attempt_rows, groups, status
from eigenwalk.walk.start import origin

MIN_VARIED = 0.02
"""A path ends where the longest step allowed varies less than this share of the stride."""

CREEP, SLOW = 6, 0.125
"""A path ends where its last so many steps took what varies less than this share of a stride further, or one back."""


def advance(problem: Problem, front: Front, options: WalkOptions) -> Front:
    """Return the front one waypoint further. A path that cannot go on ends with a reason, and costs the others nothing.

    Raises:
        PluginError: the generator's or a feature's own code fails.
    """
    if front.origin is None:
        front = replace(front, origin=origin(problem, front, options.batch))
        if front.varied is not None:  # saved whole by earlier versions
            front = replace(front, varied=reduce(front.varied, front, problem.fixed))
    walking, proposals, arrivals, points = front.walking, [], [], []
    for group in _groups(front, options):
        done, failures = attempt_rows(group, lambda rows: propose(problem, front, rows, options))
        arrivals += [Arrival(row, None, status(error)) for row, error in failures.items()]
        if done is not None:
            going, ended = _split(done, options)
            arrivals += ended
            proposals += [going.rows(part) for part in groups(range(len(going.paths)), options.batch)]
    if front.arrived is not None:
        front.arrived[1].forget()  # before the next point is recorded: one at a time is in memory
    for proposal in proposals:
        found, point = arrive(problem, front, proposal, options.bounded)
        arrivals += found
        if point is None:
            continue
        # One batch alone stays in memory for the next waypoint: more would hold every batch's activations.
        if len(proposals) == 1:
            points = [(list(proposal.paths), point)]
        else:
            point.forget()
    return _gather(front, proposals, arrivals, points[0] if points and points[0][0] == walking else None, options)


def _groups(front: Front, options: WalkOptions) -> list[list[int]]:
    """Split the walking paths into batches; at the starts the paths of one are one row together."""
    if front.index:
        return groups(front.walking, options.batch)
    starts = list(dict.fromkeys(front.paths[i].origin for i in front.walking))
    return [[i for i in front.walking if front.paths[i].origin in set(part)] for part in groups(starts, options.batch)]


def _split(proposal: Proposal, options: WalkOptions) -> tuple[Proposal, list[Arrival]]:
    """Return the rows that have something left to vary, and the end of the others."""
    varies = (proposal.step.varied > MIN_VARIED * options.stride).tolist()
    detail = "no step within the longest allowed takes what should vary any further while the rest holds"
    ended = [
        Arrival(i, None, Status("nothing to vary", detail), cost=cost)
        for i, ok, cost in zip(proposal.paths, varies, proposal.costs, strict=True)
        if not ok
    ]
    return proposal.rows([n for n, ok in enumerate(varies) if ok]), ended


def _gather(
    front: Front,
    proposals: list[Proposal],
    arrivals: list[Arrival],
    arrived: tuple[list[int], Point] | None,
    options: WalkOptions,
) -> Front:
    """Return the next front, from the arrivals of all walking paths."""
    paths, latents, directions = list(front.paths), front.latents.clone(), front.directions.clone()
    state, tracked, varied = dict(front.state), front.tracked, front.varied
    for proposal in proposals:
        rows, n = list(proposal.paths), len(paths)
        directions[rows] = proposal.step.direction
        state = {name: put(state.get(name), rows, tensor, n) for name, tensor in proposal.state.items()}
        before = tracked or (None,) * len(proposal.tracked)
        tracked = tuple(put(old, rows, new, n) for old, new in zip(before, proposal.tracked, strict=True))
    moved = {arrival.path: arrival.varied for arrival in arrivals if arrival.varied is not None}
    if moved:
        varied = put(varied, list(moved), torch.stack(list(moved.values())), len(paths))
    for arrival in arrivals:
        paths[arrival.path] = path = _extended(paths[arrival.path], arrival, options)
        latents[arrival.path] = torch.from_numpy(path.waypoints[-1].latent).to(latents)
    paths = tuple(paths) if varied is None else with_likeness(paths, varied)
    index = newest(paths, front.index + 1)
    return Front(index, paths, latents, directions, state, varied, front.origin, tracked, arrived)


def _extended(path: Path, arrival: Arrival, options: WalkOptions) -> Path:
    if arrival.waypoint is None:
        return path.spend(arrival.cost).end(arrival.status)
    path = path.append(arrival.waypoint)
    if options.until is not None and path.moved >= options.until:
        return path.end(Status("length", f"what varies has moved {path.moved:.0%} of typical"))
    if arrival.waypoint.index < options.steps:
        return still_leading_on(path, options)
    if options.until is None:
        return path.end(Status("length", f"walked the {options.steps} waypoints asked for"))
    said = f"what varies has moved {path.moved:.0%} of typical, {options.until:.0%} were asked for"
    return path.end(Status("steps", said))


def still_leading_on(path: Path, options: WalkOptions) -> Path:
    """Return the path, ended if it creeps or wanders: at a tolerance or the region's edge it would pay for nothing."""
    moved = np.mean([path.change(role) for role in path.varied], 0)
    if not options.method.outward or not options.bounded or len(moved) <= CREEP:
        return path
    # Further than ever before, not than the waypoint before: where a mask jumps, that would go on for ever.
    further, net = float(moved.max() - moved[:-CREEP].max()), float(abs(moved[-1] - moved[-1 - CREEP]))
    if further >= SLOW * options.stride or net >= options.stride:
        return path
    said = f"the last {CREEP} steps took what varies {further:.1%} of typical further, of {CREEP * options.stride:.0%}"
    return path.end(Status("nothing to vary", said))
