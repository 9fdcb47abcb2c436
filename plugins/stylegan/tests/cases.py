"""What the conformance kit checks of this package: small networks in the layouts of two formats."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from eigenwalk.testing import Case


def small(name: str) -> Callable[[Path], None]:
    """Writes the file of a configuration that `layouts` has into a folder."""

    def write(folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("stylegan_layouts", Path(__file__).with_name("layouts.py"))
        assert spec is not None
        assert spec.loader is not None
        layouts = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(layouts)
        layouts.written(name, folder, contrast=0.2)

    return write


def r3gan(folder: Path) -> None:
    """Writes a small R3GAN with classes into a folder."""
    spec = importlib.util.spec_from_file_location("r3gan_layouts", Path(__file__).with_name("r3gan_layouts.py"))
    assert spec is not None
    assert spec.loader is not None
    layouts = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layouts)
    layouts.written("r3gan-16-labels", folder, contrast=0.3)


CASES = [
    Case('stylegan("{folder}/ada-16.pkl")', prepare=small("ada-16"), kind="generator"),
    Case(
        'stylegan("{folder}/ada-16.pkl", space="w+", layers="2-4", truncation=0.7)',
        prepare=small("ada-16"),
        kind="generator",
    ),
    Case('stylegan("{folder}/ros-8.pt", space=s)', prepare=small("ros-8"), kind="generator"),
    Case('stylegan("{folder}/sg3-t-16.pkl", space=w)', prepare=small("sg3-t-16"), kind="generator"),
    Case('r3gan("{folder}/r3gan-16-labels.pkl", label=1)', prepare=r3gan, kind="generator"),
]
