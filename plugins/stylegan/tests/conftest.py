"""Files of every configuration, each written once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import stylegan_files


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the file of a configuration."""
    folder = tmp_path_factory.mktemp("files")
    return cache(lambda name: stylegan_files.write(name, folder, source=f"open({str(folder / 'run')!r}, 'w')"))
