# ruff: noqa: F811 - fixtures
"""A finished walk goes on: with more steps to the latents of a single longer one, and never over another run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from command_line import Here, here, place  # noqa: F401
from eigenwalk.path import Path, Status
from eigenwalk.runs.further import compare, walk_on
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from fabricated import CUT, FULL, paths

BOX = "mask(box=(0, 0, 1, 0.5))"
WALK = ["walk", "./my_generator.py:build", "--fix", BOX, "--vary", f"~{BOX}", "--paths", "4"]
RECIPE = Recipe.of(generator="rooms", vary=["pixels"])


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without strips, films and pages, which are not what is looked at here."""
    monkeypatch.setattr(RunFolder, "_draw", lambda folder, whole: ([], ""))


def tensors(folder: FilePath) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "paths").glob("*.safetensors")}


def test_more_steps_go_on_to_the_very_walk_that_is_as_long(here: Here, place: FilePath) -> None:
    assert here(*WALK, "--steps", "4", "--out", "whole")[0] == 0
    assert here(*WALK, "--steps", "2", "--out", "short")[0] == 0
    code, said = here(*WALK, "--steps", "4", "--out", "short")
    assert code == 0 and "going on in short" in said and "waypoint 4 of 4" in said and "waypoint 2" not in said
    assert tensors(place / "short") == tensors(place / "whole") and len(tensors(place / "whole")) == 4
    for name in ("recipe.toml", "state.safetensors"):
        assert (place / "short" / name).read_bytes() == (place / "whole" / name).read_bytes()
    said = here(*WALK, "--steps", "3", "--out", "short")[1]
    assert "short goes further than was asked for" in said and "holds this walk already" in said
    assert tensors(place / "short") == tensors(place / "whole")
    code, said = here(*WALK, "--steps", "5", "--seed", "1", "--out", "short")
    assert code == 4 and "belongs to another run" in said


def test_a_folder_named_by_its_content_goes_on_too_and_so_does_a_recipe(here: Here, place: FilePath) -> None:
    assert here(*WALK, "--steps", "1")[0] == 0
    assert "going on in runs/my_generator-" in here(*WALK, "--steps", "2")[1]
    (folder,) = (place / "runs").iterdir()
    code, said = here("run", str(folder), "--steps", "3", "--trust")
    assert code == 0 and f"going on in {folder}" in said
    assert [len(Path.load(file)) for file in (folder / "paths").glob("*.json")] == [4] * 4
    assert "goes further than was asked for" in here(*WALK, "--steps", "1")[1]
    assert [*(place / "runs").iterdir()] == [folder]


def test_a_larger_share_goes_on_where_each_path_came_to_its_end(here: Here, place: FilePath) -> None:
    assert here(*WALK, "--to", "0.2", "--out", "run")[0] == 0
    before = {file.stem: Path.load(file) for file in (place / "run/paths").glob("*.json")}
    code, said = here(*WALK, "--to", "0.4", "--out", "run")
    assert code == 0, said
    for file in (place / "run/paths").glob("*.json"):
        walked, was = Path.load(file), before[file.stem]
        assert np.array_equal(walked.latents[: len(was)], was.latents)
        assert [waypoint.index for waypoint in walked] == list(range(len(walked)))
        assert walked.moved >= 0.4 or walked.status.reason != "length"
    assert any(len(one) > len(before[one.name]) for one in RunFolder.open(place / "run").paths)


def test_without_the_solvers_state_a_run_stays_as_it_is(here: Here, place: FilePath) -> None:
    assert here(*WALK, "--steps", "1", "--out", "run")[0] == 0
    (place / "run/state.safetensors").write_bytes(b"damaged")
    code, said = here(*WALK, "--steps", "2", "--out", "run")
    assert code == 4 and "its solver's state was not kept" in said and "--overwrite" in said
    assert [len(Path.load(file)) for file in (place / "run/paths").glob("*.json")] == [2] * 4


def test_a_run_that_is_killed_as_it_goes_on_has_lost_nothing(tmp_path: FilePath) -> None:
    identity = Recipe.of(generator="rooms", vary=["pixels"], steps=4).identity()
    with RunFolder.claim(tmp_path / "run", identity) as folder:
        folder.begin(RECIPE.model_copy(update={"steps": 4}).text())
        folder.save(4, paths(), {"latents": np.zeros((4, 4), np.float32)})
        folder.finish(paths())
    longer = RECIPE.model_copy(update={"steps": 6})
    with RunFolder.claim(tmp_path / "run", longer.identity()) as folder:
        arrays = folder.end_state()
        assert folder.state == "finished" and arrays is not None
        folder.go_on(walk_on(folder.paths, longer), arrays)  # and dies here
    for identity in (RECIPE.model_copy(update={"steps": 4}).identity(), longer.identity()):
        with RunFolder.claim(tmp_path / "run", identity) as folder:
            assert folder.state == "unfinished" and {path.status.reason for path in folder.paths} == {"walking"}
            assert all(np.array_equal(a.latents, b.latents) for a, b in zip(folder.paths, paths(), strict=True))
            assert folder.paths[1].waypoints[3].image.shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        ({}, {}, "same"),
        ({"steps": 4}, {"steps": 6}, "more"),
        ({"steps": 6}, {"steps": 4}, "less"),
        ({"to": 0.2}, {"to": 0.5}, "more"),
        ({"to": 0.2, "steps": 20}, {"to": 0.5}, "other"),
        ({}, {"to": 0.5}, "other"),
        ({"steps": 4}, {"steps": 6, "seeds": [1]}, "other"),
        ({"paths": 2}, {"paths": 4}, "other"),
    ],
)
def test_only_how_far_may_differ(there: dict, asked: dict, expected: str) -> None:
    one, other = (Recipe.of(generator="rooms", vary=["pixels"], **also).identity() for also in (there, asked))
    assert compare(one, other)[0] == expected


def test_a_path_that_had_another_end_stays_ended() -> None:
    whole, cut = paths(directions=1)
    cut = cut.end(CUT)
    longer = RECIPE.model_copy(update={"steps": 9})
    assert [one.status for one in walk_on([whole, cut], longer)] == [Status(), CUT]
    assert walk_on([cut], longer) == () == walk_on([whole], RECIPE.model_copy(update={"steps": 4}))
    further = RECIPE.model_copy(update={"to": 0.5})
    assert whole.moved == pytest.approx(0.4) and walk_on([whole.end(FULL)], further)
    assert not walk_on([replace(whole, status=FULL)], RECIPE.model_copy(update={"to": 0.3}))
