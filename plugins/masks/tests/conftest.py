"""Small networks of the conformance cases, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import save_sam, small_segformer


@pytest.fixture(scope="session")
def sam_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the small network of segment-anything, ``vit_small``."""
    path = tmp_path_factory.mktemp("sam") / "sam.pth"
    save_sam(path)
    return path


@pytest.fixture(scope="session")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small SegFormer of the labels wall, sofa (couch) and lamp."""
    folder = tmp_path_factory.mktemp("segformer")
    small_segformer(folder)
    return folder / "net"
