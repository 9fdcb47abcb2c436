"""Recipes: they read back unchanged, errors say where and what instead, and differences are reported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from eigenwalk.errors import CompositionError, ExpressionError, OptionError, RecipeError, UnknownName
from eigenwalk.hookspecs import hookimpl
from eigenwalk.maths.cloud import AVERAGING
from eigenwalk.names.files import sha256
from eigenwalk.names.registry import Registry
from eigenwalk.runs.recipe import IDENTITY, Recipe
from eigenwalk.runs.recorded import check_recorded
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option, Weights
from eigenwalk.walk import WalkOptions


@dataclass
class Plugin:
    """A plugin with one generator, one projection and one feature; `digest` is of the feature's weights."""

    digest: str = "a" * 64

    @hookimpl
    def eigenwalk_features(self):
        box = Option("box", "numbers")
        weights = Weights("net.safetensors", self.digest, 10, "MIT")
        return [
            FeatureSpec("box", "nowhere:box", "a box", options=(box,), kind="projection"),
            FeatureSpec("net", "nowhere:net", "a network", weights=(weights,)),
        ]

    @hookimpl
    def eigenwalk_generators(self):
        return [GeneratorSpec("rooms", "nowhere:rooms", "rooms", options=(Option("size", "int", 64),))]


def registry(plugin: Plugin | None = None, version: str = "1.0") -> Registry:
    return Registry.discover(extra=[(plugin or Plugin(), "eigenwalk-made", version)], installed=False)


def test_a_recipe_reads_back_unchanged(tmp_path: Path) -> None:
    recipe = Recipe.of(
        generator="./made_here.py:build",
        fix=["box( (0,0,1, 0.5) ) < .3", 'box(file="C:/new/x y.png")'],
        vary=["0.5*net", "~box((0,0,1,1)) | net"],
        seeds=range(30),
        stride=0.1,
        batch=3,
        installed={"eigenwalk": "0.1.0", "a.b-c": "1"},
        weights={"net weights.safetensors": "f" * 64},
        files={'./made "here".py': "0" * 64},
    )
    recipe.write(tmp_path / "recipe.toml")
    assert Recipe.read(tmp_path / "recipe.toml") == recipe
    assert Recipe.parse(recipe.text()).text() == recipe.text()
    assert str(recipe.fix[0]) == "box((0, 0, 1, 0.5)) < 0.3"


def test_a_recipe_without_a_change_to_walk_to_is_that_of_earlier_versions() -> None:
    plain = Recipe.of(generator="rooms", vary=["pixels"])
    to = Recipe.of(generator="rooms", vary=["pixels"], to=0.8)
    assert "to" not in plain.identity() and plain.most_steps == 12
    assert to.identity() == plain.identity() | {"to": 0.8} and to.slug() != plain.slug()
    assert to.most_steps == 40 and Recipe.parse(to.text()).to == 0.8


def test_a_runs_folder_depends_on_content_and_not_on_spelling() -> None:
    one = Recipe.of(generator="rooms", fix=["box( (0,0,1,1) )"], vary=["net"])
    same = Recipe.of(generator="rooms()", fix=["box([0, 0, 1, 1])"], vary=["net()"])
    by_name = Recipe.of(generator="rooms", fix=["box(box=(0, 0, 1, 1))"], vary=["net"])
    assert one.slug() == same.slug()
    assert one.canonical(registry()).slug() == by_name.canonical(registry()).slug()
    changes = {"generator": "other", "fix": [], "vary": ["box"], "seeds": [1], "steps": 2, "paths": 2}
    changes |= {
        "stride": 0.1,
        "solver": "dense",
        "tolerance": 0.2,
        "region": 2.0,
        "smooth": 0.2,
        "averaging": 1,
        "dtype": "float64",
        "precision": "bf16",
        "starts": ["me.npy"],
        "to": 0.5,
    }
    assert set(changes) == set(IDENTITY)
    base = {"generator": "rooms", "fix": ["box((0, 0, 1, 1))"], "vary": ["net"]}
    slugs = {Recipe.of(**(base | {key: value})).slug() for key, value in changes.items()}
    assert len(slugs) == len(changes) and one.slug() not in slugs
    assert Recipe.of(**base, device="cuda", batch=2, installed={"x": "1"}).slug() == one.slug()


