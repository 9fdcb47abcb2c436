"""The makers of small networks that the conformance cases use too."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    """The module of the cases."""
    spec = importlib.util.spec_from_file_location("masks_cases", Path(__file__).with_name("cases.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sam_file(cases: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the small network of segment-anything, ``vit_small``."""
    path = tmp_path_factory.mktemp("sam") / "sam.pth"
    cases.save_sam(path)
    return path


@pytest.fixture(scope="session")
def segformer(cases: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small SegFormer of the labels wall, sofa (couch) and lamp."""
    folder = tmp_path_factory.mktemp("segformer")
    cases.small_segformer(folder)
    return folder / "net"
