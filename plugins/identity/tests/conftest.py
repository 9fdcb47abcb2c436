"""Weights that are made once for all tests of this package, and the images of its cases."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eigenwalk_identity.identity import recogniser


@pytest.fixture(scope="session")
def cases() -> SimpleNamespace:
    """What the cases for the conformance kit are made of."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cases.py"))))


@pytest.fixture(scope="session")
def weights(cases, tmp_path_factory) -> Path:
    """An untrained recogniser in the published layout."""
    path = tmp_path_factory.mktemp("weights") / "facenet.pt"
    cases.write_recogniser(path)
    return path


@pytest.fixture
def network(weights) -> torch.nn.Module:
    """The recogniser as the plugin opens it."""
    return recogniser(weights)
