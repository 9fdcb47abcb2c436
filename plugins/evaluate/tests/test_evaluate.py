"""Evaluation on problems with known answers: lines, limits, levels between waypoints, intervals, judges."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import ContractError, FileError, InputError, RecipeError, UnknownName, WalkError
from eigenwalk.maths.problem import Problem
from eigenwalk.names.registry import Registry
from eigenwalk.path import PUSHFORWARD_PASSES, Role
from eigenwalk.runs.recipe import Recipe
from eigenwalk.walk import WalkOptions, walk
from eigenwalk_evaluate.estimate import estimate
from eigenwalk_evaluate.grid import Grid, override
from eigenwalk_evaluate.judge import Judgement, judge, spread
from eigenwalk_evaluate.limit import SLACK, Limit, limit
from eigenwalk_evaluate.lines import REACH, lines
from eigenwalk_evaluate.method import SOLVERS
from eigenwalk_evaluate.paths import Paths, crossing, drift_at, value_at
from eigenwalk_evaluate.plan import SOURCES, _files, plan
from eigenwalk_evaluate.ratios import ratios
from eigenwalk_evaluate.summary import summarise
from eigenwalk_evaluate.tables import ratio_table
from eigenwalk_evaluate.work import best_path
from problems import Defined, Embedding, assemble, circle, normal

LIKE = torch.empty(0, dtype=torch.float64)
F, C = normal(6, 6, seed=1), normal(3, 6, seed=2)


@dataclass
class Axis(Directions):
    """Coordinate axes."""

    length: float = 1.0

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Tensor:
        """Rows of the identity."""
        return self.length * torch.eye(sight.dim)[:k].to(sight.like).expand(sight.batch, -1, -1)


def straight(**also) -> Problem:
    """F z fixed and C z varied of a linear generator: every drift at every varied change is a formula."""
    G = Embedding(6)
    fixed = {"f": (G.feature(lambda z: z @ F.T.to(z)), 0.35)}
    return assemble(G, fixed, {"c": G.feature(lambda z: z @ C.T.to(z))}, **also)


def slope(v: Tensor) -> float:
    """Drift over varied change along v."""
    return float((F @ v).norm() / math.sqrt(6) / ((C @ v).norm() / math.sqrt(3)))


def follow_axes(problem: Problem, seeds: tuple[int, ...] = (0, 1), **options) -> Paths:
    """The lines along the axes."""
    given = {"paths": 4, "steps": 60, "until": 0.55, "method": Axis(), "batch": 2} | options
    return Paths.of(lines(problem, seeds, WalkOptions(**given), "cpu"), 1.0, (0.3, 0.5))


def walk_arrays(varied: list[list[float]], drift: list[list[float]], seeds: list[int], levels=(0.3, 0.5)) -> Paths:
    """A walk with these figures; its waypoints lie at (their index, seed)."""
    long = max(map(len, varied))

    def wide(rows: list[list[float]]) -> np.ndarray:
        return np.array([row + [np.nan] * (long - len(row)) for row in rows])

    changes = np.stack([wide(drift), wide(varied)], -1)
    steps = wide([[float(i) for i in range(len(row))] for row in varied])
    return Paths(
        (Role("f", "fixed", "u", 1.0, 0.35), Role("c", "varied", "u", 1.0)),
        np.array(seeds),
        np.ones(len(seeds), np.int64),
        np.ones(len(seeds), np.int64),
        changes,
        np.where(np.isnan(steps), np.nan, 2.0),
        np.stack([steps, steps * 0 + np.array(seeds)[:, None]], -1),
        (("length", ""),) * len(seeds),
        1.0,
        levels,
    )


def test_a_line_costs_only_forward_passes_and_drifts_by_the_formula() -> None:
    walked = follow_axes(straight())
    assert walked.changes.shape[0] == 8 and {reason for reason, _ in walked.endings} == {"length"}
    expected = [0.5 * slope(torch.eye(6).double()[rank - 1]) for rank in walked.ranks]
    assert drift_at(walked, 0.5) == pytest.approx(expected, rel=1e-9)
    assert np.nanmax(walked.varied, 1).min() >= 0.55
    # A forward a look; the first path of a seed has what the method took: the look, and for each direction a
    # pushforward and another that says which sense is more.
    assert np.all(walked.passes[:, 1:][np.isfinite(walked.passes[:, 1:])] == 1)
    assert walked.passes[0, 0] == pytest.approx(1 + 1 + 2 * 2 * PUSHFORWARD_PASSES) and np.all(
        walked.passes[1:4, 0] == 0
    )
    moved = walked.latents - walked.latents[:, :1]
    for path, rank, sense in zip(moved, walked.ranks, walked.senses, strict=True):
        assert np.nanmax(np.abs(np.delete(path, rank - 1, 1))) == 0
        assert np.nanmin(sense * path[1:, rank - 1]) > 0


def test_a_line_that_never_reaches_the_level_ends_beyond_all_samples() -> None:
    G = Embedding(2)
    fixed = {"f": (G.feature(lambda z: z[:, :1]), 0.35)}
    problem = assemble(G, fixed, {"c": G.feature(lambda z: torch.stack([z[:, 0], 0.4 * z[:, 1].tanh()], 1))})
    walked = follow_axes(problem, (0,))
    reasons = dict(zip(walked.ranks.tolist(), walked.endings, strict=True))
    assert reasons[1][0] == "length" and reasons[2][0] == "region"
    assert np.isnan(drift_at(walked, 0.5)[walked.ranks == 2]).all()
    furthest = np.nanmax(np.abs(walked.latents[:, :, 1] - walked.latents[:, :1, 1]))
    assert furthest == pytest.approx(REACH * problem.latent_scale)


def test_a_line_ends_where_a_feature_has_no_value() -> None:
    G = Embedding(3)
    problem = assemble(G, {"f": (Defined(G, 3.0), 0.35)}, {"c": G.feature(lambda z: 0.05 * z[:, :1])})
    walked = follow_axes(problem, (0,), paths=2)
    assert {reason for reason, _ in walked.endings} == {"undefined", "length"}


def test_a_method_without_unit_vectors_is_blamed() -> None:
    with pytest.raises(ContractError, match="unit vectors"):
        follow_axes(straight(), method=Axis(2.0))


def test_a_walk_stays_on_the_circle_and_a_line_leaves_it_by_the_formula() -> None:
    """From a point of the unit circle the tangent leaves it: |z|² - 1 = tan² θ for an angle θ."""
    problem = circle()
    *_, front = walk(problem, (0, 1), WalkOptions(steps=12, paths=2, until=0.5))
    around = Paths.of(front.paths, 1.0, (0.4,))

    class Tangent(Directions):
        def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Tensor:
            return torch.stack([-sight.like[:, 1], sight.like[:, 0]], 1)[:, None]

    options = WalkOptions(steps=60, paths=2, until=0.45, stride=0.01, method=Tangent())
    off = Paths.of(lines(problem, (0, 1), options, "cpu"), 1.0, (0.4,))
    theta = 2 * math.asin(0.4 / math.sqrt(2))  # a chord of length √2 · 0.4
    assert drift_at(off, 0.4) == pytest.approx([math.tan(theta) ** 2] * 4, rel=0.01)
    assert np.nanmax(drift_at(around, 0.4)) < 0.05 < drift_at(off, 0.4).min()


def test_the_limit_of_a_linear_problem_is_its_smallest_eigenvalue() -> None:
    top = torch.linalg.eigvals(torch.linalg.solve(F.T @ F / 6, C.T @ C / 3)).real.max().item()
    problem = straight(latent_scale=3.0)
    found = limit(problem, (0, 1, 2), (0.3, 0.5), [follow_axes(problem, (0, 1, 2))], 4, LIKE)
    for level, drift, varied in zip(found.levels, found.drift, found.varied, strict=True):
        assert np.all(varied >= level - SLACK)
        assert np.all(drift >= (level - SLACK) / math.sqrt(top))
        assert drift == pytest.approx(level / math.sqrt(top), rel=0.03)
    assert found.passes > 100 and found.drift.shape == (2, 3)


def test_the_limit_needs_no_walk_and_is_zero_on_a_circle() -> None:
    found = limit(circle(d=4, latent_scale=2.0), (0, 1), (0.4,), [], 8, LIKE)
    assert np.all(found.drift < 0.01) and np.all(found.varied >= 0.4 - SLACK)


def test_levels_are_interpolated_where_they_are_first_reached() -> None:
    walked = walk_arrays(
        [[0, 0.2, 0.4, 0.6], [0, 0.4, 0.1, 0.6], [0, 0.2, 0.29]],
        [[0, 0.1, 0.2, 0.4], [0, 0.4, 0.1, 0.9], [0, 0.1, 0.2]],
        [0, 0, 1],
    )
    assert drift_at(walked, 0.3) == pytest.approx([0.15, 0.3, np.nan], nan_ok=True)
    assert drift_at(walked, 0.5) == pytest.approx([0.3, 0.1 + 0.8 * 0.8, np.nan], nan_ok=True)
    assert drift_at(walked, 0.0) == pytest.approx([0.0, 0.0, 0.0])
    assert walked.latent_at(0, 0.3) == pytest.approx([1.5, 0.0])
    assert walked.latent_at(2, 0.3) is None
    assert best_path(walked, 0, 0.5) == 0 and best_path(walked, 1, 0.5) == 2
    assert walked.outside.sum() == 3  # .4, .4 and .9, of a tolerance of .35


def test_levels_at_waypoints_and_paths_of_one_waypoint_are_handled() -> None:
    assert crossing(np.array([0.0, 0.5, np.nan]), 0.5) == 1.0
    assert crossing(np.array([0.0]), 0.1) is None
    assert value_at(np.array([[0.0, 0.25]]), np.array([[0.0, 0.5]]), 0.5) == pytest.approx([0.25])


def test_intervals_resample_starts_and_are_deterministic() -> None:
    values = normal(12, seed=3).numpy()
    one = estimate(values)
    assert one == estimate(values) and one.seeds == 12
    assert one.low < one.mean < one.high
    half = 1.96 * values.std() / math.sqrt(12)
    assert one.high - one.low == pytest.approx(2 * half, rel=0.15)
    assert estimate(np.append(values, np.nan)) == one
    assert math.isnan(estimate(np.array([np.nan])).mean) and math.isnan(estimate(np.array([1.0])).low)


def test_walks_judgements_and_limits_are_saved_completely(tmp_path: FilePath) -> None:
    walked = follow_axes(straight(), (0,))
    walked = walked.with_pictures(straight().linearisation.generator, [1], LIKE)
    walked.save(tmp_path / "a")
    again = Paths.load(tmp_path / "a")
    for name, value in vars(walked).items():
        assert np.array_equal(getattr(again, name), value, equal_nan=name in ("changes", "passes", "latents")), name
    assert again.pictures is not None and again.pictures.shape[:2] == (1, 6)
    Judgement(("a",), np.ones((2, 1, 1))).save(tmp_path / "b")
    assert Judgement.load(tmp_path / "b").names == ("a",)
    Limit((0.5,), (0,), np.ones((1, 1)), np.ones((1, 1)), 3.0, 1.0).save(tmp_path / "c")
    assert Limit.load(tmp_path / "c").passes == 3.0
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:100])
    for kind, file in ((Paths, "a"), (Judgement, "c"), (Limit, "none")):
        with pytest.raises(FileError, match="remove it"):
            kind.load(tmp_path / file)


def test_a_judge_measures_where_the_level_is_reached_and_scores_have_a_sign() -> None:
    problem = straight()
    walked = follow_axes(problem, (0, 1))
    G = problem.linearisation.generator
    assert isinstance(G, Embedding)
    judges = assemble(G, {}, {"first": G.feature(lambda z: z[:, 0]), "all": G.feature(lambda z: z)}, typical=2.0)
    plain = replace(judges, linearisation=replace(judges.linearisation, differences=1.0))
    found = judge(plain, walked, 3, "distances", LIKE)
    assert found.values.shape == (8, 2, 2)
    for i, rank in enumerate(walked.ranks):
        length = 0.5 / float((C[:, rank - 1]).norm() / math.sqrt(3))
        assert found.values[i, 1] == pytest.approx([length * (rank == 1) / 2, length / math.sqrt(6) / 2], abs=1e-6)
    numbers = assemble(G, {}, {"first": G.feature(lambda z: 3 * z[:, 0]), "second": G.feature(lambda z: z[:, 1:2])})
    plain = replace(numbers, linearisation=replace(numbers.linearisation, differences=1.0))
    deviations = spread(plain, 50, LIKE)
    assert deviations == pytest.approx([3.0, 1.0], rel=0.2)
    scores = judge(plain, walked, 3, "scores", LIKE).values[:, 1]
    moved = np.stack([walked.latent_at(i, 0.5) - walked.latents[i, 0] for i in range(8)])[:, :2]
    assert scores == pytest.approx(moved * [3, 1] / deviations, abs=1e-5)
    assert scores.min() < 0 < scores.max()
    wide = assemble(G, {}, {"all": G.feature(lambda z: z)}, differences=1.0)
    with pytest.raises(WalkError, match="6 numbers"):
        spread(wide, 50, LIKE)


def test_a_judge_without_a_value_skips_only_that_path() -> None:
    walked = follow_axes(straight(), (0, 1))
    G = straight().linearisation.generator
    assert isinstance(G, Embedding)
    highest = max(float(z[0]) for i in range(8) if (z := walked.latent_at(i, 0.5)) is not None)
    judges = assemble(G, {}, {"defined": Defined(G, highest - 1e-3)}, differences=1.0)
    values = judge(judges, walked, 8, "distances", LIKE).values[:, 1, 0]
    assert np.isnan(values).sum() == 1


ONE = {"generator": "rooms", "pairs": [{"fix": ["rooms.part(sofa)"], "vary": ["fourier.low"]}]}


def test_a_grid_is_read_back_unchanged() -> None:
    grid = Grid.of(generators=[ONE], methods=["rayleigh", {"method": "random", "directions": 3}], seeds="0-2, 7")
    assert grid.seeds == (0, 1, 2, 7) and grid.methods[0].method == "rayleigh"
    assert Grid.parse(grid.text()) == grid
    other = override(grid, {"seeds": "4", "methods": ["published"], "limit": False})
    assert other.seeds == (4,) and [one.method for one in other.methods] == ["published"] and not other.limit
    inner = Grid.of(generators=[ONE | {"seeds": [9]}])
    assert override(inner, {"seeds": [4]}).generators[0].seeds is None


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"generators": [{"generator": "rooms"}]}, "should have a pair"),
        ({"generators": [{"generator": "rooms", "pairs": [{"fix": ["pixels"]}]}]}, "vary is missing"),
        ({"generators": [ONE | {"judge": ["pixels"]}]}, "did you mean judges"),
        ({"generators": [ONE], "sedes": "0"}, "did you mean seeds"),
        ({"generators": [ONE], "levels": [0.5, 0.3]}, "rise"),
        ({"generators": [ONE], "seeds": "0-"}, "a range such as 0-3"),
        ({"generators": [ONE], "methods": []}, "methods"),
        ({"generators": [{"generator": "rooms", "attributes": {"features": ["a", "b"], "scores": ["c"]}}]}, "a score"),
        ({"generators": "rooms"}, "must be a list"),
    ],
)
def test_wrong_grids_are_refused(entries: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Grid.of(**entries)


def test_wrong_seeds_and_files_are_refused(tmp_path: FilePath) -> None:
    with pytest.raises(RecipeError, match="0-3"):
        Grid.parse('seeds = "3-1"', "g.toml")
    with pytest.raises(RecipeError, match="cannot read"):
        Grid.read(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="not TOML"):
        Grid.parse("generators = ", "grid.toml")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"methods": ["rayleig"]}, UnknownName, "rayleigh"),
        ({"methods": ["pixels | random"]}, InputError, "a plugin's directions"),
        ({"methods": ["random(sed=1)"]}, InputError, "seed"),
        ({"methods": ["random", "random"]}, InputError, "give one of them a label"),
        ({"generators": [ONE | {"judges": ["fourier.lo"]}]}, UnknownName, "fourier.low"),
        ({"generators": [ONE | {"generator": "romms"}]}, UnknownName, "rooms"),
        ({"generators": [{"generator": "rooms", "pairs": ONE["pairs"] * 2}]}, InputError, "a name of its own"),
    ],
)
def test_the_plan_refuses_wrong_names(change: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        plan(Grid.of(**({"generators": [ONE], "methods": ["rayleigh"]} | change)), Registry.discover())


def test_a_plan_orders_its_cells_and_keys_them_by_all_that_matters() -> None:
    registry = Registry.discover()
    entries = {"generators": [ONE | {"judges": ["fourier.high"]}], "methods": ["rayleigh", "random"], "seeds": "0"}
    first = plan(Grid.of(**entries), registry)
    assert [cell.kind for cell in first.cells] == ["walk", "judge", "lines", "judge", "limit"]
    assert first.provenance["installed"].keys() >= {"eigenwalk", "torch", "eigenwalk-miniatures", "eigenwalk-fourier"}
    keys = [cell.key for cell in first.cells]
    assert len(set(keys)) == 5
    assert [cell.key for cell in plan(Grid.of(**entries), registry).cells] == keys

    def changed(**other) -> list[bool]:
        return [cell.key not in keys for cell in plan(Grid.of(**(entries | other)), registry).cells]

    assert changed(methods=["rayleigh", "published", "random"]) == [False, False, True, True, False, False, True]
    judges = {"generators": [ONE | {"judges": ["fourier.low(cycles=4)"]}]}
    assert changed(**judges) == [False, True, False, True, False]
    assert changed(directions=3) == [False, False, True, True, False]
    assert all(changed(seeds="1")) and all(changed(stride=0.05))
    assert [cell.label for cell in first.select(["*/rayleigh"])] == [
        "rooms/rooms.part(sofa) held, fourier.low varied/rayleigh"
    ] * 2
    with pytest.raises(InputError, match="matches none"):
        first.select(["nobody"])


def test_the_files_that_a_key_depends_on_exist() -> None:
    for kind in SOURCES.values():
        for package, parts in kind.items():
            folder = FilePath(importlib.import_module(package).__file__ or "").parent
            for part in parts:
                assert _files(folder, part), part
                assert all(file.is_file() for file in _files(folder, part)), part


def test_numbers_of_rows_are_means_over_starts() -> None:
    """Two starts with three and one paths count alike; the best of several is chosen for each."""
    registry = Registry.discover()
    grid = Grid.of(generators=[ONE], methods=["rayleigh", "random"], seeds="0-1")
    planned = plan(grid, registry)
    ours, others = (cell for cell in planned.cells if cell.kind in ("walk", "lines"))
    sought = planned.cells[-1]
    line = [0.0, 0.25, 0.5]

    def at(end: float) -> list[float]:
        return [0.0, end / 2, end]

    first = walk_arrays([line] * 4, [at(0.1), at(0.2), at(0.3), at(0.6)], [0, 0, 0, 1])
    second = walk_arrays([line, line, line, [0.0, 0.2]], [at(0.4), at(0.3), at(0.5), [0.0, 0.5]], [0, 0, 1, 1])
    least = Limit((0.3, 0.5), (0, 1), np.array([[0.05, 0.1], [0.2, 0.1]]), np.full((2, 2), 0.5), 10.0, 1.0)
    summary = summarise(planned, {ours.key: first, others.key: second, sought.key: least}, {})
    rayleigh, mean, least_of = summary.rows
    assert rayleigh.drift[-1].mean == pytest.approx((0.2 + 0.6) / 2)
    assert rayleigh.area.mean == pytest.approx((0.1 + 0.3) / 2)
    assert (rayleigh.outside, rayleigh.waypoints, rayleigh.passes) == (1, 12, 6.0)
    assert mean.drift[-1].mean == pytest.approx((0.35 + 0.5) / 2) and mean.arrived[-1].mean == pytest.approx(0.75)
    assert mean.against.mean == pytest.approx((0.15 - 0.1) / 2)
    assert least_of.method == "random (best of 1)" and least_of.drift[-1].mean == pytest.approx((0.3 + 0.5) / 2)
    assert least_of.count == 2 and least_of.passes == pytest.approx(22 / 2)
    # A walk that had less than what was sought is the limit there.
    assert summary.limits[0].drift[-1].mean == pytest.approx((0.1 + 0.1) / 2) and summary.limits[0].beaten == 1
    assert summary.missing == 0


def test_ratios_use_starts_where_both_reach_the_level() -> None:
    planned = plan(
        Grid.of(generators=[ONE], methods=["rayleigh", "published", "random"], seeds="0-2"), Registry.discover()
    )
    ours, published, straight = (cell for cell in planned.cells if cell.kind in ("walk", "lines"))
    line = [0.0, 0.5]
    first = walk_arrays([line, line, [0.0, 0.2]], [[0.0, 0.1], [0.0, 0.3], [0.0, 0.1]], [0, 1, 2])
    second = walk_arrays([line, [0.0, 0.1], line], [[0.0, 0.2], [0.0, 0.1], [0.0, 0.9]], [0, 1, 2])
    third = walk_arrays([line, line, line, line], [[0.0, 0.5], [0.0, 0.4], [0.0, 0.4], [0.0, 0.4]], [0, 0, 1, 2])
    least = Limit((0.3, 0.5), (0,), np.array([[0.02], [0.05]]), np.full((2, 1), 0.5), 10.0, 1.0)
    results = {ours.key: first, published.key: second, straight.key: third, planned.cells[-1].key: least}
    (found,) = ratios(summarise(planned, results, {}))
    assert (found.published, found.limit) == (pytest.approx(0.5), pytest.approx(2.0))
    assert found.linear == pytest.approx(0.2 / 0.4) and found.best == "random (best of 1)"
    table = ratio_table(summarise(planned, results, {}))
    assert table[1][-1] == ["all", "worst", "0.50", "0.50", "2.00"]


def test_eigenwalk_is_evaluated_by_the_walk_that_users_get() -> None:
    assert SOLVERS["rayleigh"] == Recipe.of(generator="rooms", vary=["pixels"]).solver.name
