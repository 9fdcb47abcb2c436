"""tools/space.py: a folder with the packages in it, which Spaces runs before they are on the index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = [sys.executable, str(ROOT / "tools/space.py")]
SAY = """import sys; sys.path.insert(0, "packages"); import eigenwalk
from eigenwalk.names.registry import Registry
registry = Registry.discover()
print(eigenwalk.__file__, *(one.name for one in (*registry.generators, *registry.commands)))"""


@pytest.mark.docs
def test_the_folder_has_our_packages_and_names_those_of_others(tmp_path: Path):
    folder = tmp_path / "space"
    subprocess.run([*TOOL, str(folder), "--no-isolation"], check=True, capture_output=True, cwd=tmp_path)
    names = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert not [one for one in names if one.startswith("eigenwalk")] and "torch>=2.13" in names
    assert any(one.startswith("gradio") for one in names) and not [one for one in names if "/" in one]
    said = subprocess.run([sys.executable, "-c", SAY], cwd=folder, check=True, capture_output=True, text=True).stdout
    where, *found = said.split()
    assert Path(where).is_relative_to(folder) and {"rooms", "faces", "studio", "invert"} <= set(found)
    assert {one.name for one in folder.iterdir()} == {"README.md", "app.py", "requirements.txt", "packages"}
    assert not [one for one in folder.rglob("*") if one.is_file() and one.stat().st_size > 10_000_000]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path):
    done = subprocess.run([*TOOL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and "is there already" in done.stderr and list(tmp_path.iterdir()) == []
