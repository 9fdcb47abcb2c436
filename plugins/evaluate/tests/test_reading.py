"""A varied scalar and its judge, on a linear generator where every change is a formula."""

# ruff: noqa: F811
from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from command_line import Here, here, place  # noqa: F401
from eigenwalk.errors import RecipeError, WalkError
from eigenwalk.maths.natural import typical_difference
from eigenwalk.maths.problem import Problem
from eigenwalk.names.registry import Registry
from eigenwalk.path import Role
from eigenwalk_evaluate.grid import Grid, override
from eigenwalk_evaluate.paths import Paths
from eigenwalk_evaluate.plan import plan
from eigenwalk_evaluate.reading import SAMPLES, SEED, Reading, natural_slope, read, verdict
from eigenwalk_evaluate.summary import Read
from eigenwalk_evaluate.tables import reading_table
from problems import Embedding, assemble

LIKE = torch.empty(0, dtype=torch.float64)
G = Embedding(4)
SCALAR = G.feature(lambda z: z[:, 0] + z[:, 1] + z[:, 2])
JUDGE = G.feature(lambda z: 2 * z[:, 0] - z[:, 1])


def problem(**features) -> Problem:
    """These features to measure by."""
    return assemble(G, {}, features, typical=2.0, differences=1.0)


def along(latents: np.ndarray, axes: tuple[int, ...] = (), level: float = 0.5) -> Paths:
    """A walk through `latents` ``(paths, waypoints, latent)`` that varied one scalar."""
    n, long = latents.shape[:2]
    nothing = np.zeros((n, long))
    return Paths(
        (Role("scalar", "varied", "u", 2.0),),
        np.arange(n),
        np.array(axes or (1,) * n),
        np.ones(n, np.int64),
        np.abs(latents - latents[:, :1])[..., :3].sum(-1, keepdims=True) / 2,
        nothing,
        latents,
        (("length", ""),) * n,
        1.0,
        (level,),
    )


def axes() -> Paths:
    """Both senses of three axes: the judge follows the first, goes against the second, sleeps at the third."""
    moved = np.array([[0.0, 0.5, 1.2], [0.0, -1.0, np.nan]])
    latents = np.concatenate([G.sample(1, 3).numpy() + moved[..., None] * np.eye(4)[n] for n in range(3)])
    return along(latents, (1, 1, 2, 2, 3, 3))


def test_changes_are_signed_shares_of_typical_distances(tmp_path: Path) -> None:
    walked = axes()
    found = read(problem(scalar=SCALAR, judge=JUDGE), walked, 5, LIKE)
    assert found.names == ("scalar", "judge") and found.samples.shape == (128, 3)
    moved = walked.latents - walked.latents[:, :1]
    assert found.reported == pytest.approx(moved[..., :3].sum(-1) / 2, abs=1e-5, nan_ok=True)
    # Whatever the walk says, in the sense of what is read.
    less = read(problem(scalar=SCALAR, judge=JUDGE), replace(walked, changes=walked.changes / 3), 5, LIKE)
    assert less.reported == pytest.approx(found.reported / 3, abs=1e-9, nan_ok=True)
    # Each in its own typical distance: the ratio of the two is that of the medians over the same 128 samples.
    z = G.sample(SAMPLES, SEED)
    scalar, judge = (typical_difference(one) for one in (z[:, :3].sum(1), 2 * z[:, 0] - z[:, 1]))
    judged = (2 * moved[..., 0] - moved[..., 1]) / (2 * judge / scalar)
    assert found.judged == pytest.approx(judged, abs=1e-5, nan_ok=True)
    pixels = np.linalg.norm(moved, axis=-1) / math.sqrt(3 * G.resolution[0] * G.resolution[1])
    assert found.pixels == pytest.approx(pixels, abs=1e-5, nan_ok=True)
    assert found.starts == pytest.approx(walked.latents[:, 0, :3].sum(-1) / 2, abs=1e-5)
    found.save(tmp_path / "read")
    again = Reading.load(tmp_path / "read")
    assert again.names == found.names and np.array_equal(again.judged, found.judged, equal_nan=True)


@pytest.mark.parametrize(
    ("axis", "slope", "wrong", "fooled"), [(1, 2.0, 0.0, 0.0), (2, -1.0, 1.0, 1.0), (3, 0.0, 0.0, 1.0)]
)
def test_judges_may_follow_oppose_or_ignore_a_scalar(axis: int, slope: float, wrong: float, fooled: float) -> None:
    walked = axes()
    found = read(problem(scalar=SCALAR, judge=JUDGE), walked, 5, LIKE)
    said = verdict(found, walked, np.flatnonzero(walked.ranks == axis))
    # The judge spreads by the root of 5 where the scalar spreads by that of 3; half of each is typical.
    assert (said.slope, said.fooled) == (pytest.approx(slope * math.sqrt(3 / 5), abs=0.2), fooled)
    assert said.counted == 2
    assert axis == 3 or said.wrong == wrong
    assert said.pixels == pytest.approx(2 / math.sqrt(3 * G.resolution[0] * G.resolution[1]), rel=1e-3)
    # The covariance of 2 z_1 - z_2 with the sum is 1, the variance of the sum 3.
    assert said.natural == pytest.approx(math.sqrt(3 / 5) / 3, abs=0.2)


