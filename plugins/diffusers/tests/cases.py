"""What the conformance kit checks of this package: tiny models of every supported class."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from eigenwalk.testing import Case


def tiny() -> ModuleType:
    """The module that writes folders; diffusers is imported when the first is written."""
    spec = importlib.util.spec_from_file_location("diffusers_tiny", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pictures(folder: Path, n: int = 6) -> Path:
    """`n` PNG files of coloured waves in `folder`."""
    folder.mkdir()
    y, x = np.mgrid[0:20, 0:24] / 24
    for i in range(n):
        waves = [0.5 + 0.5 * np.sin((i + 1) * x * (c + 1) + i * y + c) for c in range(3)]
        Image.fromarray((255 * np.stack(waves, 2)).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def pipeline(name: str, **options: Any) -> Callable[[Path], None]:
    """Saves the pipeline that `name` makes."""

    def write(folder: Path) -> None:
        getattr(tiny(), name)(folder / "model", **options)

    return write


def model(name: str) -> Callable[[Path], None]:
    """Saves the autoencoder that `name` makes, and some pictures."""

    def write(folder: Path) -> None:
        module = tiny()
        module.saved(getattr(module, name)(), folder / "model")
        pictures(folder / "pictures")

    return write


# The others are told apart by tests of this package; derivatives go through the same layers.
CASES = [
    Case('onestep("{folder}/model", label=3)', prepare=pipeline("consistency", classes=5), kind="generator"),
    Case('onestep("{folder}/model", prompt="a cat")', prepare=pipeline("turbo_xl"), kind="generator"),
    Case(
        'onestep("{folder}/model", prompt="a cat", negative="a dog", guidance=3, resolution=(8, 16), timestep=700)',
        prepare=pipeline("turbo"),
        kind="generator",
    ),
    Case('autoencoder("{folder}/model", images="{folder}/pictures")', prepare=model("kl"), kind="generator"),
    Case('autoencoder("{folder}/model", resolution=8)', prepare=model("small"), kind="generator"),
    Case('autoencoder("{folder}/model", images="{folder}/pictures")', prepare=model("vq"), kind="generator"),
]
