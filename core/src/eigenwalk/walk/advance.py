"""One more waypoint on every path."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from eigenwalk.maths.linearise import Point
from eigenwalk.maths.problem import Problem
from eigenwalk.maths.rayleigh import Memory
from eigenwalk.path import Path, Status
from eigenwalk.walk.arrive import Arrival, arrive
from eigenwalk.walk.front import Front
from eigenwalk.walk.options import WalkOptions
from eigenwalk.walk.propose import Proposal, propose
from eigenwalk.walk.rows import groups, status, surviving
from eigenwalk.walk.start import origin

FAINT = 0.02
"""Where the longest step allowed varies less than this share of the stride, nothing is left to vary."""


def advance(problem: Problem, front: Front, options: WalkOptions) -> Front:
    """The front one waypoint further. A path that cannot go on ends with a reason, and costs the others nothing.

    Raises:
        PluginError: the generator's or a feature's own code fails.
    """
    if front.origin is None:
        front = replace(front, origin=origin(problem, front, options.batch))
    walking, proposals, arrivals, points = front.walking, [], [], []
    for group in _groups(front, options):
        done, failures = surviving(group, lambda rows: propose(problem, front, rows, options))
        arrivals += [Arrival(row, None, status(error)) for row, error in failures.items()]
        if done is not None:
            going, ended = _faint(done, options)
            arrivals += ended
            proposals += [going.rows(part) for part in groups(range(len(going.paths)), options.batch)]
    for proposal in proposals:
        found, point = arrive(problem, front, proposal, options.bounded)
        arrivals += found
        # One batch alone stays in memory for the next waypoint: more would hold every batch's activations.
        points = [(list(proposal.paths), point)] if point is not None and len(proposals) == 1 else []
    return _gather(front, proposals, arrivals, points[0] if points and points[0][0] == walking else None, options)


def _groups(front: Front, options: WalkOptions) -> list[list[int]]:
    """The walking paths in batches; at the starts a seed's paths are one row together."""
    if front.index:
        return groups(front.walking, options.batch)
    seeds = list(dict.fromkeys(front.paths[i].seed for i in front.walking))
    return [[i for i in front.walking if front.paths[i].seed in set(part)] for part in groups(seeds, options.batch)]


def _faint(proposal: Proposal, options: WalkOptions) -> tuple[Proposal, list[Arrival]]:
    """The rows that have something left to vary, and the end of the others."""
    varies = (proposal.varied > FAINT * options.stride).tolist()
    detail = "no step within the longest allowed takes what should vary any further while the rest holds"
    ended = [
        Arrival(i, None, Status("nothing to vary", detail))
        for i, ok in zip(proposal.paths, varies, strict=True)
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
    """The next front, from what every walking path found."""
    paths, latents, directions = list(front.paths), front.latents.clone(), front.directions.clone()
    memory, memories = front.memory, front.memories
    for proposal in proposals:
        rows = list(proposal.paths)
        directions[rows] = proposal.direction
        memory = _remember(memory, proposal, len(paths))
        memories = memories or tuple(m.new_zeros(len(paths), *m.shape[1:]) for m in proposal.memories)
        memories = tuple(
            old.index_put((torch.tensor(rows),), m) for old, m in zip(memories, proposal.memories, strict=True)
        )
    for arrival in arrivals:
        paths[arrival.path] = path = _continued(paths[arrival.path], arrival, options)
        latents[arrival.path] = torch.from_numpy(path.waypoints[-1].latent).to(latents)
    return Front(front.index + 1, tuple(paths), latents, directions, memory, front.origin, memories, arrived)


def _continued(path: Path, arrival: Arrival, options: WalkOptions) -> Path:
    if arrival.waypoint is None:
        return path.end(arrival.status)
    path = path.append(arrival.waypoint)
    if options.until is not None and path.moved >= options.until:
        return path.end(Status("length", f"what varies has moved {path.moved:.0%} of typical"))
    if arrival.waypoint.index < options.steps:
        return path
    return path.end(Status("length", f"walked the {options.steps} waypoints asked for"))


def _remember(memory: Memory | None, proposal: Proposal, n: int) -> Memory:
    """The memory of all `n` paths with the proposal's rows replaced; a shorter one is filled with zeros."""
    rows = list(proposal.paths)

    def put(old: Tensor | None, new: Tensor) -> Tensor:
        wide = max(new.shape[1], 0 if old is None else old.shape[1])
        merged = new.new_zeros(n, wide, *new.shape[2:])
        if old is not None:
            merged[:, : old.shape[1]] = old
        merged[rows] = 0
        merged[rows, : new.shape[1]] = new
        return merged

    fields = vars(proposal.memory)
    return Memory(**{name: put(memory and getattr(memory, name), new) for name, new in fields.items()})
