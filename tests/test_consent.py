# ruff: noqa: F811 - fixtures
"""No file consents to code: Python files that a stranger's file names run only if the user says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import eigenwalk
import eigenwalk.path
from command_line import GENERATOR, Here, here, place  # noqa: F401
from eigenwalk.errors import InputError
from eigenwalk.names.expression import parse_generator
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_generator
from eigenwalk.runs import judging
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.ready import own_files
from eigenwalk.runs.recipe import Recipe
from eigenwalk.sealed import json_text, seal, sum_of
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.trust import Trust
from fabricated import paths

FOUND = 'open("found", trust=true)'
NESTED = 'open("nested", trust=true)'
FEATURE = "import torch\n\n\ndef fn(images):\n    return images.mean((1, 2, 3))\n"
RUNS = "from pathlib import Path\n\nPath(__file__).with_name('ran').write_text('')\n"
"""What a Python file has that must not run."""
RUN = ["--vary", "luminance", "--paths", "2", "--steps", "1"]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without pictures, and without installed features that say what moved: neither is looked at here."""
    monkeypatch.setattr(RunFolder, "_draw", lambda folder, whole: ([], ""))
    monkeypatch.setattr(judging, "_installed", lambda recipe, registry: iter(()))


def found(folder: Path, generator: str) -> None:
    """Write a folder as `eigenwalk invert` leaves it, of an inversion in `generator`."""
    folder.mkdir()
    latents = save({"z": torch.zeros(1, 6)})
    (folder / "latents.safetensors").write_bytes(latents)
    entries = {"key": "", "generator": generator, "space": "z", "latents": sum_of(latents), "photos": [], "sums": {}}
    (folder / "found.json").write_text(json_text(seal(entries)))


@pytest.fixture
def strange(place: Path) -> Path:
    """A stranger's files: a generator that runs code, a folder found in it, and one found in that folder."""
    (place / "evil.py").write_text(RUNS + GENERATOR)
    found(place / "found", f"{place}/evil.py:build")
    found(place / "nested", f'open("{place}/found", trust=true)')
    return place


def finished(generator: str) -> None:
    """Write a finished run of `rooms` whose paths name `generator`."""
    recipe = Recipe.of(generator="rooms", vary=["pixels"])
    with RunFolder.claim(Path("theirs"), recipe.identity()) as folder:
        folder.begin(recipe.text())
        folder.finish(tuple(replace(one, generator=generator) for one in paths(directions=1)))


@pytest.mark.parametrize("generator", ["./evil.py:build", FOUND, NESTED])
def test_no_command_runs_what_a_file_alone_consents_to(here: Here, strange: Path, generator: str) -> None:
    entry = f"generator = {generator!r}\n"
    (strange / "r.toml").write_text(entry + 'vary = ["luminance"]\nsteps = 1\npaths = 2\nseeds = [0]\n')
    (strange / "start.toml").write_text(entry + 'vary = ["luminance"]\nstarts = ["found"]\n')
    (strange / "grid.toml").write_text(
        f'methods = ["rayleigh"]\n[[generators]]\n{entry}pairs = [{{ vary = ["luminance"] }}]\n'
    )
    finished(generator)
    for words in (
        ["run", "r.toml"],
        ["run", "start.toml"],
        ["export", "theirs", "npz"],
        ["walk", "rooms", "--vary", "pixels", "-o", "theirs", "--pictures", "npz"],
        ["dataset", "r.toml", "--seeds", "0-1", "-o", "data"],
        ["evaluate", "grid.toml", "-o", "eval"],
    ):
        code, said = here(*words)
        assert code == 2 and "evil.py:build" in said and "add --trust" in said, (words, said)
    with pytest.raises(InputError, match="runs code in a Python file: read it, then give generator="):
        eigenwalk.export("theirs", "out", ["npz"])
    engine = Engine(Library(Trust(strange), strange / "runs"))
    with pytest.raises(InputError, match="start the studio with --allow-code"):
        engine.library.generator(generator)
    engine.close()
    assert not (strange / "ran").exists()


def test_what_the_user_types_or_agrees_to_runs(here: Here, strange: Path) -> None:
    code, said = here("walk", "./nested", *RUN, "-o", "out")
    assert code == 2 and "whose code would run" in said and not (strange / "ran").exists()
    for generator in (FOUND, NESTED):
        code, said = here("walk", generator, *RUN, "-o", f"out{len(generator)}")
        assert code == 0, said
    code, said = here("run", f"out{len(FOUND)}", "--trust", "-o", "again")
    assert code == 0, said
    finished(FOUND)
    assert here("export", "theirs", "npz", "--trust")[0] == 4  # the paths have 4 coordinates: so it was opened
    generator = f"{FOUND[:-1]})"
    code, said = here("export", "again", "npz", "--generator", generator)
    assert code == 0, said
    assert eigenwalk.export("again", "out", ["npz"], generator=generator)


def test_what_only_the_folder_of_a_run_names_is_asked_for(here: Here, place: Path) -> None:
    (place / "evil.py").write_text(FEATURE)
    walk = ["walk", "./my_generator.py:build", *RUN[:-1]]
    assert here(*walk, "1", "-o", "theirs")[0] == 0
    (recipe := place / "theirs" / "recipe.toml").write_text('judges = ["./evil.py:fn"]\n' + recipe.read_text())
    (place / "evil.py").write_text(RUNS + FEATURE)
    for words in (
        [*walk, "1", "--judge", "pixels", "-o", "theirs"],
        [*walk, "2", "-o", "theirs"],
        ["run", "theirs"],
    ):
        code, said = here(*words)
        assert code == 2 and 'evil.py:fn"\nRead it, then add --trust' in said, (words, said)
        assert "my_generator" not in said or words[0] == "run", "what was typed is agreed to"
    assert not (place / "ran").exists()
    assert here(*walk, "1", "--judge", "./evil.py:fn", "-o", "theirs")[0] == 0 and (place / "ran").exists()


def test_the_features_of_the_walk_that_a_start_is_from_run_only_if_this_walk_names_them(
    here: Here, place: Path
) -> None:
    (place / "evil.py").write_text(FEATURE)
    generator = "./my_generator.py:build"
    assert here("walk", generator, "--vary", "./evil.py:fn", *RUN[2:], "-o", "theirs")[0] == 0
    (place / "evil.py").write_text(RUNS + FEATURE)
    start = ["--start", "theirs/paths/seed0-1+.json", *RUN[2:]]
    code, said = here("walk", generator, "--vary", "luminance", *start, "-o", "mine")
    assert code == 0 and not (place / "ran").exists(), said
    file = place / "mine/paths/start0-1+.json"
    assert set(eigenwalk.path.Path.load(file).since) == {"luminance"}
    assert here("walk", generator, "--vary", "luminance", "--judge", "./evil.py:fn", *start, "-o", "mine")[0] == 0
    assert set(eigenwalk.path.Path.load(place / "mine/paths/start0-1+.json").since) == {
        "luminance",
        'file("./evil.py:fn")',
    }


def test_folders_that_name_each_other_end(strange: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(strange)
    found(strange / "one", f'open("{strange}/two", trust=true)')
    found(strange / "two", f'open("{strange}/one", trust=true)')
    resolved = resolve_generator(parse_generator('open("one", trust=true)'), Registry.discover())
    assert own_files(resolved) == ()
    resolved = resolve_generator(parse_generator(NESTED), Registry.discover())
    assert [file.path.name for file in own_files(resolved)] == ["evil.py"]
