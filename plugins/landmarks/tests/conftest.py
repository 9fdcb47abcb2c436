"""The images of this package's cases."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def cases() -> SimpleNamespace:
    """What the cases for the conformance kit are made of."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cases.py"))))
