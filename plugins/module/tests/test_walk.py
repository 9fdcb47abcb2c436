"""A walk through an exported network, as a user starts it: by the file's path alone."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("module_files", Path(__file__).with_name("files.py"))
assert _spec is not None
assert _spec.loader is not None
files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(files)


@pytest.mark.parametrize(
    ("name", "text"),
    [("one.pt2", "one.pt2"), ("traced.pt", "open('traced.pt', shape=8)"), ("any.onnx", "any.onnx")],
)
def test_a_walk_by_the_files_path(tmp_path, name, text):
    files.written(name, tmp_path)
    code = (
        "import eigenwalk\n"
        f"paths = eigenwalk.run({text!r}, vary=['pixels'], steps=1, paths=1)\n"
        "print([len(path) for path in paths])"
    )
    environment = os.environ | {"EIGENWALK_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[2]"  # one path: its start, and a step
