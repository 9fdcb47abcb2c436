"""The walk: order of accuracy, even waypoints, kept tolerances, and how paths end."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from eigenwalk.errors import ContractError, FileError, InputError, NumericalError, Undefined, WalkError
from eigenwalk.feature import Complement, FunctionFeature, Projection, chain
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.methods.dense import Dense
from eigenwalk.maths.methods.nullspace import NullSpace
from eigenwalk.maths.methods.outward import Outward
from eigenwalk.maths.problem import Problem, Region
from eigenwalk.maths.typical import latent_scale, reference_images, typical_distance
from eigenwalk.path import Cost, Path, Status
from eigenwalk.walk import Front, WalkOptions, walk
from eigenwalk.walk.advance import still_leading_on
from eigenwalk.walk.apart import enlarge, reduce
from problems import (
    Anchored,
    Counting,
    Defined,
    Embedding,
    assemble,
    circle,
    curved,
    linear,
    nan_beyond,
    normal,
    rounded,
    walked,
)

METHODS = {"dense": Outward(whole=1000), "davidson": Outward(whole=0)}
EQUAL = {"dense": 1e-11, "davidson": 1e-5}


def bent(**also) -> Problem:
    """Two fixed features and a varied one of a curved generator, with tolerances that allow several steps."""
    G = curved(latent_dim=6, width=10)
    fixed = {"first": (G.feature(lambda x: x[:, :2]), 0.5), "second": (G.feature(lambda x: x[:, 2:3].sin()), 0.5)}
    return assemble(G, fixed, {"rest": G.feature(lambda x: x[:, 3:])}, typical=0.5, **also)


def anchored(drag: float = 0.0) -> Problem:
    """What a curved generator draws, less what it drew at the start; one number is held."""
    G = curved(latent_dim=6, width=10)
    fixed = {"first": (G.feature(lambda x: x[:, :6]), 0.002)}
    return assemble(G, fixed, {"away": Anchored(G, drag)}, typical=0.5)


# Convergence


def order(strides: Sequence[float], errors: Sequence[float]) -> float:
    """The slope of log error against log stride."""
    return float(np.polyfit(np.log(strides), np.log(errors), 1)[0])


def drifts(strides: Sequence[float], d: int, correct: bool, method: str) -> list[float]:
    """The largest change of |z|² along 1.1 radians of the circle."""
    found = []
    for stride in strides:
        steps = round(1.1 / (math.sqrt(2) * stride))
        (path,) = walked(
            circle(d), steps=steps, paths=1, stride=stride, method=replace(METHODS[method], correct=correct)
        )
        assert path.status.reason == "length"
        found.append(float(path.change(path.fixed[0]).max()))
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize(("correct", "declared"), [(False, 1), (True, 2)], ids=["Euler", "corrected"])
def test_drift_on_the_circle_has_the_declared_order(correct, declared, d, method):
    strides = [0.11, 0.055, 0.0275, 0.01375]
    found = drifts(strides, d, correct, method)
    assert order(strides, found) == pytest.approx(declared, abs=0.15), found


def test_the_corrector_holds_the_circle():
    """Euler's spiral grows by its step squared each time; corrected, it stays one step's growth away."""
    stride, steps = 0.05, 16
    (euler,), (held,) = (
        walked(circle(), steps=steps, paths=1, stride=stride, method=Outward(correct=c)) for c in (False, True)
    )
    growth = np.square([w.step_size for w in euler.waypoints[1:]])
    assert euler.change(euler.fixed[0])[-1] == pytest.approx(growth.sum(), rel=1e-6)
    assert held.change(held.fixed[0]).max() < 1.3 * growth.max()


@pytest.mark.parametrize("sense", [0, 1])
def test_the_path_is_the_circle(sense):
    path = walked(circle(5), steps=40, paths=2, stride=0.02)[sense]
    z = path.latents
    assert np.abs(z[:, 2:] - z[0, 2:]).max() < 0.01  # the others move only as the pull, of second order, goes
    angles = np.unwrap(np.arctan2(z[:, 1], z[:, 0]))
    turns = np.diff(angles) * np.sign(angles[1] - angles[0])
    assert (turns > 0).all()  # its sense is kept
    # Even in the distance from the start, which is a chord: 2 sin(θ/2) = √2 stride · k.
    angle = 2 * np.arcsin(0.02 * np.arange(41) / math.sqrt(2))
    assert turns == pytest.approx(np.diff(angle), rel=0.05)
    # It curves: the first and the last direction differ by the angle turned.
    first, last = path.waypoints[1].direction, path.waypoints[-1].direction
    assert math.acos(first @ last) == pytest.approx(float(angle[39]), rel=0.06)


def test_the_two_senses_of_a_direction_move_apart():
    plus, minus = walked(circle(), steps=3, paths=2)
    assert (plus.rank, plus.sense, minus.rank, minus.sense) == (1, 1, 1, -1)
    assert plus.waypoints[1].direction @ minus.waypoints[1].direction == pytest.approx(-1)


@pytest.mark.parametrize("method", [Outward(), Outward(whole=0), Dense(), NullSpace()], ids=lambda m: type(m).__name__)
def test_a_single_number_has_one_direction_and_plus_increases_it(method):
    G, slope = Embedding(5), torch.tensor([[-2.0, 0.3, 0.0, 1.0, 0.0]]).double()
    problem = assemble(G, {}, {"number": G.feature(lambda z: z @ slope[0].to(z))}, differences=method.differences)
    paths = walked(problem, seeds=(0, 1), steps=3, paths=6, method=method)
    assert [path.name for path in paths] == ["seed0-1+", "seed0-1-", "seed1-1+", "seed1-1-"]
    for path in paths:
        assert (path.sense * np.diff(path.latents @ slope[0].numpy()) > 0).all()


def test_plus_increases_the_number_that_changes_most():
    G, M = Embedding(6), normal(3, 6, seed=4)
    problem = assemble(G, {}, {"first": G.feature(lambda z: z @ M[:2].T), "last": G.feature(lambda z: 3 * z @ M[2])})
    paths = walked(problem, seeds=(0, 1, 2), steps=2, paths=9)
    assert len(paths) == 3 * 6
    for path in paths:
        first = path.waypoints[1].direction @ M.T.numpy() * [1 / math.sqrt(2), 1 / math.sqrt(2), 3]
        assert path.sense * first[np.abs(first).argmax()] > 0


def test_finding_the_sense_costs_no_pass_for_images():
    def first_cost(width: int) -> Cost:
        G = Embedding(12)
        problem = assemble(G, {}, {"values": G.feature(lambda z: z[:, :width])})
        return walked(problem, steps=1, paths=4, method=Dense())[0].waypoints[1].cost

    assert first_cost(8).pushforwards - first_cost(9).pushforwards == 2  # one for each direction


@pytest.mark.parametrize("method", METHODS)
def test_waypoints_are_evenly_spaced_in_the_varied_feature(method):
    stride = 0.04
    plain = replace(METHODS[method], correct=False)
    for path in walked(bent(), seeds=(0, 1), steps=10, paths=2, stride=stride, method=plain):
        values = curved(latent_dim=6, width=10).inner(torch.from_numpy(path.latents))[:, 3:]
        each = values.diff(dim=0).square().mean(1).sqrt() / 0.5
        assert path.status.reason == "length"
        assert each.numpy() == pytest.approx(np.full(10, stride), rel=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_that_moved_further_than_promised_shortens_the_next(method):
    G, stride = Embedding(6), 0.04
    twice = G.feature(lambda z: z[:, 1:] + z[:, 1:].detach())  # promises half of what comes of it
    problem = assemble(G, {"first": (G.feature(lambda z: z[:, :1]), 0.5)}, {"rest": twice}, typical=0.5)
    for path in walked(problem, steps=5, paths=2, stride=stride, method=METHODS[method]):
        moved = np.diff(path.change(path.varied[0]))
        assert moved == pytest.approx(stride * np.array([2, 1.25, 1.25, 1.25, 1.25]), rel=0.01)


def test_a_linear_walk_is_straight_and_holds_exactly():
    found = linear(d=8, fixed=1, varied=1)
    (path,) = walked(found.problem, steps=6, paths=1, method=Dense(share=1e-8), stride=0.05)
    directions = np.stack([w.direction for w in path.waypoints[1:]])
    assert np.abs(directions - directions[0]).max() < 1e-6
    change = path.change(path.varied[0], relative=False)
    assert change == pytest.approx(0.05 * np.arange(7), rel=1e-6, abs=1e-9)
    assert path.change(path.fixed[0]).max() < 1e-6


def test_several_features_add_up():
    from scipy.linalg import eigh

    found = linear(d=8, fixed=2, varied=2)
    (path,) = walked(found.problem, steps=1, paths=1, method=Dense())
    B = found.B()
    values, vectors = eigh(found.A().numpy(), (B + 0.01 * torch.linalg.eigvalsh(B)[-1] * torch.eye(8).double()).numpy())
    best = vectors[:, -1] / np.linalg.norm(vectors[:, -1])
    assert abs(path.waypoints[1].direction @ best) == pytest.approx(1, abs=1e-9)
    assert path.waypoints[1].quotient == pytest.approx(values[-1], rel=1e-9)


def test_paths_of_different_ranks_stay_apart():
    """Paths of ranks 1, 2 and 3 do not turn into one after a waypoint."""
    G = Embedding(6)
    scale = torch.tensor([1.0, 0.6, 0.36, 0.1, 0.05, 0.02]).double()
    problem = assemble(G, {}, {"scaled": G.feature(lambda z: z * scale.to(z))})
    for method in METHODS.values():
        paths = walked(problem, steps=4, paths=6, stride=0.01, method=method)
        last = np.stack([path.waypoints[-1].direction for path in paths[::2]])
        assert np.abs(last @ last.T - np.eye(3)).max() < 0.2


def turning() -> Problem:
    """Every path turns towards the first coordinate, which varies most; one number is held."""
    G = Embedding(12)
    scale = torch.tensor([1.0, 0.8, 0.6, *[0.3] * 9]).double()
    hold = {"last": (G.feature(lambda z: z[:, 11:]), 5.0)}
    vary = {"scaled": G.feature(lambda z: (z * scale.to(z)) + 0.1 * (z * scale.to(z)).roll(1, 1).square())}
    return assemble(G, hold, vary, latent_scale=50.0)


def common(paths: Sequence[Path]) -> np.ndarray:
    """The cosines of what `turning`'s paths have varied."""
    scale = np.array([1.0, 0.8, 0.6, *[0.3] * 9])
    values = [path.latents * scale + 0.1 * np.square(np.roll(path.latents * scale, 1, 1)) for path in paths]
    unit = np.stack([(value[-1] - value[0]) / np.linalg.norm(value[-1] - value[0]) for value in values])
    return unit @ unit.T


