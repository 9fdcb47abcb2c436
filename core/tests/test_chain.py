"""Walks that start where earlier ones stood: the chain is found again, shown whole, and says what is lost."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch

import eigenwalk
from eigenwalk.errors import RecipeError
from eigenwalk.generator import FunctionGenerator
from eigenwalk.path import Path
from eigenwalk.runs.api import start
from eigenwalk.runs.outputs.chain import chain_of, latent_sum
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.outputs.report import Page, report, run_facts
from eigenwalk.runs.outputs.video import Video
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.recorded import check_recorded
from eigenwalk.runs.saved import finish, walk_and_save

M = torch.randn(3 * 8 * 8, 6, generator=torch.Generator().manual_seed(0)) / 3


def generator() -> FunctionGenerator:
    return FunctionGenerator(lambda z: 0.5 + (z @ M.T.to(z)).sin().unflatten(1, (3, 8, 8)) / 2, 6, (8, 8))


def walked(name: str, vary: str, **entries: object) -> RunFolder:
    """Walk into ``runs/NAME``, without its pictures."""
    recipe = Recipe.of(generator=generator(), vary=[vary], paths=2, steps=3, **entries)
    run = start(recipe)
    with RunFolder.claim(FilePath("runs") / name, recipe.identity()) as folder:
        paths: tuple[Path, ...] = ()
        for front in walk_and_save(run, recipe, folder):
            paths = front.paths
        finish(run, recipe, folder, paths)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """The folder with a chain of three walks: pixels, then luminance, then its complement."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("chain"))
        patched.setattr(RunFolder, "_draw", lambda folder, whole: ([], ""))
        walked("first", "pixels", seeds=[0])
        walked("second", "luminance", starts=["runs/first/paths/seed0-1+.json:2"])
        walked("third", "~luminance", fix=["luminance"], starts=["runs/second/paths/start0-1-.json"])
        return FilePath("runs").absolute()


@pytest.fixture
def three(runs: FilePath, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The last path of a copy of the chain, in the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs, "runs")
    return Path.load("runs/third/paths/start0-1+.json")


def names(path: Path, folder: str = "runs/third") -> list[tuple[str, int]]:
    return [(link.varied[0].name, len(link)) for link in chain_of(path, FilePath(folder)).links]


def test_a_chain_is_found_whole_up_to_where_each_walk_started(three: Path) -> None:
    second = Path.load("runs/second/paths/start0-1-.json")
    assert names(three) == [("pixels", 3), ("luminance", len(second))]
    assert chain_of(three).lost == "" and chain_of(three).walked == (3, len(second) - 1)
    assert set(three.since) == {"pixels", "luminance", "~luminance"} and min(three.since.values()) > 0
    first = Path.load("runs/first/paths/seed0-1+.json")
    expected = np.sqrt(np.square(three.waypoints[-1].image / 255.0 - first.waypoints[0].image / 255.0).mean())
    assert three.since["pixels"] == pytest.approx(expected / first.roles[0].typical, rel=1e-4)
    assert second.since["pixels"] != three.since["pixels"] and not first.since


def test_folders_that_lie_together_can_be_moved_together(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move("runs", "elsewhere")
    assert names(three, "elsewhere/third") == [("pixels", 3), ("luminance", 4)]
    monkeypatch.chdir("/")
    assert chain_of(three).links == () and "is missing" in chain_of(three).lost


def remove(folder: FilePath) -> None:
    shutil.rmtree(folder)


def damage(folder: FilePath) -> None:
    for file in (folder / "paths").glob("*.safetensors"):
        file.write_bytes(b"no tensors")


def replace(folder: FilePath) -> None:
    (path,) = eigenwalk.run(generator(), vary=["pixels"], seeds=[5], steps=3, paths=1)
    shutil.rmtree(folder)
    file = path.save(folder / "paths")
    for ending in (".json", ".safetensors"):
        file.with_suffix(ending).rename(folder / "paths" / f"seed0-1+{ending}")


@pytest.mark.parametrize(("harm", "said"), [(remove, "missing"), (damage, "missing"), (replace, "has changed since")])
def test_an_earlier_walk_that_is_gone_is_said_and_costs_nothing_else(
    three: Path, harm: Callable[[FilePath], None], said: str
) -> None:
    harm(FilePath("runs/first"))
    assert names(three) == [("luminance", 4)]
    page = shown(three)
    assert re.search(rf"Not shown is the walk before: runs/first/paths/seed0-1\+\.json:2 .*{said}", page)
    assert "Walk 2. Varied: ~luminance. Fixed:\nluminance" in page


def shown(path: Path) -> str:
    about = Page(1, 1, run_facts([path]), 1, folder=FilePath("runs/third"))
    return report([path], "", Video(b"", ".mp4"), about)


def test_the_report_shows_every_link(three: Path) -> None:
    page = shown(three)
    assert (
        "From seed 0, direction 1 +. Varied: pixels. Fixed: nothing. The next walk starts at waypoint 2 of 3." in page
    )
    assert page.count('<section class="walked') == 3 and "Walk 3. Varied: ~luminance" in page
    assert "Since the very first picture: pixels" in page


def test_a_start_is_known_by_its_latent_and_not_by_a_file_that_may_grow(three: Path) -> None:
    recipe = Recipe.parse((FilePath("runs/second/recipe.toml")).read_text())
    (name, recorded) = next((name, one) for name, one in recipe.files.items() if "first" in name)
    assert name == "runs/first/paths/seed0-1+.json:2" and latent_sum(name) == recorded
    registry = eigenwalk.Registry.discover()
    first = Path.load("runs/first/paths/seed0-1+.json")
    first.append(first.waypoints[-1]).save("runs/first/paths")  # the file changes, the latent does not
    check_recorded(recipe, registry)
    replace(FilePath("runs/first"))
    with pytest.raises(RecipeError, match="has changed since this walk"):
        check_recorded(recipe, registry)
    remove(FilePath("runs/first"))
    with pytest.raises(RecipeError, match="is missing"):
        check_recorded(recipe, registry)
