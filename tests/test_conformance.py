"""Every feature and generator of this repository keeps the contract: the conformance kit over all plugins' cases."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest

from eigenwalk.names.registry import Registry
from eigenwalk.testing import Case, check, names

ROOT = Path(__file__).parents[1]
REGISTRY = Registry.discover()


def cases(file: Path) -> list[Case]:
    """CASES of the cases.py at `file`."""
    name = f"eigenwalk_cases_{file.parents[1].name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


ALL = {file.parents[1].name: cases(file) for file in sorted(ROOT.glob("plugins/*/tests/cases.py"))}
EVERY = [pytest.param(case, id=f"{plugin}: {case}") for plugin, found in ALL.items() for case in found]


@pytest.mark.parametrize("case", EVERY)
def test_a_feature_or_generator_keeps_the_contract(case):
    check(case, REGISTRY).raise_for_failures()


PROJECTS = sorted(ROOT.glob("plugins/*/pyproject.toml"))
OFFERING = [file.parent.name for file in PROJECTS if "entry-points" in file.read_text()]
"""Packages that offer names, and are not libraries that others share."""


@pytest.mark.parametrize("plugin", OFFERING)
def test_every_name_that_a_plugin_offers_is_in_one_of_its_cases(plugin):
    project = tomllib.loads((ROOT / "plugins" / plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = (*REGISTRY.features, *REGISTRY.generators, *REGISTRY.directions)
    present = {offer.distribution for offer in (*named, *REGISTRY.commands)}
    assert project["name"] in present, f"{project['name']} is not installed, or offers nothing: run make venv"
    offered = {offer.name for offer in named if offer.distribution == project["name"]}
    checked = {name for case in ALL.get(plugin, ()) for name in names(case, REGISTRY)}
    assert offered <= checked, f"plugins/{plugin}/tests/cases.py lacks {', '.join(sorted(offered - checked))}"