@pytest.mark.parametrize("method", METHODS)
def test_paths_of_one_start_stay_apart_and_say_how_alike_they_are(method, monkeypatch):
    options = {"steps": 16, "paths": 6, "stride": 0.15, "method": METHODS[method]}
    paths = walked(turning(), **options)
    assert [path.status.reason for path in paths] == ["length"] * 6
    shares = common(paths)
    for path, row in zip(paths, shares, strict=True):
        others = [other.name for other in paths if other is not path]
        assert list(path.alike) == others
        assert list(path.alike.values()) == pytest.approx(
            [row[paths.index(o)] for o in paths if o is not path], abs=2e-3
        )
    monkeypatch.setattr("eigenwalk.walk.propose.others", lambda *given: None)
    together = common(walked(turning(), **options))
    assert np.max(shares - np.eye(6)) < 0.35
    assert np.max(together - np.eye(6)) > 0.6


def test_a_path_does_not_depend_on_those_behind_it():
    few, many = (walked(turning(), seeds=(0, 1), steps=8, paths=n, stride=0.1) for n in (5, 6))
    for a in few:
        same(a, next(path for path in many if path.name == a.name), 1e-9)


def test_a_front_keeps_large_images_small():
    origin = (torch.zeros(1, 7), torch.zeros(1, 3, 128, 256), torch.zeros(1, 5), torch.zeros(1, 1, 64, 32))
    front = Front(0, (), torch.zeros(1, 2), torch.zeros(1, 2), origin=origin)
    coarse = normal(2, 3, 64, 64).repeat_interleave(2, 2).repeat_interleave(4, 3).flatten(1)
    varied = torch.cat([coarse, normal(2, 5, seed=1), normal(2, 64 * 32, seed=2)], 1)
    kept = reduce(varied, front, 1)
    assert kept.shape == (2, 3 * 64 * 64 + 5 + 64 * 32) and kept.dtype == torch.float16
    torch.testing.assert_close(kept.double().norm(dim=1), varied.norm(dim=1), rtol=1e-3, atol=0)
    torch.testing.assert_close(enlarge(kept.double(), front, 1), varied, rtol=1e-3, atol=1e-3)
    assert torch.equal(reduce(kept, front, 1), kept)


