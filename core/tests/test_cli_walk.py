# ruff: noqa: F811 - fixtures
"""Real walks from the command line, with a generator in a file: stopped, killed, repeated, and refused."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from command_line import Here, begin, here, place  # noqa: F401
from eigenwalk.path import Path as WalkedPath
from eigenwalk.runs.recipe import Recipe

BOX = "mask(box=(0, 0, 1, 0.5))"
WALK = ["walk", "./my_generator.py:build", "--fix", BOX, "--vary", f"~{BOX}", "--paths", "2", "--steps", "5"]


def latents(folder: Path) -> dict[str, np.ndarray]:
    """The latents of a finished run, by path."""
    return {file.stem: WalkedPath.load(file).latents for file in (folder / "paths").glob("*.json")}


def left(place: Path) -> set[str]:
    """Return the names in `place`, apart from this test's own files and caches."""
    ours = {"my_generator.py", "my_feature.py", ".cache", "__pycache__"}
    return {entry.name for entry in place.iterdir()} - ours


def stop(place: Path, number: signal.Signals, after: int, out: str) -> str:
    """Send signal `number` to a walk into `out` once waypoint `after` is saved; return its standard error."""
    process = begin(place, *WALK, "--out", out, slow=0.05)
    wanted = place / out / "progress" / f"{after:04d}.json"
    deadline = time.monotonic() + 120
    while not wanted.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert wanted.exists(), process.communicate()[1]
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    return said


def test_resuming_a_walk_or_repeating_its_recipe_gives_the_same_latents(here: Here, place: Path) -> None:
    assert here(*WALK, "--out", "whole")[0] == 0
    expected = latents(place / "whole")
    assert all(len(path) > 2 for path in expected.values())

    def check(folder: str, words: Sequence[str], said: str) -> None:
        code, text = here(*words, "--out", folder)
        assert code == 0 and said in text, text
        got = latents(place / folder)
        assert set(got) == set(expected) and all(np.array_equal(got[name], expected[name]) for name in expected)

    stop(place, signal.SIGKILL, 2, "killed")
    assert (place / "killed" / "progress" / "0002.json").exists()
    check("killed", WALK, "going on in killed")
    names = {entry.name for entry in (place / "killed").iterdir()}
    outputs = {"strip.png", "walk.mp4", "plot.png", "changes.csv", "report.html"}
    assert names == {"run.json", "recipe.toml", "state.safetensors", "paths", *outputs}
    said = stop(place, signal.SIGINT, 1, "stopped")
    assert "stopped: kept" in said and "the same command goes on" in said and "Traceback" not in said
    check("stopped", WALK, "going on in stopped")
    recipe = Recipe.read(place / "stopped" / "recipe.toml")
    assert "./my_generator.py" in recipe.files and {"eigenwalk", "eigenwalk-masks"} <= set(recipe.installed)
    code, said = here("run", "stopped/recipe.toml", "--out", "again")
    assert code == 2 and 'my_generator.py:build"\nRead it, then add --trust' in said and not (place / "again").exists()
    check("again", ["run", "stopped/recipe.toml", "--trust"], "")


def test_a_run_that_began_before_there_was_smooth_goes_on_without_it(here: Here, place: Path) -> None:
    one = ["walk", "./my_generator.py:build", "--vary", "./my_feature.py:mean", "--paths", "2", "--steps", "2"]
    with (place / "my_feature.py").open("a") as file:
        file.write("\n\ndef mean(images):\n    return images.mean((1, 2, 3))\n")
    assert here(*one, "--smooth", "0")[0] == 0
    (old,) = (place / "runs").iterdir()
    text = (old / "recipe.toml").read_text().replace("smooth = 0.0\naveraging = 1\n", "")
    (old / "recipe.toml").write_text(text)
    code, said = here(*one)
    assert (
        code == 0
        and "before recipes had smooth, averaging: it stays without" in said
        and "holds this walk already" in said
    )
    for out in ("named", "again"):
        (place / out).mkdir()
        (place / out / "recipe.toml").write_text(text)
    code, said = here(*one, "--out", "named")
    assert code == 0 and "stays without" in said
    assert here("run", "again/recipe.toml", "--trust", "--out", "repeated")[0] == 0
    for out in ("named", "repeated"):
        assert all(np.array_equal(latents(old)[name], path) for name, path in latents(place / out).items())
        assert Recipe.read(place / out / "recipe.toml").smooth == 0
    code, said = here(*one, "--out", "named", "--smooth", "0.5")
    assert code == 4 and "smooth: 0.0 there, 0.5 asked" in said
    assert here(*one, "--overwrite")[0] == 0
    assert len(list((place / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["walk", "./my_generator.py:buld", "--vary", "pixels"], 2, "buld"),
        (["walk", "./my_generator.py:build", "--vary", "./my_feature.py:nan"], 5, "NaN"),
        (["walk", "./my_generator.py:build", "--vary", "./my_feature.py:constant"], 5, "constant"),
        (["walk", "./my_generator.py:build", "--vary", "./my_feature.py:wrong"], 3, "wrong"),
        (["walk", "./my_generator.py:build", "--vary", "./my_feature.py:raising"], 3, "my own mistake"),
        (["walk", "./my_generator.py:build", "--vary", "mask(box=(0.5, 0.5, 0.5, 0.5))"], 2, "box"),
    ],
)
def test_bad_input_leaves_no_files_behind(here: Here, place: Path, words: list[str], code: int, said: str) -> None:
    got, text = here(*words)
    assert said in text and text.splitlines()[-1] and "Traceback" not in text
    assert got == code, text
    assert left(place) == set()
