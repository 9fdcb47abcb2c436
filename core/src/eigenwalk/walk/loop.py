"""The loop over waypoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from eigenwalk.maths.cloud import seen_in_views
from eigenwalk.maths.problem import Problem
from eigenwalk.walk.advance import advance
from eigenwalk.walk.front import Front
from eigenwalk.walk.options import WalkOptions
from eigenwalk.walk.start import Start, begin


def walk(
    problem: Problem,
    starts: Sequence[Start | int],
    options: WalkOptions,
    device: torch.device | str = "cpu",
    resume: Front | None = None,
) -> Iterator[Front]:
    """Yield all paths after every waypoint: first the starts, then one waypoint more each time, until all have ended.

    Args:
        problem: generator and features.
        starts: latents, or seeds of the generator's samples.
        options: how to walk.
        device: where the latents live.
        resume: a front of this walk to go on from; it is not yielded again.

    Raises:
        WalkError: no path can start.
        PluginError: the generator's or a feature's own code fails.
    """
    if options.smooth and options.averaging.views and problem.linearisation.differences is None:
        problem = seen_in_views(problem)
    front = resume
    if front is None:
        front = begin(problem, starts, options.paths, options.batch, device)
        yield front
    while front.walking:
        front = advance(problem, front, options)
        yield front
