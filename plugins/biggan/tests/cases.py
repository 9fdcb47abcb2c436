"""What the conformance kit checks of this package: small networks in the layouts of both formats."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from eigenwalk.testing import Case


def small(name: str) -> Callable[[Path], None]:
    """Writes the file of a configuration that `layouts` has into a folder."""

    def write(folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("biggan_layouts", Path(__file__).with_name("layouts.py"))
        assert spec is not None
        assert spec.loader is not None
        layouts = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(layouts)
        layouts.written(name, folder)

    return write


CASES = [
    Case('biggan("{folder}/biggan-32.pth", label="2")', prepare=small("biggan-32"), kind="generator"),
    Case(
        'biggan("{folder}/biggan-64-hier-standing.pth", label="3", space=embedding, base=3, eps=0.001)',
        prepare=small("biggan-64-hier-standing"),
        kind="generator",
    ),
    Case(
        'biggan("{folder}/hf-32-edge", label="1", space=both, truncation=0.4)',
        prepare=small("hf-32-edge"),
        kind="generator",
    ),
]
