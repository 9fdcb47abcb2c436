"""For tests of files made to do harm: a limit on memory, and safetensors headers of any kind."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOM = 512 << 20
"""Bytes that a test may take beyond what the process has already; the files claim 10 GB."""


def safetensors(header: object, size: int | None = None) -> bytes:
    text = json.dumps(header).encode() if isinstance(header, dict) else bytes(header)  # type: ignore[call-overload]
    return struct.pack("<Q", len(text) if size is None else size) + text + bytes(4)


@pytest.fixture
def little_memory(monkeypatch, tmp_path) -> Iterator[None]:
    """Limit memory to `ROOM` bytes, in a folder where a hostile command would leave a file."""
    resource = pytest.importorskip("resource")
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
