"""What a run did, averaged into directions of a file: aligned, followed, refused where it does not fit."""

from __future__ import annotations

from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from eigenwalk.errors import CompositionError, FileError
from eigenwalk.path import Cost, Path, Role, Waypoint
from eigenwalk_baselines.command import distil as command
from eigenwalk_baselines.distilled import Distilled, average, distil

from . import toys

VARIED = Role("brightness", "varied", "mean pixel", 0.1)


def path(moved: list[float], seed: int = 0, rank: int = 1, sense: int = 1, generator: str = "toy") -> Path:
    """A path of one step by `moved`."""
    start = np.full(len(moved), float(seed))
    image = np.zeros((2, 2, 3), np.uint8)
    rows = [
        Waypoint(n, z, image, {"brightness": 0.1 * n}, 0 * z, 0.0, 0.0, Cost(1))
        for n, z in enumerate((start, start + moved))
    ]
    return Path(generator, seed, rank, sense, (VARIED,), tuple(rows))


def test_displacements_are_averaged_in_units_senses_are_counted_and_a_seed_is_turned_round() -> None:
    found = average([
        path([3.0, 0.0, 0.0], 0),
        path([-0.1, 0.0, 0.0], 0, sense=-1),
        path([0.0, 5.0, 0.0], 1),
        path([-1.0, -1.0, 0.0], 2),
    ])  # fmt: skip
    half = np.sqrt(0.5)
    assert found.direction == pytest.approx([half, half, 0]) and found.turned == (2,) and found.seeds == (0, 1, 2)
    assert found.agreement == pytest.approx((half + half + 1) / 3)
    with pytest.raises(CompositionError, match="no path took a step"):
        average([path([0.0, 0.0])])


def test_what_is_written_is_followed_at_every_latent(tmp_path: FilePath) -> None:
    distil([path([0.0, 2.0] + [0.0] * 6), path([0.0, 0.0, -3.0] + [0.0] * 5, rank=2)], tmp_path / "one.safetensors")
    method, generator = Distilled(tmp_path / "one.safetensors"), toys.StyleGenerator("z")
    sight = toys.See(
        generator, generator.sample(3, 5), lambda i: i[..., :3].flatten(1), lambda i: i[..., 3:].flatten(1)
    )
    axes = torch.eye(8).double()
    torch.testing.assert_close(method.find(sight, 2), torch.stack([axes[1], -axes[2]]).expand(3, -1, -1))
    with pytest.raises(CompositionError, match="holds 2 directions and 3 are asked for"):
        method.find(sight, 3)
    distil([path([1.0, 0.0])], tmp_path / "two.safetensors")
    with pytest.raises(CompositionError, match="2 coordinates, this generator has 8"):
        Distilled(tmp_path / "two.safetensors").find(sight, 1)


def test_files_that_hold_no_directions_and_runs_of_two_generators(tmp_path: FilePath) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    for name in ("bad.safetensors", "none.safetensors"):
        with pytest.raises(FileError, match="holds no directions"):
            Distilled(tmp_path / name)
    with pytest.raises(CompositionError, match="of one generator, got other, toy"):
        distil([path([1.0]), path([1.0], generator="other")], tmp_path / "x")


def test_the_command_writes_a_file_and_says_how_far_seeds_agree(tmp_path: FilePath) -> None:
    for seed in range(3):
        path([1.0, 0.1 * seed], seed).save(tmp_path / "run/paths")
    out = tmp_path / "to/dir.safetensors"
    app = typer.Typer()
    app.command()(command)
    said = CliRunner().invoke(app, [str(tmp_path / "run"), "-o", str(out)])
    assert said.exit_code == 0 and "direction 1: 3 seeds, mean cosine 1.00" in said.output and out.is_file()
    assert Distilled(out).vectors.shape == (1, 2)
    said = CliRunner().invoke(app, [str(tmp_path), "-o", str(out)])
    assert isinstance(said.exception, FileError)
