# ruff: noqa: F811
"""``eigenwalk index check``: what it finds in a file, and in packages that it installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eigenwalk_author import index_probe, probe
from test_index import cache, own, row, run  # noqa: F401


def test_the_command_exits_with_what_it_found(own, cache, capsys):
    own.write_text("\n" + row(unit=None))
    assert run("index", "check", str(own)) == 1
    said = capsys.readouterr().out
    assert "line 2: features.hair: it lacks unit" in said and "Listed is not audited" in said
    own.write_text("not toml")
    assert run("index", "check", str(own)) == 4
    assert run("index", "check") == 0


PLUGIN = """
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec

{first}

@hookimpl
def eigenwalk_features():
    return [FeatureSpec("hair", "nowhere:Nothing", "how long hair is", unit="logit")]
"""


def wheel(folder: Path, first: str = "") -> None:
    """Builds acme-hair 1.2 from a folder into `folder`."""
    source = folder / "acme_hair"
    source.mkdir(parents=True)
    (source / "acme_hair.py").write_text(PLUGIN.format(first=first))
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "acme-hair"\nversion = "1.2"\nlicense = "MIT"\n'
        '[project.entry-points.eigenwalk]\nhair = "acme_hair"\n'
        '[tool.hatch.build.targets.wheel]\ninclude = ["acme_hair.py"]\n'
    )
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


@pytest.mark.parametrize("module", [probe, index_probe])
def test_what_runs_in_another_environment_imports_nothing_of_this_package(module):
    assert "eigenwalk_author" not in Path(module.__file__).read_text()


def test_install_compares_the_index_with_what_is_installed_elsewhere(own, cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    marker = tmp_path / "imported"
    wheel(tmp_path / "wheels", f"open({str(marker)!r}, 'a').write(__import__('sys').prefix)")
    words = ["index", "check", str(own), "--install", "--borrow", "--find-links", str(tmp_path / "wheels")]
    own.write_text(row())
    assert run(*words) == 0
    assert "acme-hair: 1 as listed" in capsys.readouterr().out
    assert sys.prefix not in marker.read_text() and "env" in marker.read_text()
    assert "acme_hair" not in sys.modules
    own.write_text(row(unit='"pixels"', licence='"BSD-3-Clause"') + row("beard"))
    assert run(*words) == 1
    said = capsys.readouterr().out
    assert "unit of feature hair is 'logit', the index says 'pixels'" in said
    assert "its licence is MIT, the index says BSD-3-Clause" in said
    assert "it offers no feature beard" in said
    own.write_text(row(checked='"1.3"'))
    assert run(*words) == 1
    assert "it cannot be tried: " in capsys.readouterr().out