def test_a_slope_weighs_paths_by_their_change_and_leaves_out_short_ones() -> None:
    reported = np.array([[0.0, 0.25, 0.75], [0.0, -0.2, np.nan], [0.0, 0.05, np.nan]])
    judged = np.array([[0.0, 0.1, 0.5], [0.0, 0.04, np.nan], [0.0, -9.0, np.nan]])
    found = Reading(
        ("a", "b"),
        reported,
        judged,
        np.abs(reported) / 2,
        np.where(reported < 0, 0.3, 0.9) * reported,
        np.zeros(3),
        np.array([[-1.0, -2.0, -1.0], [1.0, 2.0, 1.0]]),
    )
    walked = along(np.zeros((3, 3, 4)))
    said = verdict(found, walked, np.arange(3))
    # Half the way between the waypoints of the first path: .5 reported, .3 judged.
    assert said.slope == pytest.approx((0.5 * 0.3 - 0.2 * 0.04) / (0.5**2 + 0.2**2))
    assert (said.wrong, said.fooled, said.counted) == (0.5, 0.5, 2)
    assert (said.arrived, said.room, said.pixels) == (pytest.approx(1 / 3), 3, pytest.approx(0.5))
    # Copies keep .3 of the second path's change, which is the fooled one; it went against its own sense as well.
    assert (said.caught, said.alarms, said.transferred) == (1.0, 0.0, pytest.approx(1 / 3))
    assert natural_slope(found.samples[:, :2]) == pytest.approx(2.0)
    # A start near the end of the range leaves no room ahead.
    said = verdict(replace(found, starts=np.array([0.0, -0.8, 0.8])), walked, np.arange(3))
    assert (said.arrived, said.room) == (1.0, 1)


def test_a_feature_that_is_not_a_single_number_is_refused() -> None:
    with pytest.raises(WalkError, match="4 numbers"):
        read(problem(scalar=SCALAR, judge=G.feature(lambda z: z)), axes(), 5, LIKE)


def test_a_grid_of_readings_has_a_walk_and_a_reading_for_every_scalar_and_held_set() -> None:
    entries = {"fix": [[], ["fourier.low"]], "features": ["luminance", "pixels"], "judges": ["pixels", "luminance"]}
    grid = Grid.of(generators=[{"generator": "rooms", "readings": [entries]}], methods=["rayleigh"], seeds="0-1")
    planned = plan(grid, Registry.discover())
    assert [cell.kind for cell in planned.cells] == ["walk", "read"] * 4
    assert [pair.table for pair in planned.pairs] == ["rooms, nothing held"] * 2 + ["rooms, fourier.low held"] * 2
    assert [pair.reader for pair in planned.pairs] == ["pixels", "luminance"] * 2
    assert override(Grid.of(generators=[grid.generators[0].model_dump() | {"seeds": [9]}]), {"seeds": "1"}).seeds == (
        1,
    )
    with pytest.raises(RecipeError, match="a judge for each of 2 features, got 1"):
        Grid.of(generators=[{"generator": "rooms", "readings": [entries | {"judges": ["pixels"]}]}])
    said = verdict(Reading(("a", "b"), *np.zeros((4, 1, 2)), np.zeros(1), np.zeros((2, 3))), axes(), np.array([0]))
    table = reading_table([Read(planned.pairs[0], "rayleigh", said)])
    assert [row[0] for row in table[1]] == ["luminance", "mean", "worst"] and table[1][0][1] == "–"


def test_a_number_is_walked_and_read_again_from_the_command_line(here: Here, place: Path) -> None:
    (place / "numbers.py").write_text(
        "def left(images):\n    return images[..., :4].mean((1, 2, 3))\n\n\n"
        "def most(images):\n    return 3 * images[..., :6].mean((1, 2, 3))\n"
    )
    given = ["./my_generator.py:build", "--vary", "./numbers.py:left", "--reader", "./numbers.py:most"]
    code, said = here("evaluate", *given, "--methods", "rayleigh", "--seeds", "0-1", "-o", "out")
    assert code == 0, said
    text = (place / "out/evaluation.md").read_text()
    assert "## my_generator, nothing held: scalars, read again" in text and "| slope | by nature |" in text
    assert "scalars, read again" in (place / "out/index.html").read_text()
