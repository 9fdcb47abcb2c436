"""A generator's file of the user, by its path alone: walked, converted, refused."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import eigenwalk
from eigenwalk.errors import FileError

LAYOUTS = Path(__file__).parents[1] / "plugins/stylegan/tests/layouts.py"


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command line, in `folder`."""
    program = [sys.executable, "-W", "ignore", "-c", "from eigenwalk.cli import main; main()"]
    return subprocess.run([*program, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def layouts() -> ModuleType:
    """What writes files in the layouts of the formats."""
    spec = importlib.util.spec_from_file_location("layouts_of_stylegan", LAYOUTS)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_path_is_a_generator_and_so_is_what_it_is_converted_to(layouts, tmp_path):
    path = layouts.written("ada-16", tmp_path, contrast=0.2)
    words = ("--fix", "fourier.low(cycles=2)", "--vary", "pixels", "--steps", "2", "--paths", "2")
    said = run("walk", path.name, *words, "--out", "out", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "out/strip.png").stat().st_size > 1000
    (first, _) = [eigenwalk.Path.load(file) for file in sorted((tmp_path / "out/paths").glob("*.json"))]
    assert first.change(first.varied[0])[-1] > 0.01
    said = run("convert", path.name, "-o", "converted.safetensors", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    generators = [eigenwalk.load_generator(str(tmp_path / name)) for name in (path.name, "converted.safetensors")]
    z = generators[0].sample(2, seed=1)
    assert torch.equal(*(generator(z) for generator in generators))


def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "ffhq.pkl").write_bytes(pickle.dumps({"G_ema": Payload(), "training_set_kwargs": {}}))
    with pytest.raises(FileError):
        eigenwalk.load_generator(str(tmp_path / "ffhq.pkl"))
    said = run("walk", "ffhq.pkl", "--vary", "pixels", folder=tmp_path)
    assert said.returncode == 4, said.stderr
    assert not (tmp_path / "ran").exists()
