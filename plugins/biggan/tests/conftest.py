"""Files of every configuration, each written once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import biggan_files
import pytest


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the file of a configuration."""
    return cache(partial(biggan_files.write, folder=tmp_path_factory.mktemp("files")))
