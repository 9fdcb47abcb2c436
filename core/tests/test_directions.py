"""Directions that a method of the field chooses, walked along in place of an eigenproblem's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

import eigenwalk
from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import ContractError, OptionError, RecipeError, UnknownName
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.runs.recipe import Recipe
from eigenwalk.spec import DirectionSpec, Option
from problems import assemble, curved
from test_walk import walked


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


def test_a_direction_is_followed_straight_and_asked_once() -> None:
    axes = Axis(1)
    paths = walked(problem(), steps=4, paths=4, method=axes, bounded=False)
    assert axes.asked == 1
    for path in paths:
        assert path.status.reason == "length"
        moved = path.latents - path.latents[0]
        assert np.all(np.delete(moved, path.rank, axis=1) == 0)
        assert np.all(path.sense * np.diff(moved[:, path.rank]) > 0)
        even = path.change(path.varied[0], relative=False)
        assert np.diff(even).max() < 1.5 * np.diff(even).min()
        assert path.waypoints[-1].cost.pushforwards == 1 and path.waypoints[-1].cost.pullbacks == 0


def test_a_curved_method_is_asked_at_every_waypoint() -> None:
    axes = Axis(curved=True)
    walked(problem(), steps=3, paths=1, method=axes, bounded=False)
    assert axes.asked == 3


def test_tolerances_end_the_path_unless_it_is_unbounded() -> None:
    (path,) = walked(problem(), steps=8, paths=1, method=Axis())
    assert path.status.reason == "tolerance" and path.change(path.fixed[0], relative=False).max() <= 1e-3
    (path,) = walked(problem(), steps=8, paths=1, method=Axis(), bounded=False)
    assert path.status.reason == "length" and path.change(path.fixed[0], relative=False).max() > 1e-3


@pytest.mark.parametrize(("axes", "said"), [(Axis(5), "must return directions"), (Axis(length=2.0), "unit vectors")])
def test_what_breaks_the_contract_is_said(axes: Axis, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        walked(problem(), steps=2, paths=4, method=axes)


def test_sight_sees_values_elsewhere() -> None:
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


def test_by_name(tmp_path, monkeypatch) -> None:
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


def test_wrong_names() -> None:
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
