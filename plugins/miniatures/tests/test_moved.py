"""The table of what a walk moved, as the regressor reads it, on paths made from renders."""

from __future__ import annotations

import sys
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch

from eigenwalk.errors import FileError
from eigenwalk.path import Cost, Path, Role, Waypoint
from eigenwalk_miniatures import moved
from eigenwalk_miniatures.miniature import Miniature


def path(world: Miniature, factor: str, seed: int, low: float = 0.2, high: float = 0.8) -> Path:
    """A path of two waypoints that moves one factor alone."""
    shares = world.factors.share(world.factors.sample(1, seed)).repeat(2, 1)
    shares[:, world.factors.index(factor)] = torch.tensor([low, high])
    images = (world.render(world.factors.scale(shares), 64)[0] * 255).round().byte().permute(0, 2, 3, 1).numpy()
    roles = (Role("faces.identity", "fixed", "cosine distance", 0.8, 0.2), Role("faces.part(hair)", "varied", "x", 0.5))
    changes = [{"faces.identity": 0.04 * i, "faces.part(hair)": 0.5 * i} for i in range(2)]
    waypoints = tuple(Waypoint(i, np.zeros(4), images[i], changes[i], np.zeros(4), 0.0, 0.0, Cost()) for i in range(2))
    return Path(f"{world.name}(space=z)", seed, 1, 1, roles, waypoints)


def test_the_table_shows_the_factor_that_moved(people: Miniature) -> None:
    found = moved.measure([path(people, "hair_length", seed) for seed in range(6)])
    change = found.change
    assert change["hair_length"] == pytest.approx(0.6, abs=0.1)
    assert all(value < 0.15 for name, value in change.items() if name != "hair_length"), change
    assert found.features == {
        "faces.identity": ("fixed", pytest.approx(0.05)),
        "faces.part(hair)": ("varied", pytest.approx(1.0)),
    }
    assert [name for names in found.groups.values() for name in names] == list(people.factors.names)


def test_the_table_of_a_saved_run_is_printed(
    people: Miniature, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path(people, "skin_lightness", 3).save(tmp_path / "paths")
    monkeypatch.setattr(sys, "argv", ["moved", str(tmp_path)])
    moved.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 paths of faces"
    identity = lines.index(next(line for line in lines if line.startswith("identity: mean")))
    assert lines[identity + 1].split()[1] == "skin_lightness"
    assert any(line.startswith("everything else: mean") for line in lines)


def test_a_folder_without_a_run_is_refused(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["moved", str(tmp_path)])
    with pytest.raises(SystemExit) as told:
        moved.main()
    assert told.value.code == 1
    assert "holds no finished run" in capsys.readouterr().err


def test_paths_of_other_generators_or_without_steps_are_refused(people: Miniature) -> None:
    one = path(people, "yaw", 0)
    with pytest.raises(FileError, match="got biggan"):
        moved.measure([Path("biggan", 0, 1, 1, (), one.waypoints)])
    with pytest.raises(FileError, match="ended at the start"):
        moved.measure([Path("faces", 0, 1, 1, (), one.waypoints[:1])])
    with pytest.raises(FileError, match="no paths"):
        moved.measure([])
