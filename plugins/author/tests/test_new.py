"""``eigenwalk new``: the packages that it makes, and input that it refuses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from eigenwalk.cli import main
from eigenwalk.errors import FileError, InputError
from eigenwalk.names.registry import Registry
from eigenwalk_author.naming import naming, objections

KINDS = ("feature", "generator", "direction")
PROGRAM = [sys.executable, "-W", "ignore", "-c", "from eigenwalk.cli import main; main()"]


@pytest.fixture
def run(capsys):
    """Run ``eigenwalk`` with these words; return exit code, standard output and error."""

    def ran(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return ran


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a package of every kind in a folder and install them all into its ``site``."""
    place = tmp_path_factory.mktemp("made")
    for kind in KINDS:
        subprocess.run(
            [*PROGRAM, "new", kind, f"own-{kind}", "--author", "Ada", "--yes"],
            cwd=place,
            check=True,
            capture_output=True,
        )
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", "site"]
    folders = [f"./eigenwalk-own-{kind}" for kind in KINDS]
    subprocess.run([sys.executable, "-m", "pip", *words, *folders], cwd=place, check=True)
    return place


def alone(site: Path, kind: str) -> dict[str, str]:
    """Variables with which the package of `kind` is found, and no other plugin."""
    return {**os.environ, "PYTHONPATH": str(site / "site"), "EIGENWALK_PLUGINS": f"eigenwalk-own-{kind}"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_package_pass_with_only_core_and_kit(kind, site):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        words, cwd=site / f"eigenwalk-own-{kind}", env=alone(site, kind), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout and "skipped" not in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_is_complete(kind, site):
    folder = site / f"eigenwalk-own-{kind}"
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if "__pycache__" not in file.parts}
    package = f"src/eigenwalk_own_{kind}"
    wanted = {"pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml"}
    wanted |= {f"{package}/{file}" for file in ("__init__.py", "py.typed", "plugin.py", f"{kind}.py")}
    wanted |= {"tests/cases.py", f"tests/test_{kind}.py", f"tests/golden/{kind}.json"}
    assert wanted <= found
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) & set(metadata.requires("eigenwalk") or ()), "torch as the core asks for it"
    assert project["entry-points"]["eigenwalk"] == {f"own_{kind}": f"eigenwalk_own_{kind}.plugin"}
    assert "Apache License" in (folder / "LICENSE").read_text()
    for file in (name for name in wanted if name != "LICENSE"):
        text = (folder / file).read_text()
        assert "{%" not in text and ("{{" not in text or "workflows" in file), file
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), file


@pytest.mark.parametrize("kind", KINDS)
def test_code_of_a_new_package_passes_ruff(kind, site):
    folder = site / f"eigenwalk-own-{kind}"
    for words in (
        ("check", "--select", "E,F,W,UP,B,D1", "--ignore", "D107", "--per-file-ignores", "tests/*:D"),
        ("format", "--check"),
    ):
        command = [sys.executable, "-m", "ruff", *words[:1], "--isolated", "--line-length", "120", *words[1:], "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_given_details_are_written_into_the_package(tmp_path, run):
    given = {"--summary": "warmth of light", "--author": "Ada L.", "--licence": "MIT", "--name": "light.warmth"}
    words = [word for pair in given.items() for word in pair]
    folder = tmp_path / "here"
    code, out, _ = run(
        "new", "feature", "Warm_Light", *words, "--folder", str(folder), "--homepage", "https://a.example"
    )
    assert code == 0 and f"made {folder}: " in out
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "eigenwalk-warm-light" and project["license"] == "MIT"
    assert project["urls"] == {"Homepage": "https://a.example"} and project["authors"] == [{"name": "Ada L."}]
    plugin = (folder / "src/eigenwalk_warm_light/plugin.py").read_text()
    assert 'name="light.warmth"' in plugin and 'summary="warmth of light"' in plugin and ":LightWarmth" in plugin
    assert (folder / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 20")
    assert "Ada L." in (folder / "LICENSE").read_text()
    assert str(tmp_path) not in "".join(file.read_text() for file in folder.rglob("*") if file.is_file())


def test_new_overwrites_no_file(tmp_path, run):
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = run("new", "feature", "warmth", "--yes", "--folder", str(tmp_path))
    assert code == FileError.exit_code and "nothing is overwritten" in err and "--folder" in err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["été"], "letters, digits"),
        (["-x"], "No such option"),
        (["a b"], "letters, digits"),
        (["eigenwalk"], "the core itself"),
        (["3d"], "--name"),
        (["class"], "a meaning of its own"),
        (["true"], "a meaning of its own"),
        (["dense"], "a solver of the core"),
        (["x", "--name", "a-b"], "cannot stand in an expression"),
        (["x", "--licence", "GPL"], "licence"),
        (["x", "--summary", 'so "called"'], "without double quotes"),
        (["x", "--homepage", "example.org"], "https://"),
    ],
)
def test_wrong_input_of_new_is_refused_and_leaves_nothing(words, said, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("new", "feature", *words, "--yes")
    assert code == InputError.exit_code and said in err
    assert not list(tmp_path.iterdir())


def test_module_and_distribution_names_follow_from_the_name():
    assert naming("eigenwalk-Hair_Colour").package == "eigenwalk_hair_colour"
    assert naming("hair", "hair.length").class_name == "HairLength"


def test_new_warns_of_names_that_exist(tmp_path, run):
    code, _, err = run("new", "feature", "eigenwalk-masks", "--name", "mask", "-y", "--folder", str(tmp_path / "x"))
    assert code == 0 and "another package has that name" in err
    told = list(objections(naming("mine", "pixels"), Registry.discover()))
    assert any("offered by eigenwalk-pixels, installed here" in one for one in told)
    assert any("is in the index" in one for one in told)
    assert any("taken for eigenwalk-masks" in one for one in objections(naming("mask"), Registry.discover()))
    assert not list(objections(naming("tints"), Registry.discover()))


def test_at_a_terminal_missing_details_are_asked_for(tmp_path):
    ours, theirs = pty.openpty()
    words = [*PROGRAM, "new", "direction", "steep", "--author", "Ada", "--licence", "MIT", "--homepage", ""]
    process = subprocess.Popen(words, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while b"What it is, in a line" not in said:
        said += os.read(ours, 4096)
    os.write(ours, b", steeply\r")  # after the default, which stands there
    try:
        while True:
            said += os.read(ours, 4096)
    except OSError:  # the other end is closed
        assert process.wait() == 0, said.decode()
    plugin = (tmp_path / "eigenwalk-steep/src/eigenwalk_steep/plugin.py").read_text()
    assert 'summary="what changes the varied features most, steeply"' in plugin
