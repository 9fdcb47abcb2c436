"""What the conformance kit checks of this package: a small network in each format."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from eigenwalk.testing import Case


def small(name: str) -> Callable[[Path], None]:
    """Writes the file that `files` has under this name into a folder."""

    def write(folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("module_files", Path(__file__).with_name("files.py"))
        assert spec is not None
        assert spec.loader is not None
        files = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(files)
        files.written(name, folder)

    return write


CASES = [
    Case('module("{folder}/any.pt2")', prepare=small("any.pt2"), kind="generator"),
    Case('module("{folder}/traced.pt", shape=8)', prepare=small("traced.pt"), kind="generator"),
    Case('onnx("{folder}/any.onnx")', prepare=small("any.onnx"), kind="generator"),
]
