# ruff: noqa: F811 - fixtures
"""A path that is taken back ends earlier for people, and loses nothing."""

from __future__ import annotations

from pathlib import Path as FilePath

import numpy as np
import pytest
from PIL import Image

import eigenwalk
from command_line import Here, here, place  # noqa: F401
from eigenwalk.path import Path
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from fabricated import paths

RECIPE = Recipe.of(generator="rooms", vary=["pixels"], steps=4)


@pytest.fixture
def run(place: FilePath) -> FilePath:
    """A finished run of two paths with four steps."""
    with RunFolder.claim(place / "run", RECIPE.identity()) as folder:
        folder.begin(RECIPE.text())
        folder.save(4, paths(directions=1), {"latents": np.zeros((2, 4), np.float32)})
        folder.finish(paths(directions=1))
    return place / "run"


def files(run: FilePath) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run / "paths").iterdir()}


def test_a_path_is_shown_up_to_where_it_was_taken_back_and_can_be_had_back(here: Here, run: FilePath) -> None:
    before, rows = files(run), len((run / "changes.csv").read_text().splitlines())
    assert here("back", "run", "seed0-1+:1")[0] == 0
    assert files(run) == before and len(Path.load(run / "paths/seed0-1+.json")) == 5
    assert len((run / "changes.csv").read_text().splitlines()) == rows - 3
    assert "Taken back to waypoint 1 of 4." in (run / "report.html").read_text()
    with RunFolder.claim(run, RECIPE.identity()) as folder:
        assert folder.state == "finished" and [len(path) for path in folder.paths] == [5, 5]
        assert [(len(path), path.status.reason) for path in folder.shown] == [(2, "back"), (5, "length")]
        folder.finish(folder.paths)  # as when it is judged later
    assert [len(path) for path in RunFolder.open(run).shown] == [2, 5]
    assert {file.name for file in eigenwalk.export(run, run / "out", ["png"], names=["seed0-1+"])} == {
        "000.png",
        "001.png",
    }
    with Image.open(run / "strip.png") as strip:
        assert strip.size == eigenwalk.strip(run).size
    assert here("back", "run", "seed0-1+")[0] == 0
    assert [path.status.reason for path in RunFolder.open(run).shown] == ["length", "length"]
    assert len((run / "changes.csv").read_text().splitlines()) == rows


def test_its_last_waypoint_is_no_way_back(here: Here, run: FilePath) -> None:
    assert here("back", "run", "seed0-1+:4")[0] == 0 and RunFolder.open(run).back == {}
    assert here("back", "run", "seed0-1+:0")[0] == 0 and RunFolder.open(run).back == {"seed0-1+": 0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "seed9-1+:1"), "there is no path 'seed9-1+' in run; there are seed0-1+, seed0-1-"),
        (("run", "seed0-1+:5"), "seed0-1+ has waypoints 0 to 4, and cannot be taken back to 5"),
        (("run", "seed0-1+:x"), "there is no path 'seed0-1+:x'"),
        (("nowhere", "seed0-1+:1"), "nowhere is not the folder of a run"),
    ],
)
def test_what_cannot_be_taken_back_says_why(words: tuple[str, ...], said: str, here: Here, run: FilePath) -> None:
    code, text = here("back", *words)
    assert code in (2, 4) and said in text and "Traceback" not in text
