"""`eigenwalk describe` for generators, their files, and things that are not generators."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from eigenwalk.cli import main
from eigenwalk.errors import FileError, OptionError
from eigenwalk.names.index import Entry, Index
from eigenwalk.names.registry import Registry

GENERATOR = """
import torch
from eigenwalk.errors import OptionError
from eigenwalk.generator import FunctionGenerator

def build(side: int = 8):
    network = torch.nn.Sequential(torch.nn.Linear(6, 3 * side * side), torch.nn.Unflatten(1, (3, side, side)))
    return FunctionGenerator(network, 6, (side, 2 * side // 2), facts={"licence": "CC0-1.0", "trained on": "nothing"})

def exported(label=None):
    if label is None:
        raise OptionError("label must be given")
    generator = build(4)
    generator.facts |= {"parameters": "4,612", "latent": "normal, mean 1"}
    return generator

def broken():
    raise KeyError("weights.pt")

def brightness(images):
    return images.mean((1, 2, 3))
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run ``eigenwalk describe`` in a folder with a generator; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "my.py").write_text(GENERATOR)
    rooms = files("eigenwalk_miniatures") / "rooms/generator.safetensors"
    (tmp_path / "mine.safetensors").write_bytes(rooms.read_bytes())
    (tmp_path / "junk.pkl").write_bytes(b"no pickle")

    def run(*words: str) -> tuple[object, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["describe", *words])
        captured = capfd.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return run


@pytest.mark.parametrize("text", ["mine.safetensors", 'open("mine.safetensors", space=w)', "./mine.safetensors"])
def test_describe_opens_a_file(said, text):
    code, out, _ = said(text, "--no-measure")
    assert code == 0
    for words in ("eigenwalk-miniatures", "64 x 64 pixels", " coordinates, space ", ", float32", "4.5 MB"):
        assert words in out
    assert "ask who published it" in out and "\nan image" not in out
    assert ("space w; also z" if "space=w" in text else "space z; also w") in out


def test_a_function_that_builds_a_generator_is_measured(said):
    code, out, _ = said("./my.py:build(side=4)", "--measure")
    assert code == 0
    for words in ("4 x 4 pixels", "trained on  nothing", "licence     CC0-1.0", "336, float32"):
        assert words in out
    image, waypoint = (next(line for line in out.splitlines() if line.startswith(head)) for head in ("an im", "a way"))
    assert " ms and " in image and "B of memory a path" in waypoint


def test_facts_of_a_generator_are_printed_once(said):
    code, out, _ = said("./my.py:exported(label=1)", "--no-measure")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[lines.index("latent 6 coordinates, space z") + 1] == "normal, mean 1"
    assert "parameters 4,612, float32" in lines and out.count("parameters") == 1


def test_a_function_of_images_is_described_as_a_feature(said):
    code, out, err = said("./my.py:brightness")
    assert (code, err) == (0, "") and "no packaging" in out and "pixels" not in out


def test_a_name_with_required_options_is_described_without_opening(said):
    code, out, _ = said("stylegan")
    assert code == 0 and "not opened: it needs path" in out


def test_an_error_is_printed_alone(said):
    code, out, err = said("./my.py:broken")
    assert code == 3 and "weights.pt" in err and out == ""
    code, out, err = said("stylegan(missing.pkl)")
    assert code == 4 and "missing.pkl" in err and out == ""
    code, out, err = said("stylegan(junk.pkl)")
    assert code == 4 and "junk.pkl" in err and out == ""
    code, _, err = said("missing.pkl")
    assert code == 4 and "missing.pkl" in err
    code, _, err = said("junk.pkl")
    assert code == 4 and "eigenwalk-stylegan" in err and "./my_generator.py:build" in err


def test_a_missing_option_of_a_file_is_named_with_its_syntax(said, monkeypatch):
    def needy(path: str, space: str = "z", truncation: float = 1) -> None:
        raise OptionError("label must be given")

    monkeypatch.setattr("eigenwalk_miniatures.generator.open_trained", needy)
    code, out, err = said("mine.safetensors")
    assert code == 2 and out == ""
    assert 'label must be given. A file\'s options follow its path: open("mine.safetensors", option=value)' in err


def test_a_folder_without_a_separator_is_recognised(said, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model-1").mkdir()
    for name in ("model", "model-1"):
        code, _, err = said(name)
        assert code == 4 and f"write ./{name} to open it" in err


def test_a_misspelt_generator_suggests_near_names(said):
    code, _, err = said("roomz")
    assert code == 2 and "among generators and directions: rooms" in err


def test_plugins_that_could_read_a_file_are_named(tmp_path: Path):
    (tmp_path / "junk.bin").write_bytes(b"junk")
    entries = {
        "big": Entry("big", "made-big", reads=("checkpoints of Big",)),
        "here": Entry("here", "made-here", reads=("files of Here",)),
        "none": Entry("none", "made-none"),
    }
    plugin = type("here", (), {})()
    registry = Registry.discover([(plugin, "made-here", "1.0")], installed=False, index=Index(generators=entries))
    with pytest.raises(FileError) as caught:
        registry.open(tmp_path / "junk.bin")
    assert "Known and not installed: checkpoints of Big (pip install made-big)" in str(caught.value)
    assert "files of Here" not in str(caught.value) and "made-none" not in str(caught.value)
