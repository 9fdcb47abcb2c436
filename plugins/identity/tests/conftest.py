"""Weights that are made once for all tests of this package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eigenwalk_identity.identity import recogniser

from .cases import write_recogniser


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """An untrained recogniser in the published layout."""
    path = tmp_path_factory.mktemp("weights") / "facenet.pt"
    write_recogniser(path)
    return path


@pytest.fixture(scope="session")
def network(weights) -> torch.nn.Module:
    """The recogniser as the plugin opens it."""
    return recogniser(weights)
