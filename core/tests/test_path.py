"""Paths that are saved and loaded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np

from eigenwalk.path import Path
from eigenwalk.runs.outputs.journal import load_journal, save_waypoint
from fabricated import path as fabricated


def transposed() -> Path:
    """Make a path whose pictures are transposed views, as a generator's are (it puts channels first)."""
    whole, random = fabricated(), np.random.default_rng(0)
    images = [random.integers(0, 256, (3, 6, 8), dtype=np.uint8).transpose(1, 2, 0) for _ in whole]
    return replace(whole, waypoints=tuple(replace(w, image=i) for w, i in zip(whole, images, strict=True)))


def same(saved: Path, loaded: Path) -> None:
    """Whether two paths are equal, picture by picture."""
    assert len(saved) == len(loaded)
    for a, b in zip(saved, loaded, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.latent, b.latent)
        np.testing.assert_array_equal(a.direction, b.direction)
        assert (a.index, a.changes, a.step_size, a.cost) == (b.index, b.changes, b.step_size, b.cost)


def test_pictures_of_any_memory_layout_are_saved_intact(tmp_path: FilePath) -> None:
    whole = transposed()
    same(whole, Path.load(whole.save(tmp_path)))


def test_pictures_of_a_running_walk_are_saved_intact(tmp_path: FilePath) -> None:
    whole = transposed()
    save_waypoint(tmp_path, 1, (whole,), {})
    (loaded,) = load_journal(tmp_path).paths
    same(whole, loaded)
