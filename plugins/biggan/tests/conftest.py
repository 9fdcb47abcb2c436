"""The writer of files in both formats' layouts, which the conformance cases use too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def _layouts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("biggan_layouts", Path(__file__).with_name("layouts.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def layouts() -> ModuleType:
    """The module that writes files."""
    return _layouts()


@pytest.fixture(scope="session")
def file(layouts: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the file of a configuration, written once."""
    folder, made = tmp_path_factory.mktemp("files"), {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = layouts.written(name, folder)
        return made[name]

    return of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every configuration there is a reference of."""
    if "configuration" in metafunc.fixturenames:
        metafunc.parametrize("configuration", _layouts().names())
