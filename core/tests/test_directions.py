"""Walks along a plugin's directions, in place of those of the eigenproblem."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

import eigenwalk
from eigenwalk.direction import Directions, Gaps, Limits, Method, Sight, State, Step
from eigenwalk.errors import ContractError, OptionError, RecipeError, UnknownName
from eigenwalk.names.methods import METHODS
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.objects.compose import build_method
from eigenwalk.runs.recipe import Recipe
from eigenwalk.spec import DirectionSpec, Option
from eigenwalk.walk import Front, WalkOptions, walk
from problems import assemble, curved, linear, walked


@dataclass
class Axis(Directions):
    """Coordinate axes from `first` on; counts how often it is asked."""

    first: int = 0
    length: float = 1.0
    curved: bool = False
    asked: int = 0

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Tensor:
        """Rows of the identity."""
        self.asked += 1
        V = torch.eye(sight.dim)[self.first : self.first + k].to(sight.like)
        return self.length * V.expand(sight.batch, -1, -1)


def problem():
    generator = curved()
    return assemble(
        generator,
        {"held": (generator.feature(lambda m: m[:, :4]), 1e-3)},
        {"varied": generator.feature(lambda m: m[:, 4:])},
    )


def test_a_straight_method_is_asked_once() -> None:
    axes = Axis(1)
    paths = walked(problem(), steps=4, paths=4, method=axes, bounded=False)
    assert axes.asked == 1
    for path in paths:
        assert path.status.reason == "length"
        moved = path.latents - path.latents[0]
        assert np.all(np.delete(moved, path.rank, axis=1) == 0)
        assert np.all(moved[-1, path.rank] * np.diff(moved[:, path.rank]) > 0)
        even = path.change(path.varied[0], relative=False)
        assert np.diff(even).max() < 1.5 * np.diff(even).min()
        assert path.waypoints[-1].cost.pushforwards == 1 and path.waypoints[-1].cost.pullbacks == 0


def test_a_curved_method_is_asked_at_every_waypoint() -> None:
    axes = Axis(curved=True)
    walked(problem(), steps=3, paths=1, method=axes, bounded=False)
    assert axes.asked == 3


def test_tolerances_end_a_path_unless_the_method_is_unbounded() -> None:
    (path,) = walked(problem(), steps=8, paths=1, method=Axis())
    assert path.status.reason == "tolerance" and path.change(path.fixed[0], relative=False).max() <= 1e-3
    (path,) = walked(problem(), steps=8, paths=1, method=Axis(), bounded=False)
    assert path.status.reason == "length" and path.change(path.fixed[0], relative=False).max() > 1e-3


@pytest.mark.parametrize(("axes", "said"), [(Axis(5), "must return directions"), (Axis(length=2.0), "unit vectors")])
def test_directions_that_break_the_contract_are_refused(axes: Axis, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        walked(problem(), steps=2, paths=4, method=axes)


def test_sight_gives_values_at_other_latents() -> None:
    found = problem()

    class Looks(Axis):
        def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Tensor:
            assert isinstance(sight, Sight)
            z = sight.generator.sample(5, 7).to(sight.like)
            c, f = sight.values(z)
            m = torch.cat([f, c], 1)
            assert torch.allclose(m, curved().read(curved()(z)), atol=1e-9)
            assert sight.images.shape[0] == sight.batch
            return super().find(sight, k, previous)

    walked(found, steps=1, paths=1, method=Looks())


def offering() -> Registry:
    spec = DirectionSpec("axis", f"{__name__}:Axis", "an axis", (Option("first", "int", 0),))
    found = Registry.discover()
    return Registry(found.features, found.generators, (Offer(spec, "made-up", "1", "made"),))


def test_directions_are_found_by_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path))
    registry = offering()
    recipe = Recipe.of(generator="rooms", vary=["pixels"], solver="axis(2)").canonical(registry)
    assert str(recipe.solver) == "axis(first=2)"
    options = {"vary": ["pixels"], "steps": 2, "paths": 1, "registry": registry}
    (path,) = eigenwalk.run("rooms", solver="axis(2)", **options)
    moved = path.latents[-1] - path.latents[0]
    assert set(np.flatnonzero(moved)) == {2}
    (same,) = eigenwalk.run("rooms", solver=Axis(2), **options)
    assert np.array_equal(same.latents, path.latents)
    assert (
        eigenwalk.start(
            Recipe.of(generator="rooms", vary=["pixels"], solver="axis"), registry=registry
        ).recipe.installed["made-up"]
        == "1"
    )


def test_wrong_direction_names_are_refused() -> None:
    registry = offering()
    for solver, error, said in (
        ("axi", UnknownName, "axis.*davidson, dense or nullspace"),
        ("axis(second=1)", OptionError, "second"),
        ("dense(share=2)", OptionError, "takes no options"),
    ):
        with pytest.raises(error, match=said):
            Recipe.of(generator="rooms", vary=["pixels"], solver=solver).canonical(registry)
    with pytest.raises(RecipeError, match="the name of a plugin's directions"):
        Recipe.of(generator="rooms", vary=["pixels"], solver="a | b")


class Carrying(Method):
    """A whole method that turns a little at every waypoint, by an angle that only its state knows."""

    def start(self, sight: Sight, k: int, limits: Limits) -> tuple[Step, State]:
        V = torch.eye(sight.dim)[:k].to(sight.like).expand(sight.batch, -1, -1)
        return self._step(sight, V, limits), {"angle": sight.like.new_full((sight.batch,), 0.1)}

    def step(self, sight: Sight, state: State, gaps: Gaps, limits: Limits) -> tuple[Step, State]:
        angle = state["angle"]
        turned = gaps.direction * angle.cos()[:, None] + gaps.direction.roll(1, 1) * angle.sin()[:, None]
        steps = self._step(sight, torch.nn.functional.normalize(turned, dim=1)[:, None], limits)
        return steps.map(lambda tensor: tensor[:, 0]), {"angle": 1.5 * angle}

    def _step(self, sight: Sight, V: Tensor, limits: Limits) -> Step:
        rates = sight.push(V)[0].norm(dim=-1)
        return Step.along(V, rates, rates.square(), limits)


def test_a_whole_method_walks_and_resumes_from_its_state() -> None:
    options = WalkOptions(steps=4, paths=3, method=Carrying(), bounded=False)
    fronts = list(walk(problem(), (0, 1), options))
    for path in fronts[-1].paths:
        cosines = [a.direction @ b.direction for a, b in zip(path.waypoints[1:], path.waypoints[2:], strict=False)]
        first = path.waypoints[1].direction
        assert np.count_nonzero(first) == 1
        assert np.all(np.diff(cosines) < 0)  # it turns more each time
        even = np.diff(path.change(path.varied[0], relative=False))
        assert even.max() < 2 * even.min()
    restored = Front.restore(fronts[2].paths, fronts[2].arrays())
    assert restored.state["angle"].tolist() == pytest.approx([0.15] * 6)
    *_, last = walk(problem(), (0, 1), options, resume=restored)
    for a, b in zip(fronts[-1].paths, last.paths, strict=True):
        assert np.array_equal(a.latents, b.latents)


def test_each_direction_has_its_own_first_step_length() -> None:
    """Step lengths of directions that are not orthogonal are independent."""

    class Near(Axis):
        def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Tensor:
            V = torch.eye(sight.dim)[:k].to(sight.like).expand(sight.batch, -1, -1).clone()
            V[:, 1] = 0.8 * V[:, 0] + 0.6 * V[:, 1]
            return V

    paths = walked(linear(tolerance=1e9).problem, steps=1, paths=4, method=Near())
    both = [math.hypot(*(path.change(role)[-1] for role in path.varied)) for path in paths]
    assert both == pytest.approx([0.08] * 4, rel=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_the_core_builds_its_methods_by_name(name: str) -> None:
    method, used = build_method(name, Registry.discover())
    assert isinstance(method, Method) and used == ()
    assert type(method).__name__.lower() == name


def test_the_solver_may_be_a_method_object_and_nothing_else() -> None:
    (path,) = eigenwalk.run("rooms", vary=["pixels"], solver=Carrying(), steps=1, paths=1)
    assert len(path) == 2
    with pytest.raises(ContractError, match=r"eigenwalk\.direction\.Method"):
        eigenwalk.run("rooms", vary=["pixels"], solver=print)
