"""Built packages: their contents, and that they work in a fresh environment."""

from __future__ import annotations

import ast
import csv
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from email import message_from_string
from email.message import Message
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(file.parent for file in [ROOT / "core/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")])
NAMES = [package.name for package in PACKAGES]


def built(package: Path, kind: str, folder: Path) -> Path:
    """The sdist or wheel of `package`, built into `folder`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=package, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The wheel of every package of the repository, by its folder's name."""
    return {package.name: built(package, "wheel", tmp_path_factory.mktemp(package.name)) for package in PACKAGES}


def described(wheel: Path) -> tuple[list[str], Message, str]:
    """File names, metadata and entry points of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
        points = [archive.read(name).decode() for name in names if name.endswith(".dist-info/entry_points.txt")]
    return names, message_from_string(metadata), "".join(points)


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_a_wheel_contains_its_whole_package(package, wheels):
    names, _, _ = described(wheels[package.name])
    sources = package / "src"
    files = {file.relative_to(sources) for file in sources.rglob("*") if file.is_file()}
    expected = {file.as_posix() for file in files if "__pycache__" not in file.parts}
    assert expected == {name for name in names if ".dist-info/" not in name}


def test_data_files_are_in_the_wheels(wheels):
    held = {name for wheel in wheels.values() for name in described(wheel)[0]}
    assert {"eigenwalk/registry.toml", "eigenwalk/runs/outputs/report.html.j2", "eigenwalk/py.typed"} <= held
    rooms = "eigenwalk_miniatures/rooms"
    assert {f"{rooms}/{network}.safetensors" for network in ("generator", "segmenter", "regressor")} <= held


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_the_metadata_of_a_wheel_is_complete(package, wheels):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    names, metadata, points = described(wheels[package.name])
    core = package.name == "core"
    assert metadata["Name"] == ("eigenwalk" if core else f"eigenwalk-{package.name}")
    assert metadata["Version"] == project["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert str(metadata.get_payload()).strip()
    (licence,) = [name for name in names if name.endswith("licenses/LICENSE")]
    with zipfile.ZipFile(wheels[package.name]) as archive:
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    if core:
        assert "[console_scripts]\neigenwalk = eigenwalk.cli:main" in points
    elif "entry-points" in project:
        assert f"[eigenwalk]\n{package.name} = eigenwalk_{package.name.replace('-', '_')}.plugin" in points


def imported(package: Path) -> Iterator[str]:
    """The distributions of everything outside the standard library that `package` imports, or runs by ``-m``.

    pip and uv are left out of the latter: whichever made the environment is used, and neither is required.
    """
    (own,) = [folder.name for folder in (package / "src").iterdir() if (folder / "__init__.py").is_file()]
    providers = packages_distributions()
    for file in sorted((package / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            words = [getattr(one, "value", None) for one in node.elts] if isinstance(node, ast.List | ast.Tuple) else []
            found += [str(name) for flag, name in pairwise(words) if flag == "-m" and name not in ("pip", "uv")]
            for top in {name.partition(".")[0] for name in found} - {own} - set(sys.stdlib_module_names):
                # An editable install does not list its modules.
                names = [top] if re.match(r"eigenwalk(_|$)", top) else providers.get(top, [])
                assert names, f"{file}: no installed distribution provides {top}"
                yield from (normal(name) for name in set(names))


def normal(name: str) -> str:
    """A distribution's name in the one spelling that packaging compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_a_wheel_declares_exactly_what_its_package_imports_or_runs(package, wheels):
    declared = described(wheels[package.name])[1].get_all("Requires-Dist") or []
    needed, optional = set[str](), set[str]()
    for line in declared:
        (optional if "extra ==" in line else needed).add(normal(re.split(r"[^\w.-]", line)[0]))
    used = set(imported(package))
    assert needed <= used <= needed | optional


@pytest.fixture(scope="module")
def place(wheels: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheels in it, and everything else that is installed here but eigenwalk.

    The others are links, so that nothing is downloaded; ``.pth`` files, through which editable installs work, and
    whatever is called eigenwalk are left out.
    """
    place = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    python = place / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, *wheels.values()], check=True, capture_output=True)
    others = place / "others"
    others.mkdir()
    for folder in {Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))}:
        for entry in folder.iterdir():
            if "eigenwalk" not in entry.name and entry.suffix != ".pth":
                (others / entry.name).symlink_to(entry)
    (site,) = (place / "venv/lib").glob("python*/site-packages")
    (site / "others.pth").write_text(f"{others}\n")
    return place


def ran(place: Path, program: str, *words: str) -> str:
    """Standard output of a program of the fresh environment, run where no source of ours is in reach."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"EIGENWALK_CACHE": str(place / "cache"), "PYTHONWARNINGS": "default"}
    command = [place / "venv/bin" / program, *words]
    done = subprocess.run(command, cwd=place, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_is_imported_from_the_wheels(place):
    modules = ["eigenwalk", *(f"eigenwalk_{name.replace('-', '_')}" for name in NAMES if name != "core")]
    code = f"import importlib\nfor name in {modules}: print(importlib.import_module(name).__file__)"
    found = [Path(line) for line in ran(place, "python", "-c", code).splitlines()]
    assert len(found) == len(modules)
    assert all(file.is_relative_to(place / "venv") for file in found), found


def test_the_wheels_offer_every_name_of_the_index(place):
    index = tomllib.loads((ROOT / "registry.toml").read_text())
    code = "from eigenwalk.names.registry import Registry\nfor one in Registry.discover().directions: "
    listed = ran(place, "python", "-c", code + "print(one.name, one.distribution)").splitlines()
    told = {"directions": dict(line.split() for line in listed)}
    for what in ("features", "generators"):
        lines = [line.split() for line in ran(place, "eigenwalk", what).splitlines()]
        told[what] = {words[0]: words[-2] for words in lines}
    for what, offered in told.items():
        ours = {name: entry for name, entry in index[what].items() if entry["distribution"].split("-")[-1] in NAMES}
        assert offered == {name: entry["distribution"] for name, entry in ours.items()}
    assert "failed" not in ran(place, "eigenwalk", "doctor")


def test_the_wheels_walk(place):
    sofa = "rooms.part(sofa)"
    words = ["--fix", sofa, "--vary", f"~{sofa}", "--steps", "2", "--paths", "2", "--out", "walked", "--quiet"]
    assert ran(place, "eigenwalk", "walk", "rooms", *words).strip() == "walked"
    walked = place / "walked"
    assert all((walked / name).stat().st_size > 1000 for name in ("strip.png", "plot.png", "report.html"))
    rows = list(csv.DictReader((walked / "changes.csv").read_text().splitlines()))
    assert len(rows) >= 3
    assert len(list((walked / "paths").glob("*.json"))) == 2
    installed = tomllib.loads((walked / "recipe.toml").read_text())["installed"]
    assert {"eigenwalk", "eigenwalk-miniatures"} <= set(installed)


def test_a_wheel_built_from_the_sdist_contains_the_index(tmp_path):
    sdist = built(ROOT / "core", "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(built(source, "wheel", tmp_path / "wheel")) as wheel:
        shipped = wheel.read("eigenwalk/registry.toml")
    assert shipped == (ROOT / "registry.toml").read_bytes()