# Batches


def same(a: Path, b: Path, tolerance: float = 1e-5) -> None:
    """Rounding, that is: an expansion along what little of a residual is new enlarges it a million times."""
    assert (a.name, a.status.reason, len(a)) == (b.name, b.status.reason, len(b))
    np.testing.assert_allclose(a.latents, b.latents, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_the_same_paths_as_single_seeds(method):
    options = {"steps": 5, "paths": 4, "method": METHODS[method]}
    together = walked(bent(), seeds=(0, 1, 2), **options)
    assert [path.name for path in together[:4]] == ["seed0-1+", "seed0-1-", "seed0-2+", "seed0-2-"]
    for seed in range(3):
        for a, b in zip(together[4 * seed : 4 * seed + 4], walked(bent(), seeds=(seed,), **options), strict=True):
            same(a, b, EQUAL[method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [1, 3, 5, 100])
def test_chunks_of_rows_change_nothing(batch, method):
    options = {"seeds": (0, 1), "steps": 4, "paths": 4, "method": METHODS[method]}
    for a, b in zip(walked(bent(), **options), walked(bent(), batch=batch, **options), strict=True):
        same(a, b, EQUAL[method])


def test_chunks_of_tangents_change_nothing():
    for a, b in zip(walked(bent(), paths=2), walked(bent(tangents=3), paths=2), strict=True):
        same(a, b)


# Promises


@pytest.mark.parametrize("correct", [True, False])
def test_no_accepted_waypoint_exceeds_a_tolerance(correct):
    tolerance = 0.03
    problem = circle(tolerance=tolerance)
    paths = walked(problem, seeds=(0, 1), steps=60, paths=2, stride=0.1, method=Outward(correct=correct))
    for path in paths:
        held = path.change(path.fixed[0], relative=False)
        assert held.max() <= tolerance
        # What is written is what the image says.
        true = np.abs(np.square(path.latents).sum(1) - np.square(path.latents[0]).sum())
        assert held == pytest.approx(true, abs=1e-9)
        if not correct:
            assert len(path) > 1
            assert (path.status.reason, path.status.feature) == ("tolerance", "square")
            assert "0.03" in path.status.detail


def test_a_step_is_shortened_before_a_path_ends():
    (path,) = walked(circle(tolerance=0.03), steps=60, paths=1, stride=0.1, method=Outward(correct=False))
    sizes = [w.step_size for w in path.waypoints[1:]]
    assert min(sizes) < 0.6 * max(sizes)


def test_a_step_that_breaks_a_tolerance_is_corrected_before_it_is_cut():
    """A tangent leaves the circle by its step squared, twice the tolerance; one forward pass more brings it back."""
    (path,) = walked(circle(tolerance=0.01), steps=12, paths=1, stride=0.1)
    assert path.status.reason == "length"
    _, first, *later = path.waypoints
    assert first.step_size == pytest.approx(0.05 * math.sqrt(2))  # from the start, where the method gives no correction
    for waypoint in later:
        assert waypoint.step_size >= 0.1 * math.sqrt(2) - 1e-9
        assert waypoint.step_size**2 > 0.01 > waypoint.changes["square"]
        # A look where it stands, and two where it arrives.
        assert (waypoint.cost.forwards, waypoint.cost.pushforwards) == (3, 2)


def test_a_walk_to_a_change_takes_as_many_steps_as_that_takes_and_says_where_it_did_not_get_there():
    (path,) = walked(bent(), steps=100, paths=1, stride=0.05, until=0.4)
    assert path.status.reason == "length" and path.waypoints[-2].index == len(path) - 2
    moved = path.change(path.varied[0])
    assert moved[-1] >= 0.4 > moved[:-1].max()
    (path,) = walked(bent(), steps=5, paths=1, stride=0.05, until=0.4)
    assert path.status.reason == "steps"
    assert path.status.detail == f"what varies has moved {path.moved:.0%} of typical, 40% were asked for"


def test_no_step_is_longer_than_the_limit():
    (path,) = walked(circle(), steps=3, paths=1, stride=0.5, longest=0.01)
    assert [w.step_size for w in path.waypoints[1:]] == pytest.approx([0.1] * 3)  # the latent's scale is 10


def test_a_feature_that_is_not_differentiable_stays_fixed():
    def drift(fixed: bool) -> float:
        G = Embedding(6)
        feature = G.feature(rounded, differentiable=False)
        scale = torch.tensor([1.0, 0.9, 0.8, 0.7, 0.6, 0.5]).double()
        vary = {"scaled": G.feature(lambda z: z * scale.to(z))}
        problem = assemble(G, {"rounded": (feature, 100.0)} if fixed else {}, vary)
        paths = walked(problem, seeds=(0, 1), steps=8, paths=2, stride=0.04)
        return max(float(np.abs(np.square(p.latents).sum(1) - np.square(p.latents[0]).sum()).max()) for p in paths)

    assert drift(fixed=True) < 0.4 * drift(fixed=False)


def test_the_published_rule_walks_with_finite_differences():
    problem = circle(5, differences=1e-4)
    (path,) = walked(problem, steps=10, paths=1, stride=0.03, method=NullSpace())
    assert path.status.reason == "length"
    assert path.change(path.fixed[0]).max() < 0.1
    assert path.cost.pushforwards == path.cost.pullbacks == 0
    # d runs for the Jacobian, one where it stands and one where it arrives; the start has been looked at before, and
    # there one more run says which sense is more.
    assert path.waypoints[1].cost.forwards == 5 + 3
    assert path.waypoints[5].cost.forwards == 5 + 1


# How paths end


def test_a_path_without_anything_to_vary_ends():
    G = Embedding(4)
    constant = FunctionFeature(lambda images: 0 * images.mean((1, 2, 3)))
    for path in walked(assemble(G, {}, {"constant": constant}), paths=4):
        assert (path.status.reason, len(path)) == ("nothing to vary", 1)


@pytest.mark.parametrize("drag", [0.8, 0.0])
def test_a_path_that_creeps_ends(drag):
    """What it follows comes after it, so that every step promises a stride and hardly leads anywhere."""
    G = Embedding(10)
    (path,) = walked(assemble(G, {}, {"dragged": Anchored(G, drag)}, typical=0.5), steps=20, paths=1)
    assert (len(path) < 20) == (path.status.reason == "nothing to vary") == (drag > 0)
    if drag:
        assert "the last 6 steps took what varies" in path.status.detail
        moved = path.change(path.varied[0])
        assert np.ptp(moved[-7:]) < 0.01 <= np.ptp(moved[-8:])


@pytest.mark.parametrize(
    ("moved", "ends"),
    [
        ([0.1, 0.2, 0.29, 0.21, 0.28, 0.2, 0.27, 0.22, 0.29], True),  # wanders
        ([0.1, 0.2, 0.29, 0.21, 0.28, 0.2, 0.27, 0.22, 0.31], False),
        ([0.1, 0.2, 0.3, 0.26, 0.22, 0.18, 0.14, 0.1, 0.06], False),  # goes round the start
    ],
)
def test_a_path_that_wanders_ends_and_one_that_goes_round_does_not(moved, ends):
    (path,) = walked(linear().problem, steps=1, paths=1)
    first, role = path.waypoints[0], path.varied[0]
    changes = [{r.name: m * r.typical for r in path.varied} | {"f0": 0.0, "f1": 0.0} for m in (0.0, *moved)]
    line = tuple(replace(first, index=i, changes=each) for i, each in enumerate(changes))
    left = still_leading_on(replace(path, waypoints=line, status=Status()), WalkOptions(stride=0.08))
    assert np.allclose(left.change(role)[1:], moved) and (left.status.reason == "nothing to vary") == ends


def test_a_feature_that_is_fixed_and_varied_cannot_vary():
    """The same feature fixed and varied: no step within the tolerance varies anything."""
    G = Embedding(4)
    read = G.feature(lambda z: z[:, :1])
    problem = assemble(G, {"held": (read, 1e-6)}, {"read": read})
    for path in walked(problem, paths=2):
        assert path.status.reason in ("nothing to vary", "tolerance")
        assert path.change(path.fixed[0], relative=False).max() <= 1e-6


def started(shift: float = 0.45) -> Embedding:
    """A generator whose seeds start at (shift · seed, 0, 0)."""
    return Embedding(3, sample=lambda n, seed: torch.tensor([[shift * seed, 0.0, 0.0]]).double().expand(n, -1))


@pytest.mark.parametrize("sense", [0, 1])
def test_with_other_methods_a_path_ends_at_the_edge_of_the_typical_region(sense):
    problem = linear(tolerance=50.0).problem
    problem = replace(problem, region=Region(torch.zeros(8, dtype=torch.float64), 6.0))
    path = walked(problem, steps=200, paths=2, stride=0.5, method=Dense())[sense]
    assert path.status.reason == "region"
    assert "99 of 100 samples are within 6" in path.status.detail
    assert len(path) > 2
    assert all(np.linalg.norm(waypoint.latent) <= 6.006 for waypoint in path.waypoints)
    anywhere = walked(problem, steps=len(path) + 2, paths=2, stride=0.5, method=Dense(), region=None)[sense]
    assert anywhere.status.reason == "length"


def test_a_nan_ends_only_its_own_path():
    G = started()
    fixed = {"root": (G.feature(nan_beyond(1.03)), 50.0)}
    problem = assemble(G, fixed, {"first": G.feature(lambda z: z[:, :1])})
    paths = walked(problem, seeds=(0, 2), steps=6, paths=2, stride=0.1)
    ended = [path for path in paths if path.status.reason == "numerical"]
    assert [(path.seed, path.status.feature) for path in ended] == [(2, "root")]
    assert len(ended[0]) > 2  # what was walked is kept
    assert ended[0].latents[-1, 0] <= 1.03
    assert [path.status.reason for path in paths if path not in ended] == ["length"] * 3


@pytest.mark.parametrize("tell", [True, False])
def test_an_undefined_value_ends_only_its_own_path(tell):
    G = started()
    fixed = {"part": (Defined(G, 1.03, tell), 50.0)}
    problem = assemble(G, fixed, {"first": G.feature(lambda z: z[:, :1])})
    paths = walked(problem, seeds=(0, 2), steps=6, paths=2, stride=0.1)
    ended = [path for path in paths if path.status.reason == "undefined"]
    assert [(path.seed, path.status.feature) for path in ended] == [(2, "part")]
    assert [path.status.reason for path in paths if path not in ended] == ["length"] * 3


@pytest.mark.parametrize("batch", [None, 1])
def test_a_start_that_fails_does_not_affect_the_others(batch):
    G = started()
    problem = assemble(G, {"part": (Defined(G, 1.0), 50.0)}, {"first": G.feature(lambda z: z[:, :1])})
    paths = walked(problem, seeds=(9, 0), steps=3, paths=2, stride=0.1, batch=batch)
    assert [path.status.reason for path in paths] == ["undefined"] * 2 + ["length"] * 2
    assert [len(path) for path in paths] == [1, 1, 4, 4]
    for a, b in zip(paths[2:], walked(problem, seeds=(0,), steps=3, paths=2, stride=0.1), strict=True):
        same(a, b)


def test_a_derivative_that_fails_at_a_start_does_not_affect_the_others():
    """The root has a value at its end, and no derivative."""
    G = FunctionGenerator(
        lambda z: z[:, :, None, None], 3, (1, 1), lambda n, seed: torch.tensor([[0.5 * seed, 0.0, 0.0]]).double()
    )
    root = FunctionFeature(lambda images: (1 - images[:, 0, 0]).sqrt())
    problem = assemble(G, {"root": (root, 50.0)}, {"rest": FunctionFeature(lambda images: images[:, 1, 0])})
    paths = walked(problem, seeds=(0, 2, 1), steps=3, paths=2)
    assert [path.status.reason for path in paths] == ["length"] * 2 + ["numerical"] * 2 + ["length"] * 2
    assert paths[2].status.feature == "root"


def test_a_walk_whose_starts_all_fail_raises():
    G = started()
    vary = {"first": G.feature(lambda z: z[:, :1])}
    with pytest.raises(Undefined, match="nothing there") as caught:
        walked(assemble(G, {"part": (Defined(G, -1.0), 1.0)}, vary), seeds=(0, 1))
    assert caught.value.feature == "part"
    with pytest.raises(NumericalError):
        walked(assemble(G, {"root": (G.feature(nan_beyond(-1.0)), 1.0)}, vary), seeds=(0, 1))


def test_more_paths_than_directions_are_not_walked():
    with pytest.raises(InputError, match="at most twice the 2"):
        walked(circle(), paths=5)
    assert len(walked(circle(), paths=4, steps=1)) == 4


# Cost


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [None, 2])
def test_costs_add_up_to_the_generators_calls(batch, method):
    problem = circle(5)
    counting = Counting(problem.linearisation.generator)
    problem = replace(problem, linearisation=replace(problem.linearisation, generator=counting))
    paths = walked(problem, seeds=(0, 1), steps=4, paths=2, batch=batch, method=METHODS[method])
    assert all(path.status.reason == "length" for path in paths)
    assert sum(path.cost.forwards for path in paths) == counting.images


@pytest.mark.parametrize("allowed", [1e-9, 0.05], ids=["first step", "later"])
def test_what_a_refused_step_took_is_counted_too(allowed):
    """The first of a start's paths, which carries what the search for directions took, may go nowhere."""
    problem = bent()
    roles = tuple(replace(role, tolerance=allowed) if role.tolerance else role for role in problem.roles)
    counting = Counting(problem.linearisation.generator)
    problem = replace(problem, roles=roles, linearisation=replace(problem.linearisation, generator=counting))
    paths = walked(problem, steps=30, paths=2, stride=0.2, batch=1)
    assert "tolerance" in {path.status.reason for path in paths}
    assert (len(paths[0]) == 1) == (allowed < 1e-3)
    assert sum(path.cost.forwards for path in paths) == counting.images
    assert paths[0].waypoints[0].cost.pushforwards > 0 or len(paths[0]) > 1


def test_the_cost_of_a_waypoint_is_fixed():
    (path,) = walked(bent(), steps=4, paths=1, method=Outward(whole=0))
    for waypoint in path.waypoints[2:]:
        assert waypoint.cost.forwards == 1
        assert waypoint.cost.pushforwards == 4
        assert waypoint.cost.pullbacks == 3


# Going on


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize(
    "make", [lambda: circle(5, tolerance=0.05), bent, lambda: anchored(0.3)], ids=["circle", "bent", "anchored"]
)
def test_a_restored_front_continues_bit_for_bit(make, batch, at, tmp_path):
    options = WalkOptions(steps=6, paths=2, batch=batch)
    fronts = list(walk(make(), (0, 1), options))
    saved = [path.save(tmp_path) for path in fronts[at].paths]
    arrays = fronts[at].arrays()
    if at == 1:  # as run folders were written before methods owned their state
        arrays = {name.replace("state.", "memory.").replace("tracked.", "memories."): a for name, a in arrays.items()}
    restored = Front.restore(tuple(Path.load(file) for file in saved), arrays)
    assert restored.index == at
    again = list(walk(make(), (0, 1), options, resume=restored))
    assert len(again) == len(fronts) - at - 1
    for a, b in zip(fronts[-1].paths, again[-1].paths, strict=True):
        assert np.array_equal(a.latents, b.latents)
        assert a.status == b.status
        assert [w.changes for w in a] == [w.changes for w in b]


def test_fronts_are_one_waypoint_apart():
    fronts = list(walk(circle(), (0,), WalkOptions(steps=4, paths=2)))
    assert [front.index for front in fronts] == [0, 1, 2, 3, 4]
    assert [len(front.paths[0]) for front in fronts] == [1, 2, 3, 4, 5]
    assert [front.walking for front in fronts] == [[0, 1]] * 4 + [[]]


@pytest.mark.parametrize("method", METHODS)
def test_one_number_never_turns_back(method):
    G = Embedding(4, sample=lambda n, seed: 0.3 * normal(n, 4, seed=seed))
    wave = G.feature(lambda x: (2.5 * x[:, 0]).sin() + 0.1 * x[:, 1])
    problem = assemble(G, {"rest": (G.feature(lambda x: x[:, 2:]), 1.0)}, {"wave": wave})
    paths = walked(problem, seeds=(0, 1, 2), steps=14, paths=2, method=METHODS[method], stride=0.1)
    for path in paths:
        change = path.change(path.varied[0])
        assert change[-1] > change.max() - 0.05  # half a stride may be lost at the crest, and no way leads back
        assert path.status.reason == "length" or "undo" in path.status.detail or "any further" in path.status.detail


@pytest.mark.parametrize(("copies", "method"), [(9, "davidson"), (1, "nullspace")])
def test_many_numbers_and_the_published_rule_may_turn_back(copies, method):
    """The same wave as many numbers, or under the published rule: the path keeps its own sense, over the crest."""
    G = Embedding(4, sample=lambda n, seed: 0.3 * normal(n, 4, seed=seed))
    wave = G.feature(lambda x: ((2.5 * x[:, 0]).sin() + 0.1 * x[:, 1])[:, None].expand(-1, copies))
    problem = assemble(G, {"rest": (G.feature(lambda x: x[:, 2:]), 1.0)}, {"wave": wave})
    chosen = NullSpace() if method == "nullspace" else METHODS[method]
    paths = walked(problem, seeds=(0, 1, 2), steps=14, paths=2, method=chosen, stride=0.1)
    changes = [path.change(path.varied[0]) for path in paths]
    assert any(change[-1] < change.max() - 0.1 or np.diff(change).min() < -0.1 for change in changes)


# What features remember


@pytest.mark.parametrize("batch", [None, 1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_the_memory_of_a_feature_stays_with_its_path(method, batch):
    problem = anchored()
    G = problem.linearisation.generator
    assert isinstance(G, Embedding)
    paths = walked(problem, seeds=(0, 1, 2), steps=5, paths=2, batch=batch, method=METHODS[method])
    assert len({len(path) for path in paths}) > 1  # some end before others, and rows move up
    for path in paths:
        z = torch.from_numpy(path.latents)
        away = (G.inner(z) - G.inner(z[:1])).square().mean(1).sqrt()
        assert path.change(path.varied[0], relative=False).tolist() == pytest.approx(away.tolist(), abs=1e-9)


def test_chains_and_complements_pass_on_the_memory_of_their_parts():
    G = Embedding(6, sample=lambda n, seed: normal(n, 6, seed=seed))

    class Veil(Projection):
        memories = 1

        def __init__(self, kept=None, outside=False):
            self.remembered, self.outside = () if kept is None else (kept,), outside

        def __call__(self, images):
            kept = self.remembered[0] if self.remembered else torch.ones_like(images)
            return images * ((1 - kept) if self.outside else kept)

        def at(self, images):
            return Veil(images.sigmoid(), self.outside)

        def follow(self, images, remembered):
            return Veil(remembered[0], self.outside)

        def complement(self):
            return Veil(*self.remembered, outside=not self.outside)

    first, later = G(G.sample(2, 0)), G(G.sample(2, 1))
    whole = chain(Complement(Veil()), Anchored(G))
    assert whole.memories == 2
    start = whole.at(first)
    assert [tuple(m.shape) for m in start.remembered] == [first.shape, (2, 6)]
    then = whole.follow(later, start.remembered)
    assert all(torch.equal(a, b) for a, b in zip(then.remembered, start.remembered, strict=True))
    expected = G.read(later * (1 - first.sigmoid())) - G.read(first * (1 - first.sigmoid()))
    assert torch.allclose(then(later), expected)


def test_a_feature_that_forgets_its_declared_memory_is_refused():
    G = curved()

    class Forgetful(Anchored):
        def at(self, images):
            return Anchored(self.generator)

    problem = assemble(G, {}, {"away": Forgetful(G)})
    with pytest.raises(ContractError, match="away says that it remembers 1 tensors of 1 rows, and frozen"):
        walked(problem)


# Paths on disk


def test_a_saved_path_is_loaded_unchanged(tmp_path):
    (path,) = walked(circle(), steps=3, paths=1)
    file = path.save(tmp_path / "new" / "folder")
    for either in (file, file.with_suffix(".safetensors")):
        loaded = Path.load(either)
        assert loaded.latents.dtype == np.float64
        assert np.array_equal(loaded.latents, path.latents)
        for a, b in zip(path, loaded, strict=True):
            assert np.array_equal(a.image, b.image)
            assert np.array_equal(a.direction, b.direction)
            assert (a.index, a.changes, a.step_size, a.cost) == (b.index, b.changes, b.step_size, b.cost)
            assert a.quotient == b.quotient or (math.isnan(a.quotient) and math.isnan(b.quotient))
        assert replace(loaded, waypoints=()) == replace(path, waypoints=())
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("damage", ["no json", "no tensors", "half json", "half tensors", "foreign", "format", "list"])
def test_a_damaged_path_is_refused(damage, tmp_path):
    (path,) = walked(circle(), steps=2, paths=1)
    file = path.save(tmp_path)
    tensors = file.with_suffix(".safetensors")
    text = file.read_text(encoding="utf-8")
    match damage:
        case "no json":
            file.unlink()
        case "no tensors":
            tensors.unlink()
        case "half json":
            file.write_text(text[: len(text) // 2], encoding="utf-8")
        case "half tensors":
            tensors.write_bytes(tensors.read_bytes()[:-100])
        case "foreign":
            file.write_text('{"name": "something else"}', encoding="utf-8")
        case "format":
            file.write_text(re.sub(r'"format": \d+', '"format": 99', text), encoding="utf-8")
        case "list":
            file.write_text("[1, 2, 3]", encoding="utf-8")
    with pytest.raises(FileError, match="seed0-1"):
        Path.load(file)


# Typical distances


def test_typical_distance_is_the_median_between_samples():
    G = curved(latent_dim=6, width=10)
    feature = G.feature(lambda x: x[:, :4])
    found = typical_distance(("first", feature), reference_images(G, dtype=torch.float64))
    values = feature(G(G.sample(24, 20221023).double()))
    apart = (values[:, None] - values[None]).square().mean(2).sqrt()
    pairs = apart[torch.triu(torch.ones(24, 24), 1).bool()]
    assert found == pytest.approx(float(pairs.median()), rel=1e-9)


def test_typical_distance_leaves_out_what_is_undefined():
    G = Embedding(4)
    z = G.sample(24, 20221023).double()
    good = z[z[:, 0] <= 0.2]
    assert 2 < len(good) < 24
    apart = torch.pdist(good)[:, None] / 2  # RMS over four numbers
    images = reference_images(G, dtype=torch.float64)
    for tell in (True, False):
        found = typical_distance(("part", Defined(G, 0.2, tell)), images)
        assert found == pytest.approx(float(apart.median()), rel=1e-9)


def test_a_feature_without_a_typical_distance_is_refused():
    images = reference_images(Embedding(4))
    with pytest.raises(WalkError, match="no value at 24 of 24"):
        typical_distance(("part", Defined(Embedding(4), -100.0)), images)
    with pytest.raises(WalkError, match="same at all 24"):
        typical_distance(("flat", FunctionFeature(lambda images: images.new_ones(len(images)))), images)


def test_latent_scale_is_the_distance_between_latents():
    assert latent_scale(Embedding(200)) == pytest.approx(math.sqrt(2 * 200), rel=0.05)


def test_wrong_walk_options_are_refused():
    for wrong in ({"steps": 0}, {"paths": 0}, {"batch": 0}, {"stride": 0.0}, {"longest": math.inf}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            WalkOptions(**wrong)


def test_single_precision_walks_the_same_circle():
    (single,), (double,) = (walked(circle(dtype=dtype), steps=10, paths=1) for dtype in (torch.float32, torch.float64))
    assert single.latents.dtype == np.float32
    np.testing.assert_allclose(single.latents, double.latents, rtol=0, atol=1e-3)


def test_only_a_single_batch_keeps_its_point():
    """With more than one batch no point stays in memory from one waypoint to the next."""
    one, many = (list(walk(bent(), (0, 1), WalkOptions(steps=2, paths=2, batch=b))) for b in (None, 2))
    assert one[1].arrived is not None
    assert many[1].arrived is None
