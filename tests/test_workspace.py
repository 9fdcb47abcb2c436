"""What the packages of this repository share: versions, licence, pins, and the index of names."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from eigenwalk.names.index import TABLES, shipped_index
from eigenwalk.names.registry import Registry

ROOT = Path(__file__).parents[1]
PROJECTS = {
    file.parent.name: tomllib.loads(file.read_text(encoding="utf-8"))
    for file in [ROOT / "core/pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
}


def distribution(line: str) -> str:
    """The normal form of the distribution that a requirement names."""
    found = re.match(r"[\w.-]+", line)
    assert found, line
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def lines(file: str) -> list[str]:
    """Return the lines of a requirements file without comments."""
    return [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def test_constraints_are_exact_versions_of_third_parties():
    pins = lines("constraints.txt")
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pins), "name==version alone: no host, no path"
    names = [distribution(line) for line in pins]
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith(("eigenwalk", "nvidia-", "cuda-"))]


def test_all_requirements_of_packages_and_tests_are_pinned():
    asked = {distribution(line) for line in lines("requirements-test.txt")}
    for project in PROJECTS.values():
        asked |= {distribution(line) for line in project["project"]["dependencies"]}
        asked |= {distribution(line) for line in project["build-system"]["requires"]}
        for extra in project["project"].get("optional-dependencies", {}).values():
            asked |= {distribution(line) for line in extra}
    pinned = {distribution(line) for line in lines("constraints.txt")}
    assert {name for name in asked if not name.startswith("eigenwalk")} <= pinned


def test_requirements_of_pinned_packages_are_pinned():
    pinned = {distribution(line) for line in lines("constraints.txt")}
    lacking = dict[str, str]()
    for name in sorted(pinned - {"torch"}):  # which asks for what one kind of machine needs
        with suppress(PackageNotFoundError):  # pinned for another system than this one
            for asked in map(Requirement, requires(name) or ()):
                if asked.marker is None or asked.marker.evaluate({"extra": ""}):
                    lacking |= {} if distribution(asked.name) in pinned else {asked.name: name}
    assert not lacking


@pytest.mark.parametrize("name", PROJECTS)
def test_packages_share_version_licence_and_python(name):
    project = PROJECTS[name]["project"]
    core = PROJECTS["core"]["project"]
    assert (project["version"], project["license"]) == (core["version"], "Apache-2.0")
    assert project["requires-python"] == core["requires-python"]
    assert f"## {core['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    folder = ROOT / ("core" if name == "core" else f"plugins/{name}")
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_index_agrees_with_the_specs():
    registry, index = Registry.discover(), shipped_index()
    ours = {project["project"]["name"] for project in PROJECTS.values()}
    assert {entry.distribution for _, entry in index.entries()} <= ours
    for table in TABLES:
        offers = {offer.name: offer for offer in getattr(registry, table) if offer.distribution in ours}
        rows = getattr(index, table)
        assert set(offers) == set(rows)
        for name, offer in offers.items():
            entry, spec = rows[name], offer.spec
            listed = (entry.distribution, entry.summary, entry.api, entry.kind, entry.unit, entry.checked)
            said = (spec.summary, getattr(spec, "api", 1), getattr(spec, "kind", ""), getattr(spec, "unit", ""))
            assert listed == (offer.distribution, *said, offer.version)


def test_each_row_of_the_index_names_its_packages_folder():
    link = ROOT / "registry.toml"
    assert link.is_symlink() and link.resolve() == ROOT / "core/src/eigenwalk/registry.toml"
    for kind, entry in shipped_index().entries():
        if entry.is_ours:
            folder = ROOT / entry.homepage
            assert folder.parent == ROOT / "plugins" and (folder / "pyproject.toml").is_file(), (kind, entry.name)
            assert PROJECTS[folder.name]["project"]["name"] == entry.distribution, (kind, entry.name)


def test_the_index_names_the_libraries_that_a_distribution_depends_on():
    for _, entry in shipped_index().entries():
        if entry.is_ours:
            asked = PROJECTS[Path(entry.homepage).name]["project"]["dependencies"]
            named = {
                name.removeprefix("eigenwalk-") for name in map(distribution, asked) if name.startswith("eigenwalk-")
            }
            assert {Path(folder).name for folder in entry.libraries} == named, entry.name
