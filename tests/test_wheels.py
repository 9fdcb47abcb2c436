"""What a built package holds: nothing works only because it is an editable install."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(file.parent for file in [ROOT / "core/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")])


def built(package: Path, kind: str, folder: Path) -> Path:
    """The sdist or wheel of `package`, built into `folder`."""
    pytest.importorskip("hatchling", reason="the build backend is installed with the tests: pip install hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=package, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_wheel_holds_its_sources_licence_and_entry_point(package, tmp_path):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(built(package, "wheel", tmp_path)) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
        points = [wheel.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    sources = package / "src"
    expected = {str(file.relative_to(sources)) for file in sources.rglob("*.py") if "__pycache__" not in file.parts}
    assert expected <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert project["requires-python"] == ">=3.11"
    if package.name != "core":
        assert any("[eigenwalk]" in text for text in points)


def test_the_index_ships_by_way_of_the_sdist_too(tmp_path):
    sdist = built(ROOT / "core", "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(built(source, "wheel", tmp_path / "wheel")) as wheel:
        shipped = wheel.read("eigenwalk/registry.toml")
    assert shipped == (ROOT / "registry.toml").read_bytes()
