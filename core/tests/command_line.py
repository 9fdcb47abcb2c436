"""The command line beside a generator and features in files: in this process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eigenwalk.cli import main

GENERATOR = '''
"""A tiny generator: two layers with fixed random weights."""
import os
import time

import torch

from eigenwalk.generator import FunctionGenerator

SLOW = float(os.environ.get("SLOW", "0"))


def build(latent: int = 6):
    random = torch.Generator().manual_seed(0)
    first = torch.randn(latent, 32, generator=random) / latent**0.5
    second = torch.randn(32, 3 * 8 * 8, generator=random) / 32**0.5

    def images(z):
        time.sleep(SLOW)
        return torch.sigmoid(torch.tanh(z @ first.to(z)) @ second.to(z)).reshape(-1, 3, 8, 8)

    return FunctionGenerator(images, latent, (8, 8))
'''
FEATURES = '''
"""Features that are wrong, each in its way."""
import torch


def nan(images):
    return images.mean((1, 2, 3)) * float("nan")


def constant(images):
    return images.mean((1, 2, 3)) * 0 + 1


def wrong(images):
    return images.mean()


def raising(images):
    raise ValueError("my own mistake")
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the generator and the features."""
    (tmp_path / "my_generator.py").write_text(GENERATOR)
    (tmp_path / "my_feature.py").write_text(FEATURES)
    return tmp_path


def begin(place: Path, *words: str, slow: float = 0.0) -> subprocess.Popen[str]:
    """Start the command in `place`; every generator call takes `slow` seconds longer."""
    code = "import sys; from eigenwalk.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "SLOW": str(slow), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(place / ".cache")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


Here = Callable[..., tuple[int, str]]


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run the command in this process, where torch is loaded already; return exit code and standard error."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / ".cache"))
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(str(end.value.code)), capfd.readouterr().err

    return run
