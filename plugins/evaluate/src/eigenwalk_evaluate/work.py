"""Compute a cell: build its objects by name, and batch them as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from eigenwalk.runs import api
from eigenwalk.runs.recipe import Recipe
from eigenwalk.walk import walk
from eigenwalk_evaluate.judge import Judgement, judge, spread
from eigenwalk_evaluate.limit import Limit, limit
from eigenwalk_evaluate.lines import lines
from eigenwalk_evaluate.paths import Paths, clock, drift_at
from eigenwalk_evaluate.plan import Cell, Pair
from eigenwalk_evaluate.reading import Reading, read
from eigenwalk_evaluate.runs import Runs

SAMPLE_ROWS = 16
"""Samples measured at once for their standard deviation; few enough for any memory that holds a walk."""
JUST = 1 + 1e-6
"""Factor on the last level, so that rounding ends no path before it."""
Result = Paths | Judgement | Reading | Limit
Advance = Callable[[float], object]
"""Takes the share of a cell that is done."""


def compute_cell(cell: Cell, after: Sequence[Result], runs: Runs, advance: Advance = lambda share: None) -> Result:
    """Return the result of a cell, given those of the cells that it comes after.

    Raises:
        EigenwalkError: as the api, the walk and the plugins raise it.
    """
    if cell.kind == "judge":
        assert isinstance(after[0], Paths)
        return _judge(cell.pair, after[0], runs)
    if cell.kind == "read":
        assert isinstance(after[0], Paths)
        return _read(cell.pair, after[0], runs)
    if cell.kind == "limit":
        walks = [one for one in after if isinstance(one, Paths)]
        return _limit(cell, walks, runs)
    return _walk(cell, runs, advance)


def _walk(cell: Cell, runs: Runs, advance: Advance) -> Paths:
    pair, method = cell.pair, cell.method
    assert method is not None
    run = runs.with_method(pair.recipe, method.solver, method.paths)
    generator = run.problem.linearisation.generator
    levels = _levels(pair, run)
    until = levels[-1] * JUST
    options = replace(run.options, until=until)
    if method.plain:
        options = replace(options, bounded=False, region=None, smooth=0.0)
    began, paths = clock(_like(run)), []
    if method.kind == "lines":
        paths = lines(run.problem, cell.seeds, options, run.recipe.device, lambda all_: advance(_share(all_, until)))
    else:
        for front in walk(run.problem, cell.seeds, options, run.recipe.device):
            paths = front.paths
            advance(_share(paths, until))
    walked = Paths.of(paths, clock(_like(run)) - began, levels)
    shown = [best_path(walked, seed, levels[-1]) for seed in cell.seeds[: pair.shown]]
    return walked.with_pictures(generator, shown, _like(run))


def _like(run: api.Run) -> torch.Tensor:
    return torch.empty(0, device=run.recipe.device, dtype=run.problem.linearisation.dtype)


def best_path(walked: Paths, seed: int, level: float) -> int:
    """Return the path of a seed with the least drift at `level`, or the one that gets furthest if none reaches it."""
    rows = np.flatnonzero(walked.seeds == seed)
    drift = drift_at(walked, level)[rows]
    if np.isfinite(drift).any():
        return int(rows[np.nanargmin(drift)])
    return int(rows[np.nanargmax(np.nanmax(walked.varied[rows], axis=1))])


def _share(paths: Sequence, until: float) -> float:
    """Return the share of all paths that is done; a path that has ended counts as 1."""
    return sum(1.0 if p.status.reason != "walking" else min(1.0, p.moved / until) for p in paths) / len(paths)


def _levels(pair: Pair, run: api.Run) -> tuple[float, ...]:
    """Return the levels of varied change of a pair; an attribute's one level is `move` standard deviations."""
    if pair.target is None:
        return pair.levels
    (varied,) = (role for role in run.problem.roles if role.part == "varied")
    deviation = deviations(str(pair.recipe.generator), (varied.name,), pair.recipe.device)[0]
    return (pair.move * deviation / varied.typical,)


@cache
def deviations(generator: str, features: tuple[str, ...], device: str) -> tuple[float, ...]:
    """Return the standard deviation of each scalar feature over samples of a generator."""
    recipe = Recipe.of(generator=generator, vary=features, device=device)
    run = api.start(recipe)
    return tuple(spread(_forward_only(run), SAMPLE_ROWS, _like(run)))


def _forward_only(run: api.Run):
    """Return the problem for forward passes alone: its features need no gradient."""
    return replace(run.problem, linearisation=replace(run.problem.linearisation, differences=1.0))


def _judge(pair: Pair, walked: Paths, runs: Runs) -> Judgement:
    """Return the judges' values where paths reach the last level."""
    run = _run_of(pair, pair.scores or pair.judges, runs)
    last = replace(walked, levels=walked.levels[-1:])
    what = "scores" if pair.scores else "distances"
    return judge(_forward_only(run), last, run.recipe.batch or 1, what, _like(run))


def _read(pair: Pair, walked: Paths, runs: Runs) -> Reading:
    """Return the varied scalar and its judge at every waypoint."""
    run = _run_of(pair, (walked.roles[-1].name, pair.reader), runs)
    return read(_forward_only(run), walked, run.recipe.batch or 1, _like(run))


def _run_of(pair: Pair, features: Sequence[str], runs: Runs) -> api.Run:
    """Return a run of the pair's generator that measures `features`."""
    where = {key: getattr(pair.recipe, key) for key in ("generator", "seeds", "device", "memory")}
    return runs.of(Recipe.of(vary=features, **where))


def _limit(cell: Cell, walks: Sequence[Paths], runs: Runs) -> Limit:
    run = runs.of(cell.pair.recipe)
    return limit(run.problem, cell.seeds, cell.pair.levels, walks, run.recipe.batch or 1, _like(run))
