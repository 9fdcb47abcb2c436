"""``eigenwalk index check``: problems of a file, and of packages that it installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eigenwalk.names import index
from eigenwalk.names.methods import METHODS
from eigenwalk_author import index_probe, probe
from eigenwalk_author.schema import RESERVED, check_index
from index_rows import row, run


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "index.toml"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_shipped_index_has_no_problems():
    assert check_index(index.SHIPPED) == []
    assert all(entry.findings is not None and entry.checked for _, entry in index.shipped_index().entries())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (row(summary=None, api=None), "line 1: features.hair: it lacks summary, api"),
        (row(finding="[]", findings=None), "finding is no field of features; did you mean findings?"),
        (row(distribution='"eigenwalk"'), "distribution is the core itself"),
        (row(distribution='"has spaces"'), "distribution must be the name of a distribution"),
        (row(distribution='"--index-url=https://example.org"'), "distribution must be the name of a distribution"),
        (row("'Index check'", "commands", kind=None, unit=None), "must be one word, or a group"),
        (row(licence='"Apache 2"'), "licence must be an SPDX expression"),
        (row(licence='"mit"'), "licence is written 'MIT' in SPDX"),
        (row(weights_licence='"unknown"'), "weights_licence must name the licence of the weights"),
        (row(homepage='"example.org"'), "homepage must be the https:// address"),
        (row(homepage='"plugins/hair"'), "homepage must be the https:// address"),
        (row(kind='"projector"'), "kind input should be 'feature' or 'projection'"),
        (row(api="0"), "api input should be greater than or equal to 1"),
        (row(api='"1"'), "api input should be a valid integer"),
        (row(checked='"one"'), "checked must be the version that was checked"),
        (row(checked_on="2999-01-31"), "checked_on lies in the future"),
        (row(findings='""'), "findings input should be a valid list"),
        (row("open"), "is a name of the core"),
        (row('"not a name"'), "must be dotted words"),
        (row("hair") + row("hair", "directions", kind=None, unit=None), "stands beside features.hair"),
        (row("hair_x") + row("hairX"), "can hardly be told from features.hair_x"),
        (row("mask"), "shadows feature mask of eigenwalk-masks in the shipped index"),
        (row("rooms"), "shadows generator rooms of eigenwalk-miniatures"),
        (row(distribution='"eigenwalk-maskz"'), "can be taken for 'eigenwalk-masks'"),
        (row() + row("beard", distribution='"Acme_Hair"'), "written in several ways: Acme_Hair, acme-hair"),
        ("[plugins.hair]\n", "table [plugins] is none of features, generators, directions, commands"),
        ("features = 3\n", "must be a table of rows"),
    ],
)
def test_problems_of_an_index_are_reported_with_their_line(own, text, expected):
    own.write_text(text)
    found = [str(one) for one in check_index(own, [index.shipped_index()])]
    assert any(expected in one for one in found), found


def test_a_correct_row_has_no_problems(own):
    command = row("hair", "commands", kind=None, unit=None)  # a command may be called as a feature is
    own.write_text(row() + row("other", "generators", kind=None, unit=None, reads='[".xyz files"]') + command)
    assert check_index(own, [index.shipped_index()]) == []


def test_names_of_the_core_are_reserved():
    assert set(METHODS) <= set(RESERVED)


def test_the_exit_code_of_index_check_says_if_it_found_problems(own, cache, capsys):
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
    """Build acme-hair 1.2 from a folder into `folder`."""
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
def test_the_script_for_another_environment_imports_nothing_of_this_package(module):
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
