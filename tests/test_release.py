"""Releases: on a copy of this repository's metadata, and with builds of a small repository."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tarfile
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("release", ROOT / "tools/release.py")
assert SPEC and SPEC.loader
release = importlib.util.module_from_spec(SPEC)
sys.modules["release"] = release
SPEC.loader.exec_module(release)

DAY = date(2026, 11, 23)


def project(root: Path, name: str, *requires: str, version: str = "1.0.0") -> Path:
    """A small distribution under `root`."""
    folder = root / ("core" if name == "eigenwalk" else f"plugins/{name.removeprefix('eigenwalk-')}")
    package = name.replace("-", "_")
    (folder / "src" / package).mkdir(parents=True)
    (folder / "src" / package / "__init__.py").write_text('"""Nothing."""\n')
    (folder / "LICENSE").write_text("do as you like\n")
    (folder / "README.md").write_text(f"# {name}\n")
    (folder / "pyproject.toml").write_text(
        f"""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
description = "{name}"
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
license-files = ["LICENSE"]
dependencies = [{", ".join(f'"{one}"' for one in requires)}]

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]
"""
    )
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of three distributions, one of which requires another plugin, with a changelog."""
    project(tmp_path, "eigenwalk")
    project(tmp_path, "eigenwalk-a", "eigenwalk>=1.0", "eigenwalk-b>=1.0")
    project(tmp_path, "eigenwalk-b", "eigenwalk>=1.0")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## Unreleased\n\n- More.\n\n## 1.0.0, 2026-01-01\n\n- All.\n")
    return tmp_path


def test_this_repository_can_be_released():
    every = release.projects(ROOT)
    assert every[0].name == "eigenwalk" and len(every) == 1 + len(list(ROOT.glob("plugins/*/pyproject.toml")))
    assert list(release.faults(every, every[0].version)) == []
    (version,) = {one.version for one in every}
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if release.OPEN.search(text):
        assert f"## {version}, 2026-11-23\n" in release.cut(text, version, DAY)
    else:
        assert re.search(rf"^## {re.escape(version)}, \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def test_a_new_version_is_written_everywhere_on_a_copy(tmp_path):
    for file in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]:
        copy = tmp_path / file.relative_to(ROOT).parent
        copy.mkdir(parents=True)
        for name in ("pyproject.toml", "LICENSE"):
            shutil.copy(file.parent / name, copy)
    (tmp_path / "CHANGELOG.md").write_text("## Unreleased\n\n- All.\n")
    release.write(tmp_path, release.projects(tmp_path), "7.5.1", DAY)
    every = release.projects(tmp_path)
    assert {one.version for one in every} == {"7.5.1"}
    assert list(release.faults(every, "7.5.1")) == []
    ours = [str(one) for project in every for one in project.requires if one.name.startswith("eigenwalk")]
    assert ours and all(one.endswith(">=7.5") for one in ours)
    assert (tmp_path / "CHANGELOG.md").read_text() == "## 7.5.1, 2026-11-23\n\n- All.\n"


def test_a_release_builds_requirements_first_and_uploads_nothing(small, capsys):
    release.main(["--root", str(small), "--version", "1.1.0", "--no-isolation"])
    said = capsys.readouterr().out
    orders = [said.index(f"upload {small}/dist/eigenwalk{name}-1.1.0.tar.gz") for name in ("", "_b", "_a")]
    assert orders == sorted(orders)
    assert "twine check --strict" in said and "git tag v1.1.0" in said
    assert len(list((small / "dist").iterdir())) == 6
    with tarfile.open(small / "dist/eigenwalk_a-1.1.0.tar.gz") as archive:
        held = archive.extractfile("eigenwalk_a-1.1.0/PKG-INFO")
        assert held and b"Requires-Dist: eigenwalk-b>=1.1\n" in held.read()
    log = (small / "CHANGELOG.md").read_text()
    assert f"## 1.1.0, {date.today().isoformat()}\n\n- More.\n\n## 1.0.0, 2026-01-01" in log
    with pytest.raises(SystemExit, match="has files in it"):
        release.main(["--root", str(small), "--no-isolation"])


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("a", 'version = "1.0.0"', 'version = "1.0.1"', "version is '1.0.1', and '1.0.0' in the core"),
        ("a", 'license = "MIT"', 'license = "BSD-3-Clause"', "license is"),
        ("b", "eigenwalk>=1.0", "eigenwalk>=2", "requires eigenwalk>=2, which 1.0.0 is not"),
        ("b", '"eigenwalk>=1.0"', "", "does not require eigenwalk"),
        ("b", 'description = "eigenwalk-b"\n', "", "description is missing"),
        ("b", '"eigenwalk>=1.0"', '"eigenwalk>=1.0", "eigenwalk-a"', "in a circle: eigenwalk-a, eigenwalk-b"),
    ],
)
def test_inconsistent_metadata_is_not_released(small, name, before, after, said):
    file = small / "plugins" / name / "pyproject.toml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(SystemExit, match=re.escape(said)):
        release.main(["--root", str(small), "--no-isolation"])
    assert not (small / "dist").exists()


def test_another_licence_text_is_not_released(small):
    (small / "plugins/a/LICENSE").write_text("all rights reserved\n")
    with pytest.raises(SystemExit, match="is not the core's"):
        release.main(["--root", str(small)])


@pytest.mark.parametrize(("version", "said"), [("0.9", "must not lie before 1.0.0"), ("next", "such as 0.2.0")])
def test_a_new_version_must_be_later(small, version, said):
    with pytest.raises(SystemExit, match=said):
        release.main(["--root", str(small), "--version", version])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Changes\n", "no heading"),
        ("## 0.2.0, unreleased\n\n- x\n", "announces 0.2.0"),
        ("## Unreleased\n\n## 1.1.0, 2026-01-01\n\n- x\n", "a heading for 1.1.0 already"),
        ("## Unreleased\n\n## 1.0.0, 2026-01-01\n\n- x\n", "nothing is listed"),
    ],
)
def test_a_malformed_changelog_stops_a_release_before_anything_is_written(small, text, said):
    (small / "CHANGELOG.md").write_text(text)
    with pytest.raises(SystemExit, match=said):
        release.main(["--root", str(small), "--version", "1.1.0"])
    assert 'version = "1.0.0"' in (small / "core/pyproject.toml").read_text()
    assert (small / "CHANGELOG.md").read_text() == text


def test_a_version_announced_in_the_changelog_is_released():
    text = "# Changes\n\n## 0.1.0, unreleased\n\n- All.\n"
    assert release.cut(text, "0.1.0", DAY) == "# Changes\n\n## 0.1.0, 2026-11-23\n\n- All.\n"
