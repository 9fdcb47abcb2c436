"""What the studio saves, within so many bytes: what was used longest ago goes first. No torch, no gradio."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eigenwalk_studio.engine import Engine

SHELVES = ("histories", "masks", "photographs", "starts")
"""Folders beside the walks, whose entries go one by one."""


def tidy(engine: Engine, most: int) -> None:
    """Remove what was used longest ago until all that lies in the engine's folder takes at most `most` bytes.

    Walks and searches that go on, and walks that are paused, stay.
    """
    measured = [(*_measure(entry), entry) for entry in _entries(engine.library.out)]
    total = sum(size for size, _, _ in measured)
    for size, _, entry in sorted(measured, key=lambda one: one[1]):
        if total <= most:
            return
        with engine.condition:  # nobody begins to walk in it meanwhile
            if any(entry == folder for folder in _busy(engine)):
                continue
            engine.walks.pop(entry.name, None)
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        total -= size


def _entries(out: Path) -> Iterator[Path]:
    for one in out.iterdir() if out.is_dir() else ():
        yield from one.iterdir() if one.name in SHELVES and one.is_dir() else (one,)


def _measure(entry: Path) -> tuple[int, float]:
    """Return bytes, and when something was last written in it; both 0 where it is gone."""
    size, last = 0, 0.0
    for one in (entry, *entry.rglob("*")):
        with suppress(OSError):
            found = one.lstat()
            size, last = size + found.st_size, max(last, found.st_mtime)
    return size, last


def _busy(engine: Engine) -> Iterator[Path]:
    yield from (walk.place for walk in engine.walks.values() if walk.is_alive or walk.condition == "paused")
    yield from (search.place for search in engine.searches if search.is_alive)
    yield from (one.place for one in engine.hung.values())
