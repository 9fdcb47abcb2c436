"""An empty store for every test, and small networks that are made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import CONVOLUTIONS, TRANSFORMER, classifier, state


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> str:
    """The file of a network of the labels smile and glasses."""
    return str(classifier(tmp_path_factory.mktemp("labelled")))


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> dict[str, str]:
    """Files of backbones without a head, by architecture."""
    folder: Path = tmp_path_factory.mktemp("backbones")
    return {name: str(state(folder, name, name=f"{name}.pth")) for name in (CONVOLUTIONS, TRANSFORMER)}


@pytest.fixture(scope="session")
def two_outputs(tmp_path_factory) -> Path:
    """The state dict of a convolutional network of two outputs."""
    return state(tmp_path_factory.mktemp("two"), CONVOLUTIONS, 2)
