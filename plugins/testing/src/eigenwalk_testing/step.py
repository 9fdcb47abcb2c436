"""Checks of methods that own their step: what they give at a start, on from there, and what they carry."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eigenwalk.direction import Directions, Gaps, Sight, State, Step
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.direction import LENGTH, SAME
from eigenwalk_testing.sight import DirectionSubject


def start(s: DirectionSubject) -> str:
    """Steps at the starts have an axis for k, sizes up to the longest, and a state of one row for each start."""
    _owns_its_step(s)
    step, state = s.method.start(s.sight(s.inputs), s.leading, s.limits(s.inputs))
    sizes = _check_step(s, step, (len(s.inputs), s.leading))
    return f"{_check_state(state, len(s.inputs))}; {sizes}"


def step(s: DirectionSubject) -> str:
    """On from the first steps it gives unit directions, sizes up to the longest and pulls, all finite."""
    _owns_its_step(s)
    sight, state, gaps, there = _second(s, s.inputs)
    step, after = s.method.step(sight, state, gaps, s.limits(there))
    sizes = _check_step(s, step, (len(there),))
    return f"{_check_state(after, len(there))}; {sizes}"


def state(s: DirectionSubject) -> str:
    """A step depends only on what the method is given: asked again, or for one row alone, it gives the same."""
    _owns_its_step(s)
    sight, state, gaps, there = _second(s, s.inputs)
    before = {name: tensor.clone() for name, tensor in state.items()}
    first = s.method.step(sight, state, gaps, s.limits(there))[0]
    if any(not torch.equal(before[name], tensor) for name, tensor in state.items()):
        fail("it changed the state that it was given", "return a new one, which may hold the same tensors")
    s.method.start(s.sight(s.inputs.flip(0)), s.leading, s.limits(s.inputs))
    one = slice(0, 1)
    alone = (
        s.sight(there[one]),
        {name: tensor[one] for name, tensor in before.items()},
        Gaps(gaps.varied[one], gaps.fixed[one], gaps.direction[one]),
    )
    for what, given, rows in (("asked again", (sight, before, gaps), slice(None)), ("alone", alone, one)):
        again = s.method.step(*given, s.limits(there[rows]))[0]
        gap = float(((_move(again) - _move(first)[rows]).norm(dim=-1) / first.size[rows].clamp_min(1e-30)).max())
        if not gap <= SAME:
            fail(
                f"{what} the step differs by {gap:.2g} of its size, and {SAME:g} is allowed",
                "keep what goes on from waypoint to waypoint in the state, and nothing on the method itself",
            )
    return f"{len(before)} tensors: {', '.join(before) or 'none'}"


def _second(s: DirectionSubject, latents: Tensor) -> tuple[Sight, State, Gaps, Tensor]:
    """What a method sees, and is given, after its leading step from each of `latents`; and the latents there."""
    here = s.sight(latents)
    steps, state = s.method.start(here, s.leading, s.limits(latents))
    direction, size = steps.direction[:, 0], steps.size[:, 0]
    there = latents + (size[:, None] * direction).to(latents)
    sight = s.sight(there)
    return sight, state, sight.gaps(here.point.values, direction), there


def _move(step: Step) -> Tensor:
    """Where the step leads, ``(batch, latent)``."""
    move = step.size[:, None] * step.direction
    return move if step.pull is None else move + step.pull


def _check_step(s: DirectionSubject, step: Any, axes: tuple[int, ...]) -> str:
    if not isinstance(step, Step):
        fail(f"it gives a {type(step).__name__}", "return an eigenwalk.direction.Step, and the state beside it")
    wide, longest = (*axes, s.generator.latent_dim), s.limits(s.inputs).longest
    wanted = {"direction": wide, "size": axes, "varied": axes, "quotient": axes, "pull": wide}
    for name, shape in wanted.items():
        tensor = getattr(step, name)
        if tensor is None and name == "pull":
            continue
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape:
            got = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            fail(f"{name} is {got}", f"let it be {shape}: batch, then k at the start, then the latent")
        if not bool(tensor.isfinite().all()):
            fail(f"{name} is NaN or infinite", "divide by a length only where it is not zero: x / n.clamp_min(1e-12)")
    off = float((step.direction.norm(dim=-1) - 1).abs().max())
    if off > LENGTH:
        fail(f"a direction's length differs from 1 by {off:.2g}", "normalise it; how far to go is its `size`")
    low, high = float(step.size.min()), float(step.size.max())
    if low < 0 or high > (1 + LENGTH) * longest:
        asked = f"and 0 to {longest:.3g} is allowed"
        fail(f"sizes go from {low:.3g} to {high:.3g}, {asked}", "limits.size(rate) keeps to it")
    return f"sizes from {low:.3g} to {high:.3g}"


def _check_state(state: Any, rows: int) -> str:
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or tensor.shape[:1] != (rows,):
            got = tuple(tensor.shape) if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
            fail(f"state[{name!r}] is {got}", f"let it be a tensor of {rows} rows, one for each latent")
    return f"a state of {len(state)} tensors"


def _owns_its_step(s: DirectionSubject) -> None:
    if isinstance(s.method, Directions):
        raise Inapplicable("it says only which way: how far to go is worked out for it")
