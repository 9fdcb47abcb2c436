"""Folders of tiny models, which all tests share and none changes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"diffusers_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes models."""
    return _module("tiny")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six pictures."""
    return _module("cases").pictures(tmp_path_factory.mktemp("some") / "pictures")


@pytest.fixture(scope="session")
def pipeline(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Gives the folder of a pipeline, and diffusers' own object that was saved there; each made once."""
    made: dict[str, Any] = {}

    def of(name: str) -> SimpleNamespace:
        if name not in made:
            folder = tmp_path_factory.mktemp("pipelines") / name
            options = {"classes": 5} if name == "consistency" else {}
            made[name] = SimpleNamespace(folder=folder, own=getattr(tiny, name)(folder, **options))
        return made[name]

    return of


@pytest.fixture(scope="session")
def model(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Gives the folder of an autoencoder, and diffusers' own object that was saved there; each made once."""
    made: dict[str, Any] = {}

    def of(name: str) -> SimpleNamespace:
        if name not in made:
            folder = tmp_path_factory.mktemp("models") / name
            made[name] = SimpleNamespace(folder=folder, own=tiny.saved(getattr(tiny, name)(), folder))
        return made[name]

    return of
