"""What ``make demo`` walks: the very command of the Makefile, into another folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from eigenwalk.path import Path as WalkedPath

pytestmark = pytest.mark.docs  # it walks as a guide does

ROOT = Path(__file__).parents[1]


def demo() -> list[str]:
    """The words after ``eigenwalk`` in the Makefile's demo."""
    found = re.search(r"^demo:.*\n\t\$\(BIN\)/eigenwalk (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found, "the Makefile has no demo that walks"
    return shlex.split(found[1])


def test_the_demo_holds_the_sofa_and_varies_the_room(tmp_path):
    words = demo()
    words[words.index("--out") + 1] = str(tmp_path / "demo")
    code = "import sys; from eigenwalk.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    paths = [WalkedPath.load(file) for file in sorted((tmp_path / "demo/paths").glob("*.json"))]
    assert sum(len(path) >= 10 for path in paths) >= 6, {path.name: (len(path), path.status) for path in paths}
    for path in paths:
        fixed, varied = path.roles
        assert (fixed.name, varied.name) == ("rooms.part(sofa)", "~rooms.part(sofa)")
        last = path.waypoints[-1].changes
        assert fixed.tolerance is not None
        assert max(waypoint.changes[fixed.name] for waypoint in path.waypoints) <= fixed.tolerance
        assert last[varied.name] / varied.typical > last[fixed.name] / fixed.typical
