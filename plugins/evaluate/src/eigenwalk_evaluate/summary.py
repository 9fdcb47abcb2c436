"""Summarise cells: drift, arrival and cost of every method by seed, with intervals."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eigenwalk_evaluate.estimate import Estimate, estimate
from eigenwalk_evaluate.judge import Judgement
from eigenwalk_evaluate.limit import Limit
from eigenwalk_evaluate.paths import Floats, Paths, drift_at, value_at
from eigenwalk_evaluate.plan import Cell, Pair, Plan
from eigenwalk_evaluate.reading import Reading, Verdict, verdict
from eigenwalk_evaluate.work import Result, best_path

GRID = 20
"""Points of a curve, from nothing varied to the last level."""


@dataclass(frozen=True)
class Curve:
    """Drift against varied change over some paths: quartiles ``(points,)`` of those that get so far."""

    varied: Floats
    low: Floats
    median: Floats
    high: Floats
    mean: Floats
    paths: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """The figures of one method on one pair.

    Attributes:
        method: its label; without a preferred direction there are two rows, ``(mean of n)`` and ``(best of n)``.
        count, seeds: numbers of paths and of starts.
        drift: at each level, the mean of paths that get there.
        area: under drift against varied change up to the last level, over that level: the mean drift on the way.
        arrived: share of paths that reach each level.
        against: drift at the last level less that of the pair's first method, on the seeds where both get there.
        judges: each judge's distance at the last level.
        passes, seconds: per path; for the best of several, those of all.
        outside, waypoints: waypoints with a fixed feature beyond its tolerance, and all.
        solver, straight: the method's solver, and whether its paths are straight lines.
        by_seed: drift at the last level by seed, NaN where no path gets there.
    """

    pair: Pair
    method: str
    count: int
    seeds: int
    drift: tuple[Estimate, ...]
    area: Estimate
    arrived: tuple[Estimate, ...]
    against: Estimate
    judges: dict[str, tuple[Estimate, ...]]
    passes: float
    passes_per_waypoint: float
    seconds: float
    outside: int
    waypoints: int
    curve: Curve
    endings: dict[str, int]
    solver: str
    straight: bool
    by_seed: dict[int, float]


@dataclass(frozen=True)
class LimitRow:
    """The least drift found at each level, over the seeds; `beaten` counts the seeds at which a walk had less.

    `by_seed` is that at the last level.
    """

    pair: Pair
    drift: tuple[Estimate, ...]
    passes: float
    seconds: float
    beaten: int
    by_seed: dict[int, float]


@dataclass(frozen=True)
class Edit:
    """Changes of all attributes when one method edits one of them, in standard deviations.

    Attributes:
        change: mean signed change of every attribute; that of the edited one is positive.
        mean, largest: move of the other attributes: their mean and their largest.
        arrived: share of paths that move the edited one that far.
    """

    pair: Pair
    method: str
    change: tuple[float, ...]
    mean: Estimate
    largest: Estimate
    arrived: Estimate


@dataclass(frozen=True)
class Read:
    """What a judge says of one method's paths along one scalar."""

    pair: Pair
    method: str
    verdict: Verdict


@dataclass(frozen=True)
class Summary:
    """All numbers of an evaluation, in the order of its plan, and what failed: cell and reason."""

    plan: Plan
    rows: tuple[Row, ...]
    limits: tuple[LimitRow, ...]
    edits: tuple[Edit, ...]
    pictures: dict[tuple[str, str], list[tuple[str, Paths]]] = field(repr=False)
    failures: tuple[tuple[str, str], ...] = ()
    missing: int = 0
    reads: tuple[Read, ...] = ()

    def of(self, pair: Pair) -> tuple[Row, ...]:
        """Return the rows of a pair."""
        return tuple(row for row in self.rows if row.pair == pair)

    def limit_of(self, pair: Pair) -> LimitRow | None:
        """Return the limit of a pair, or None if it was not sought."""
        return next((row for row in self.limits if row.pair == pair), None)


def summarise(plan: Plan, results: Mapping[str, Result], failures: Mapping[str, str]) -> Summary:
    """Summarise the cells that have a result; `results` and `failures` are by key."""
    rows: list[Row] = []
    limits: list[LimitRow] = []
    edits: list[Edit] = []
    reads: list[Read] = []
    pictures: dict[tuple[str, str], list[tuple[str, Paths]]] = {}
    for pair in plan.pairs:
        cells = [cell for cell in plan.cells if cell.pair == pair]
        judged = {cell.after[0].key: results.get(cell.key) for cell in cells if cell.kind in ("judge", "read")}
        walks = [(cell, found) for cell in cells if isinstance(found := results.get(cell.key), Paths)]
        first = _by_seed(walks[0][1], drift_at(walks[0][1], walks[0][1].levels[-1])) if walks else {}
        for cell, walked in walks:
            said = judged.get(cell.key)
            if isinstance(said, Reading):
                reads += [Read(pair, label, verdict(said, walked, chosen)) for label, chosen in _choices(cell, walked)]
            said = said if isinstance(said, Judgement) else None
            rows += [_row(cell, walked, said, label, chosen, first) for label, chosen in _choices(cell, walked)]
            if pair.attributes and said:
                edits += [_edit(cell, walked, said, label, chosen) for label, chosen in _choices(cell, walked)]
            pictures.setdefault((pair.generator, pair.name), []).append(
                (cell.method.label if cell.method else "", walked)
            )
        limits += [
            _limit_row(pair, found, [walked for _, walked in walks])
            for cell in cells
            if isinstance(found := results.get(cell.key), Limit)
        ]
    failed = tuple((cell.label, failures[cell.key]) for cell in plan.cells if cell.key in failures)
    missing = sum(cell.key not in results and cell.key not in failures for cell in plan.cells)
    return Summary(plan, tuple(rows), tuple(limits), tuple(edits), pictures, failed, missing, tuple(reads))


