"""A user's files, named by their path: generators that are walked, converted or refused, and functions."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import stylegan_files
import torch

import eigenwalk
from eigenwalk.cli import main
from eigenwalk.errors import FileError, OptionError
from eigenwalk.feature import Feature, FunctionFeature
from eigenwalk.names.files import sha256
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.objects.build import build
from eigenwalk.objects.compose import compose
from eigenwalk.spec import FeatureSpec

COUNTING = """
import sys
opened = []
sys.addaudithook(lambda event, given: event == "open" and given[1] and opened.append(str(given[0]).rpartition("/")[2]))
from eigenwalk.cli import main
try:
    main()
finally:
    open("opened.txt", "w").write("\\n".join(opened))
"""
"""The command line, which leaves the names of all files that were opened."""


def test_a_file_walks_and_its_converted_copy_gives_the_same_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = stylegan_files.write("ada-16", tmp_path, contrast=0.2)
    words = ("--fix", "fourier.low(cycles=2)", "--vary", "pixels", "--steps", "2", "--paths", "2")
    command = [sys.executable, "-W", "ignore", "-c", COUNTING, "walk", path.name, *words, "--out", "out"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    # By all installed plugins that read files, by the factory, and for the recipe's SHA-256, together.
    assert (tmp_path / "opened.txt").read_text().split("\n").count(path.name) == 1
    assert (tmp_path / "out/strip.png").stat().st_size > 1000
    (first, _) = [eigenwalk.Path.load(file) for file in sorted((tmp_path / "out/paths").glob("*.json"))]
    assert first.change(first.varied[0])[-1] > 0.01
    with pytest.raises(SystemExit) as end:
        main(["convert", path.name, "-o", "converted.safetensors"])
    assert not end.value.code
    generators = [eigenwalk.load_generator(name) for name in (path.name, "converted.safetensors")]
    z = generators[0].sample(2, seed=1)
    assert torch.equal(*(generator(z) for generator in generators))


def test_a_file_that_would_run_code_is_refused_without_running_it(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "ffhq.pkl").write_bytes(pickle.dumps({"G_ema": Payload(), "training_set_kwargs": {}}))
    with pytest.raises(FileError):
        eigenwalk.load_generator(str(tmp_path / "ffhq.pkl"))
    assert not (tmp_path / "ran").exists()


def test_a_file_that_the_feature_finds_itself_is_recorded(tmp_path, monkeypatch):
    class Finds(FunctionFeature):
        files = (tmp_path / "found.txt",)

    (tmp_path / "found.txt").write_text("1")
    (tmp_path / "finds.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    factory = lambda: Finds(lambda images: images)  # noqa: E731
    monkeypatch.setattr(importlib.import_module("finds"), "factory", factory, raising=False)
    offer = Offer(FeatureSpec("finds", "finds:factory", "finds a file by itself"), "finds", "eigenwalk-finds", "1.0")
    found = tmp_path / "found.txt"
    assert build(offer, None, Feature)[1].files == ((str(found), sha256(found)),)


FUNCTIONS = """
import functools

def one(images): return images
def two(images, target): return images - target
def trio(images, *, a, b=1, c): return images * a * b * c
def none(): return 1
def named(*, images): return images
def anything(*values, **options): return values[0]
class Needs:
    def __init__(self, target): self.target = target
    def __call__(self, images): return images * self.target
class Bare:
    def __call__(self): return 1

@functools.wraps(two)
def given(*values): return two(*values, target=1)
"""


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("two", "target must be given: write './own.py:two(target=…)', or give it a default in the file"),
        ("two(targte=3)", "it has no 'targte'; did you mean 'target'?"),
        ("two(images=3, target=1)", "it has no 'images'"),
        ("trio(b=2)", "a and c must be given: write './own.py:trio(b=2, a=…, c=…)', or give them a default"),
        ("none", "takes (), and the options given are none: a feature's function takes images (batch, 3, height"),
        ("named", "takes images (batch, 3, height, width) first"),
        ("Needs", "target must be given: write './own.py:Needs(target=…)'"),
        ("Bare", "takes images (batch, 3, height, width) first"),
    ],
)
def test_a_function_that_cannot_be_called_with_images_is_refused_with_the_reason(
    written, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FUNCTIONS)
    with pytest.raises(OptionError) as caught:
        compose([f"./own.py:{written}"], ["./own.py:one"], Registry.of([]))
    assert f"./own.py:{written.partition('(')[0]}" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "written", ["two(target=0)", "trio(a=1, c=1)", "anything", "anything(x=3)", "Needs(target=1)", "given"]
)
def test_a_function_is_used_by_how_it_can_be_called(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FUNCTIONS)
    images = torch.rand(2, 3, 4, 4)
    (term,) = compose([], [f"./own.py:{written}"], Registry.of([])).varied
    assert term.feature(images).shape == images.shape


def test_a_path_with_a_space_is_quoted_in_the_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my own.py").write_text(FUNCTIONS)
    with pytest.raises(OptionError) as caught:
        compose([], ['file("./my own.py:two")'], Registry.of([]))
    remedy = 'file("./my own.py:two", target=0)'
    assert remedy.replace("0", "…") in str(caught.value)
    assert compose([], [remedy], Registry.of([])).varied