@pytest.mark.parametrize(
    ("generator", "begins"),
    [
        ("rooms", "rooms-"),
        ("biggan(label=dog)", "biggan-"),
        ("./my_generator.py:build", "my_generator-"),
        ("../models/ffhq 256.pkl", "ffhq-256-"),
        ("big.gan", "big.gan-"),
    ],
)
def test_the_folder_is_named_after_the_generator(generator: str, begins: str) -> None:
    slug = Recipe.of(generator=generator, vary=["net"]).slug()
    assert slug.startswith(begins) and "/" not in slug and " " not in slug


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("generator = ", "r.toml is not TOML"),
        ("vary = ['net']", "generator is missing"),
        ("generator = 'rooms'", "vary is missing"),
        ("generator = 'rooms'\nvary = []", "line 2: nothing varies"),
        ("generator = 'rooms'\nvary = 'net'", "line 2: vary must be a list, got 'net': write vary = ['net']"),
        ("generator = 'rooms'\nvary = ['net']\nsteps = 0", "line 3: steps should be greater than or equal to 1, got 0"),
        ("generator = 'rooms'\nvary = ['net']\nstep = 3", "line 3: there is no entry 'step': did you mean steps?"),
        ("generator = 'rooms'\nvary = ['net']\nsolver = '~x'", "line 3: solver should be outward, davidson, dense or"),
        ("generator = 'rooms'\nvary = ['net']\nseeds = [1, -1]", "seeds[1]"),
        ("generator = 'rooms'\nvary = ['net']\nseeds = [1, 1]", "seeds should name every seed once"),
        ("generator = 'rooms'\nvary = ['net']\nstride = nan", "stride"),
        ("generator = 'rooms'\nvary = ['net']\nregion = -1", "region"),
        ("generator = 'rooms'\nvary = ['net']\ntolerance = inf", "tolerance"),
        (
            f"generator = 'rooms'\nvary = ['net']\nsteps = 0x{'f' * 5000}",
            "line 3: steps should be less than 2147483648",
        ),
        (f"generator = 'rooms'\nvary = ['net']\nseeds = [0x{'f' * 5000}]", "seeds[0] should be less than"),
        (f"generator = 'rooms'\nvary = ['net']\nmemory = '{'9' * 400}'", "memory should be an amount of memory"),
        ("generator = 3\nvary = [[]]", "generator should be text, got 3\nr.toml, line 2: vary[0] should be text"),
    ],
)
def test_the_error_of_a_wrong_recipe_says_where_and_what_instead(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(text, "r.toml")
    assert said in str(caught.value)
    assert "pydantic" not in str(caught.value) and "at least 1 item" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_the_error_of_an_expression_in_a_recipe_points_at_its_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        Recipe.parse("generator = 'rooms'\nvary = ['net |']")
    assert "^" in str(caught.value)


def test_files_that_are_not_recipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "missing.toml", tmp_path / "binary", tmp_path):
        with pytest.raises(RecipeError, match=file.name):
            Recipe.read(file)


@pytest.mark.parametrize(
    ("entries", "error", "said"),
    [
        ({"generator": "roms"}, UnknownName, "rooms"),
        ({"vary": ["nett"]}, UnknownName, "net"),
        ({"vary": ["net(size=3)"]}, OptionError, "size"),
        ({"fix": ["net | box"]}, CompositionError, "projection"),
        ({"fix": ["net < 3"]}, CompositionError, "both fixed"),
    ],
)
def test_names_are_checked_before_anything_is_imported(entries: dict, error: type, said: str) -> None:
    recipe = Recipe.of(**({"generator": "rooms", "vary": ["net"]} | entries))
    with pytest.raises(error, match=said):
        recipe.canonical(registry())


def test_other_versions_are_warned_of() -> None:
    recipe = Recipe.of(generator="rooms", vary=["net"], installed={"eigenwalk": "0.0.1", "no-such-distribution": "2"})
    first, second = check_recorded(recipe, registry())
    assert "eigenwalk is" in first and "0.0.1" in first
    assert "pip install no-such-distribution==2" in second


def test_a_recipe_with_other_weights_is_refused() -> None:
    recipe = Recipe.of(
        generator="rooms", vary=["net"], weights={"net.safetensors": "a" * 64}, installed={"eigenwalk-made": "1.0"}
    )
    assert [w for w in check_recorded(recipe, registry()) if "SHA" in w] == []
    with pytest.raises(RecipeError, match=r"net\.safetensors.*eigenwalk-made 2\.0.*eigenwalk-made==1\.0"):
        check_recorded(recipe, registry(Plugin("b" * 64), "2.0"))


def test_a_recipe_with_a_changed_or_missing_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made.py").write_text("one")
    recipe = Recipe.of(generator="./made.py:build", vary=["net"], files={"./made.py": sha256("made.py")})
    assert check_recorded(recipe, registry()) == []
    Path("made.py").write_text("two")
    with pytest.raises(RecipeError, match=r"made\.py has changed"):
        check_recorded(recipe, registry())
    Path("made.py").unlink()
    with pytest.raises(RecipeError, match=r"made\.py is missing"):
        check_recorded(recipe, registry())


def test_recipes_and_walks_have_the_same_defaults() -> None:
    options, recipe = WalkOptions(), Recipe.of(generator="rooms", vary=["net"])
    for name in ("steps", "paths", "stride", "smooth", "batch"):
        assert getattr(options, name) == getattr(recipe, name)
    assert options.averaging == AVERAGING[recipe.averaging] != AVERAGING[1]


def test_a_recipe_that_was_walked_before_there_was_smooth_says_no_smoothing() -> None:
    ours = 'generator = "rooms"\nvary = ["net"]\n'
    assert Recipe.parse(ours).smooth > 0
    walked = Recipe.parse(f'{ours}[installed]\neigenwalk = "0.1.0"\n')
    assert walked.smooth == 0 and "smooth" not in walked.identity() and "smooth = 0.0" in walked.text()
    walked = Recipe.parse(f'{ours}smooth = 0.6\n[installed]\neigenwalk = "0.1.0"\n')
    assert walked.averaging == 1 and "averaging" not in walked.identity() and walked.identity()["smooth"] == 0.6
    unsmoothed = Recipe.of(generator="rooms", vary=["net"], smooth=0)
    assert unsmoothed.slug() == Recipe.of(generator="rooms", vary=["net"], smooth=0, averaging=1).slug()
    walked = Recipe.parse(f'{ours}[installed]\neigenwalk = "0.1.0"\n')
    asked = Recipe.of(generator="rooms", vary=["net"])
    assert asked.earlier().slug() == walked.slug() != asked.slug()
    assert Recipe.of(generator="rooms", vary=["net"], smooth=0.5).earlier().smooth == 0.5


def test_a_recipe_is_read_without_torch() -> None:
    code = "import sys, eigenwalk.runs.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
