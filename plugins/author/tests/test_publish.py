"""``eigenwalk publish``: a package that others can install, and packages that they could not."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from eigenwalk.errors import ContractError, FileError, InputError
from eigenwalk_author.borrow import closure, link
from eigenwalk_author.entry import entry, index_faults
from eigenwalk_author.environment import StepError, run
from eigenwalk_author.trial import Answer, install
from eigenwalk_author.wheel import EXAMPLE, Wheel, faults, gaps, read

PROGRAM = [sys.executable, "-W", "ignore", "-c", "from eigenwalk.cli import main; main()"]


def eigenwalk(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder`, at a terminal without line breaks."""
    environment = {**os.environ, "PATH": f"{folder / 'no-uv'}", "TMPDIR": str(folder)}
    return subprocess.run([*PROGRAM, *words], cwd=folder, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A new package of a feature."""
    words = ["new", "feature", "warmth", "--author", "Ada", "--homepage", "https://example.org/warmth", "--yes"]
    assert eigenwalk(*words, folder=tmp_path).returncode == 0
    return tmp_path / "eigenwalk-warmth"


def test_a_package_is_built_tried_and_proposed_but_not_uploaded(made):
    done = eigenwalk("publish", made.name, "--borrow", folder=made.parent)
    assert done.returncode == 0, done.stderr
    wheel, sdist = (made / "dist" / f"eigenwalk_warmth-0.1.0{end}" for end in ("-py3-none-any.whl", ".tar.gz"))
    assert wheel.is_file() and sdist.is_file()
    assert "twine check --strict" in done.stdout
    assert f"twine upload eigenwalk-warmth/dist/{wheel.name} eigenwalk-warmth/dist/{sdist.name}" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.strip().startswith("$") and "upload" in line]
    assert "warmth: 27 checks passed, 0 failed" in done.stdout and "it offers warmth" in done.stdout
    (row,) = tomllib.loads((made / "registry-entry.toml").read_text())["features"].values()
    assert row == {
        "distribution": "eigenwalk-warmth",
        "summary": "mean and deviation of each colour",
        "kind": "feature",
        "unit": "RMS colour moment",
        "licence": "Apache-2.0",
        "weights_licence": "no weights",
        "homepage": "https://example.org/warmth",
        "api": 1,
        "checked": "0.1.0",
        "checked_on": date.today(),
        "findings": [],
    }
    assert "is complete" in done.stdout
    assert f"rewrite what stands under {EXAMPLE}" in done.stderr, "its README still tells of the example"
    assert not list(made.parent.glob("eigenwalk-trial-*")), "a trial that went well leaves nothing"


def test_an_undeclared_requirement_is_missing_in_the_trial(made):
    code = made / "src/eigenwalk_warmth/feature.py"
    code.write_text(code.read_text().replace("import torch\n", "import scipy\nimport torch\n", 1))
    done = eigenwalk("publish", made.name, "--borrow", folder=made.parent)
    assert done.returncode == StepError.exit_code
    assert "scipy" in done.stderr and "step 4" in done.stderr and "the same command again" in done.stderr
    assert "the environment is kept in" in done.stderr and list(made.parent.glob("eigenwalk-trial-*/environment"))
    assert len(list((made / "dist").iterdir())) == 2
    assert not (made / "registry-entry.toml").exists()


def test_a_plugin_that_breaks_the_contract_is_not_proposed(made):
    code = made / "src/eigenwalk_warmth/feature.py"
    code.write_text(code.read_text().replace("        mean = ", "        images = images.clamp(0, 1)\n        mean = "))
    done = eigenwalk("publish", made.name, "--borrow", folder=made.parent)
    assert done.returncode == ContractError.exit_code, done.stderr
    assert "warmth: clip:" in done.stderr and "→ leave out clamp" in done.stderr
    assert not (made / "registry-entry.toml").exists()


@pytest.mark.parametrize(
    ("prepare", "code", "said"),
    [
        (lambda folder: None, FileError.exit_code, "there is no pyproject.toml"),
        (lambda folder: (folder / "pyproject.toml").write_text("name ="), FileError.exit_code, "is not TOML"),
        (
            lambda folder: (folder / "pyproject.toml").write_text(
                '[build-system]\nrequires = []\nbuild-backend = "no"\n'
            ),
            StepError.exit_code,
            "step 2, sdist and wheel",
        ),
    ],
)
def test_a_folder_that_is_not_a_package_is_refused(tmp_path, prepare, code, said):
    prepare(tmp_path)
    done = eigenwalk("publish", ".", "--borrow", folder=tmp_path)
    assert done.returncode == code and said in done.stderr


METADATA = """Metadata-Version: 2.4
Name: eigenwalk-x
Version: 1.2
Summary: x
License-Expression: MIT
License-File: LICENSE
Requires-Python: >=3.11
Project-URL: Source, https://example.org/source
Project-URL: Homepage, https://example.org
Requires-Dist: eigenwalk>=0.1
Requires-Dist: pytest; extra == 'test'

# x
"""


def wheel(folder: Path, text: str = METADATA, points: str = "[eigenwalk]\nx = x.plugin\n", **files: str) -> Wheel:
    """A wheel with this metadata and these entry points."""
    path = folder / "eigenwalk_x-1.2-py3-none-any.whl"
    held = {"METADATA": text, "entry_points.txt": points}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(f"eigenwalk_x-1.2.dist-info/{name}", content)
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return read(path)


def test_metadata_and_entry_points_of_a_wheel_are_read(tmp_path):
    one = wheel(tmp_path, x__plugin="")
    assert (one.distribution, one.version, one.licence) == ("eigenwalk-x", "1.2", "MIT")
    assert one.homepage == "https://example.org" and one.plugins == (("x", "x.plugin"),)
    assert [str(requirement) for requirement in one.requires] == ["eigenwalk>=0.1"]
    assert not list(faults(one)) and not list(gaps(one))
    (tmp_path / "y.whl").write_text("no")
    with pytest.raises(FileError, match="not a wheel"):
        read(tmp_path / "y.whl")


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("License-Expression: MIT\n", "", "SPDX"),
        ("License-File: LICENSE\n", "", "license-files"),
        ("Summary: x\n", "", "description"),
        ("\n# x\n", "\n", "readme"),
        ("Requires-Python: >=3.11\n", "", "requires-python"),
    ],
)
def test_requirements_that_others_cannot_install_are_reported(tmp_path, line, instead, said):
    assert line in METADATA
    (gap,) = gaps(wheel(tmp_path, METADATA.replace(line, instead)))
    assert said in gap


def test_other_faults_of_wheels_are_reported(tmp_path):
    assert "entry point" in next(faults(wheel(tmp_path, points="[console_scripts]\nx = x:main\n")))
    (fault,) = faults(wheel(tmp_path, METADATA.replace("Requires-Dist: eigenwalk>=0.1\n", "")))
    assert "does not require eigenwalk" in fault
    (gap,) = gaps(wheel(tmp_path, tests__test_x="", x__plugin=""))
    assert "tests/ would be installed" in gap
    (gap,) = gaps(wheel(tmp_path, "\n".join(line for line in METADATA.split("\n") if "URL" not in line)))
    assert "homepage" in gap
    (gap,) = gaps(wheel(tmp_path, f"{METADATA}\n{EXAMPLE}\n\nValues are those of the example.\n"))
    assert "its page still tells of the example" in gap


def test_only_required_distributions_are_borrowed(tmp_path):
    found = closure([Requirement("pydantic>=2")])
    assert {"pydantic", "pydantic-core", "typing-extensions"} <= set(found) and not {"torch", "numpy"} & set(found)
    lines = link(found.values(), tmp_path / "borrowed")
    assert lines[0] == str(tmp_path / "borrowed")
    assert (tmp_path / "borrowed/pydantic/__init__.py").is_file() and not (tmp_path / "borrowed/torch").exists()
    code = "import pydantic, importlib.util, importlib.metadata as m; print(pydantic.__file__, m.version('pydantic'), "
    code += "importlib.util.find_spec('numpy'))"
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {lines}; {code}"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert said == [str(tmp_path / "borrowed/pydantic/__init__.py"), metadata.version("pydantic"), "None"]


def test_an_editable_install_is_borrowed_by_its_path(tmp_path):
    lines = link([metadata.distribution("eigenwalk")], tmp_path / "borrowed")
    assert str(Path(__file__).parents[3] / "core/src") in lines


@pytest.mark.parametrize(("line", "said"), [("no-such-thing", "pip install"), ("pydantic<1", "is installed here")])
def test_a_distribution_that_cannot_be_borrowed_is_reported(line, said):
    with pytest.raises(InputError, match=said):
        closure([Requirement(line)])


def test_proposed_rows_agree_with_the_specs(tmp_path):
    offers = [
        {"table": "features", "name": "x.a", "summary": "a", "kind": "feature", "unit": "u", "api": 1, "weights": []},
        {"table": "directions", "name": "b", "summary": "b", "api": 1, "weights": ["MIT", "MIT", "CC-BY-4.0"]},
    ]
    found = [
        {"check": "clip", "outcome": "expected", "measured": "bytes\nonly", "remedy": ""},
        {"check": "shape", "outcome": "passed", "measured": "well", "remedy": ""},
    ]
    reports = [{"name": "x.a(1)", "names": ["x.a"], "findings": found}]
    text = entry(wheel(tmp_path), Answer("0.1.0", True, offers, [], [], reports), date(2026, 11, 23))
    rows = tomllib.loads(text)
    assert rows["features"]["x.a"]["findings"] == ["x.a(1): clip: bytes only"]
    assert rows["directions"]["b"]["weights_licence"] == "MIT, CC-BY-4.0" and "unit" not in rows["directions"]["b"]
    (tmp_path / "rows.toml").write_text(text)
    assert index_faults(tmp_path / "rows.toml") == []
    (tmp_path / "rows.toml").write_text(text.replace('"x.a"', '"pixels"', 1))
    assert any("shadows feature pixels of eigenwalk-pixels" in one for one in index_faults(tmp_path / "rows.toml"))


def test_a_failing_program_is_shown_with_its_last_output():
    shown: list[str] = []
    with pytest.raises(StepError, match="exit code 3; its last words:\nno"):
        run([sys.executable, "-c", "print('no'); raise SystemExit(3)"], shown.append)
    assert shown[0].startswith("$ ") and "SystemExit(3)" in shown[0]
    with pytest.raises(StepError, match="cannot be run"):
        run(["no-such-program"], shown.append)


def test_a_failed_download_suggests_alternatives(tmp_path, monkeypatch):
    text = METADATA.replace("Requires-Dist: eigenwalk>=0.1\n", "Requires-Dist: eigenwalk-of-nobody>=7\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("PIP_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    shown: list[str] = []
    info = "eigenwalk_x-1.2.dist-info"
    whole = {f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", f"{info}/RECORD": ""}
    with pytest.raises(StepError, match=r"eigenwalk-of-nobody(?s:.*)--find-links FOLDER adds(?s:.*)--borrow uses"):
        install(tmp_path, wheel(tmp_path, text, **whole), shown.append)
    assert "several GB" in " ".join(shown)
