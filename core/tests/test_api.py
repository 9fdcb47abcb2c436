"""From names and objects to a walk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch

import eigenwalk
from eigenwalk.errors import CompositionError, ContractError, InputError, UnknownName
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.names.registry import Registry
from eigenwalk.path import Path
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.watch import Watch
from problems import Counting, Defined, Embedding, curved

GENERATOR = """
import torch
from eigenwalk.generator import FunctionGenerator

M = torch.randn(3 * 8 * 8, 6, generator=torch.Generator().manual_seed(0)) / 8

def generate(z):
    with open({log!r}, "a") as log:
        log.write("x")
    return 0.5 + (z @ M.T.to(z)).sin().unflatten(1, (3, 8, 8)) / 2

def build(scale: float = 1.0):
    return FunctionGenerator(lambda z: generate(scale * z), latent_dim=6, resolution=(8, 8))
"""

FEATURE = """
def brightness(images):
    return {factor} * images.mean((1, 2, 3))
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


@pytest.fixture
def folder(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> FilePath:
    """A folder with a generator and a feature of the user's, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "my_generator.py").write_text(GENERATOR.format(log=str(tmp_path / "calls")))
    (tmp_path / "my_feature.py").write_text(FEATURE.format(factor=1))
    return tmp_path


def short(paths: tuple[Path, ...], steps: int = 2) -> None:
    assert all(path.status.reason == "length" and len(path) == steps + 1 for path in paths)
    for path in paths:
        for role in path.fixed:
            assert role.tolerance is not None
            assert path.change(role, relative=False).max() <= role.tolerance


@pytest.mark.parametrize("solver", ["outward", "davidson", "dense", "nullspace"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_walk_starts_from_names(folder, registry, solver, dtype):
    paths = eigenwalk.run(
        "./my_generator.py:build",
        fix=["fourier.low(cycles=1)"],
        vary=["fourier.high(cycles=1)"],
        seeds=[3, 4],
        paths=2,
        steps=2,
        stride=0.02,
        solver=solver,
        dtype=dtype,
        registry=registry,
    )
    assert [path.name for path in paths] == ["seed3-1+", "seed3-1-", "seed4-1+", "seed4-1-"]
    assert paths[0].latents.dtype == np.dtype(dtype)
    assert [role.part for role in paths[0].roles] == ["fixed", "varied"]
    short(paths)


def test_a_walk_starts_from_objects_and_functions(registry):
    G = curved(latent_dim=6, width=12)

    def brightness(images: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3))

    seen = []
    paths = eigenwalk.run(
        G,
        fix=[brightness, FunctionFeature(lambda images: images.std((1, 2, 3)))],
        vary=["pixels"],
        paths=2,
        steps=2,
        stride=0.02,
        dtype="float64",
        progress=lambda front: seen.append(front.index),
        registry=registry,
    )
    assert [role.name for role in paths[0].roles] == ["brightness", "FunctionFeature", "pixels"]
    assert seen == [0, 1, 2]
    short(paths)


def test_a_weight_and_a_tolerance_reach_the_walk(folder, registry):
    recipe = Recipe.of(
        generator="./my_generator.py:build",
        fix=["fourier.low(cycles=1) < 0.125", "./my_feature.py:brightness"],
        vary=["2 * pixels"],
        tolerance=0.25,
        solver="dense",
    )
    run = eigenwalk.start(recipe, registry=registry)
    low, bright, pixels = run.problem.roles
    assert low.tolerance == 0.125
    assert bright.tolerance == pytest.approx(0.25 * bright.typical)
    assert (pixels.weight, pixels.tolerance) == (2.0, None)
    assert run.recipe.batch is not None
    assert {"eigenwalk", "torch", "eigenwalk-fourier", "eigenwalk-pixels"} <= set(run.recipe.installed)
    assert len(run.recipe.files) == 2


def test_typical_distances_depend_on_the_generators_options_and_the_dtype(folder):
    """A typical distance cached for one generator is not used for another of the same name."""

    def typical(options: str, dtype: str = "float32") -> float:
        recipe = Recipe.of(generator=f"./my_generator.py:build{options}", vary=["pixels"], dtype=dtype)
        return eigenwalk.start(recipe).problem.roles[0].typical

    whole = typical("")
    assert typical("(scale=0.3)") < 0.8 * whole
    assert typical("") == whole
    assert 0 < abs(typical("", "float64") - whole) < 1e-4 * whole


def test_a_run_tells_what_it_does_and_counts_all_passes(folder, registry):
    class Told(Watch):
        def __init__(self) -> None:
            self.stages: list[str] = []
            self.passes = 0.0

        def stage(self, text: str, passes: float = 0.0) -> None:
            self.stages.append(text)

        def passed(self, passes: float) -> None:
            self.passes += passes

    told = Told()
    recipe = Recipe.of(generator="./my_generator.py:build", vary=["pixels"], paths=2, steps=2)
    run = eigenwalk.start(recipe, registry=registry, watch=told)
    assert [text.split()[0] for text in told.stages] == ["loading", "checking", "finding", "making", "measuring"]
    assert told.passes >= 24
    told.stages, told.passes = [], 0.0
    *_, last = run.fronts()
    assert [text.split(" at ")[0] for text in told.stages] == [
        "looking",
        "looking for 1 direction",
        "on to waypoint 2",
    ]
    assert told.passes == pytest.approx(sum(path.cost.passes for path in last.paths))


def test_typical_distances_are_measured_once(folder, registry):
    def cost(*more: str) -> tuple[int, float]:
        """Return how often the generator is called to start, and the typical distance."""
        log = folder / "calls"
        log.write_text("")
        recipe = Recipe.of(generator="./my_generator.py:build", vary=["./my_feature.py:brightness", *more])
        run = eigenwalk.start(recipe, registry=registry)
        return len(log.read_text()), run.problem.roles[0].typical

    first, typical = cost()
    second, again = cost()
    assert typical == again
    assert first >= second + 3  # 24 samples in batches of 8
    (folder / "my_feature.py").write_text(FEATURE.format(factor=3))
    third, changed = cost()
    assert third == first
    assert changed == pytest.approx(3 * typical, rel=1e-5)
    for file in (folder / "cache").rglob("*.json"):
        file.write_text("{")  # a damaged cache costs only time
    fourth, healed = cost()
    assert (fourth, healed) == (first, changed)
    assert cost("pixels", "fourier.low(cycles=1)")[0] == first  # both are measured at one set of samples


def test_a_run_resumes_from_saved_paths(folder, registry):
    recipe = Recipe.of(
        generator="./my_generator.py:build", fix=["./my_feature.py:brightness"], vary=["pixels"], paths=2, steps=4
    )
    fronts = list(eigenwalk.start(recipe, registry=registry).fronts())
    resumed = eigenwalk.start(recipe, paths=fronts[2].paths, arrays=fronts[2].arrays(), registry=registry)
    last = list(resumed.fronts())[-1]
    for a, b in zip(fronts[-1].paths, last.paths, strict=True):
        assert np.array_equal(a.latents, b.latents)


def test_no_warning_of_torch_reaches_the_user(folder):
    """In a fresh interpreter: torch warns once, when it loads its forward mode."""
    code = "import eigenwalk; eigenwalk.run('./my_generator.py:build', vary=['./my_feature.py:brightness'], steps=1)"
    command = [sys.executable, "-W", "always::FutureWarning", "-W", "always::DeprecationWarning:eigenwalk", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_typical_distances_of_objects_are_not_cached(registry):
    counting = Counting(curved(latent_dim=6, width=12))
    options = {"paths": 1, "steps": 1, "registry": registry}
    eigenwalk.run(counting, vary=["pixels"], **options)
    first, counting.images = counting.images, 0
    eigenwalk.run(counting, vary=["pixels"], **options)
    assert counting.images == first > 24


def test_wrong_names_and_objects_are_refused(folder, registry):
    with pytest.raises(UnknownName, match=r"newton.*outward, davidson, dense or nullspace"):
        eigenwalk.run("./my_generator.py:build", vary=["pixels"], solver="newton", registry=registry)
    with pytest.raises(CompositionError):
        eigenwalk.run(curved(), fix=["pixels"], vary=["pixels"], registry=registry)
    with pytest.raises(InputError, match="device 'abacus'"):
        eigenwalk.run("./my_generator.py:build", vary=["pixels"], device="abacus", registry=registry)


def test_a_first_start_without_a_value_costs_only_its_own_paths(registry):
    flat = Embedding(6)
    first = [float(flat.sample(1, seed)[0, 0]) for seed in range(2)]
    bad, good = (0, 1) if first[0] > first[1] else (1, 0)
    fixed = Defined(flat, limit=(first[0] + first[1]) / 2)
    options = {"steps": 1, "paths": 2, "tolerance": 10.0}
    paths = eigenwalk.run(
        flat, fix=[fixed], vary=[lambda images: images], seeds=[bad, good], registry=registry, **options
    )
    assert [path.status.reason for path in paths[:2]] == ["undefined", "undefined"]
    assert all(path.status.reason in ("length", "undefined") for path in paths[2:])
    assert all(len(path.waypoints) >= 1 and path.generator == "Embedding" for path in paths)


@pytest.mark.parametrize(
    "flat", [lambda x: x.detach().mean((2, 3)), lambda x: torch.from_numpy(x.detach().numpy()).amax((2, 3))]
)
@pytest.mark.parametrize("part", ["fix", "vary"])
def test_a_function_without_a_gradient_is_refused(registry, part, flat):
    generator = FunctionGenerator(generate_small, latent_dim=6, resolution=(4, 4))
    other = {"fix": "vary", "vary": "fix"}[part]
    with pytest.raises(ContractError, match="carry no gradient, so it can neither be held nor varied"):
        eigenwalk.run(generator, **{part: [flat], other: ["pixels"]}, registry=registry, steps=1)


def generate_small(z):
    M = torch.randn(48, 6, generator=torch.Generator().manual_seed(0)) / 8
    return 0.5 + (z @ M.T.to(z)).sin().unflatten(1, (3, 4, 4)) / 2