def _choices(cell: Cell, walked: Paths) -> list[tuple[str, NDArray[np.int64]]]:
    """Return labels, and the paths that count under each."""
    assert cell.method is not None
    every, label = np.arange(len(walked.seeds)), cell.method.label
    if not cell.method.several:
        return [(label, every)]
    n = int(walked.ranks.max())
    one = np.array([best_path(walked, int(seed), walked.levels[-1]) for seed in dict.fromkeys(walked.seeds)])
    return [(f"{label} (mean of {n})", every), (f"{label} (best of {n})", one)]


def _row(
    cell: Cell, walked: Paths, judged: Judgement | None, label: str, chosen: NDArray[np.int64], first: dict[int, float]
) -> Row:
    part = walked.rows(chosen)
    at = [drift_at(part, level) for level in walked.levels]
    curve = _curve(part, walked.levels[-1])
    mine = _by_seed(part, at[-1])
    difference = np.array([mine[seed] - first.get(seed, np.nan) for seed in mine])
    return Row(
        pair=cell.pair,
        method=label,
        count=len(chosen),
        seeds=len(mine),
        drift=tuple(_estimate(part, values) for values in at),
        area=_estimate(part, _areas(part, walked.levels[-1])),
        arrived=tuple(_estimate(part, np.isfinite(values).astype(float)) for values in at),
        against=estimate(difference),
        judges={} if judged is None else _judges(part, judged, chosen),
        passes=float(np.nansum(walked.passes)) / len(chosen),
        passes_per_waypoint=float(np.nansum(walked.passes[:, 1:]) / max(1, np.isfinite(walked.passes[:, 1:]).sum())),
        seconds=walked.seconds / len(chosen),
        outside=int(part.outside.sum()),
        waypoints=int(np.isfinite(part.varied).sum()),
        solver=cell.method.solver if cell.method else "",
        straight=cell.kind == "lines",
        by_seed=mine,
        curve=curve,
        endings=dict(Counter(walked.endings[i][0] for i in chosen)),
    )


def _judges(part: Paths, judged: Judgement, chosen: NDArray[np.int64]) -> dict[str, tuple[Estimate, ...]]:
    return {
        name: tuple(_estimate(part, judged.values[chosen, n, j]) for n in range(judged.values.shape[1]))
        for j, name in enumerate(judged.names)
    }


def _by_seed(walked: Paths, values: Floats) -> dict[int, float]:
    """Return the mean of each seed's paths that have a value, or NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN for a seed that no path reaches the level from
        return {int(seed): float(np.nanmean(values[walked.seeds == seed])) for seed in dict.fromkeys(walked.seeds)}


def _estimate(walked: Paths, values: Floats) -> Estimate:
    return estimate(np.array(list(_by_seed(walked, values).values())))


def _lines(walked: Paths, level: float) -> tuple[Floats, Floats]:
    """Return levels ``(points,)`` and every path's drift there, ``(paths, points)``."""
    grid = np.linspace(0, level, GRID + 1)
    return grid, np.stack([value_at(walked.drift, walked.varied, at) for at in grid], 1)


def _areas(walked: Paths, level: float) -> Floats:
    grid, lines = _lines(walked, level)
    return np.asarray(np.trapezoid(lines, grid, axis=1)) / level


def _curve(walked: Paths, level: float) -> Curve:
    grid, lines = _lines(walked, level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # levels that no path reaches
        low, median, high = np.nanquantile(lines, [0.25, 0.5, 0.75], axis=0)
        mean = np.nanmean(lines, 0)
    return Curve(grid, low, median, high, mean, np.isfinite(lines).sum(0))


def _limit_row(pair: Pair, found: Limit, walks: Sequence[Paths]) -> LimitRow:
    """Return the limit, lowered where a walk drifted less."""
    least, beaten = found.drift.copy(), set()
    for walked in walks:
        for n, level in enumerate(found.levels):
            drift = drift_at(walked, level)
            for j, seed in enumerate(found.seeds):
                mine = drift[(walked.seeds == seed) & np.isfinite(drift)]
                if len(mine) and not mine.min() >= least[n, j] - 1e-4:
                    beaten |= {seed} if np.isfinite(least[n, j]) else set()
                    least[n, j] = mine.min()
    by_seed = {seed: float(drift) for seed, drift in zip(found.seeds, least[-1], strict=True)}
    seconds = found.seconds / len(found.seeds)
    return LimitRow(pair, tuple(map(estimate, least)), found.passes, seconds, len(beaten), by_seed)


def _edit(cell: Cell, walked: Paths, judged: Judgement, label: str, chosen: NDArray[np.int64]) -> Edit:
    part, target = walked.rows(chosen), cell.pair.target
    assert target is not None
    values = judged.values[chosen, 0]
    signed = np.sign(values[:, target])[:, None] * values
    others = np.abs(np.delete(values, target, 1))
    change = tuple(_estimate(part, signed[:, j]).mean for j in range(signed.shape[1]))
    arrived = np.isfinite(values[:, target]).astype(float)
    return Edit(
        cell.pair,
        label,
        change,
        _estimate(part, others.mean(1)),
        _estimate(part, others.max(1)),
        _estimate(part, arrived),
    )
