"""Averaged Jacobians: what they are, that a walk follows the honest part of a reading, and what they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eigenwalk.errors import Undefined
from eigenwalk.feature import Feature, FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.cloud import AVERAGING, LENIENT, Averaging, averaged, offsets, surround
from eigenwalk.maths.natural import shifted
from eigenwalk.maths.problem import Problem
from eigenwalk.path import Cost
from eigenwalk.walk import Front, WalkOptions, walk
from eigenwalk.walk.propose import passes_ahead
from problems import Embedding, assemble, curved

MEMBERS = Averaging().members
PASSES = Cost(forwards=MEMBERS + 1, pullbacks=MEMBERS + 1)
ALL = replace(Averaging(), enough=0)
"""Every cloud has all members."""


def fooled(amplitude: float = 0.03, frequency: float = 25.0, first: int = 1) -> tuple[Problem, Embedding]:
    """A network that reads z_0, and as strongly a ripple along the coordinates from `first` to the fifth.

    The gradient of the ripple is ``amplitude * frequency`` a coordinate at most; the ripple itself never more than
    `amplitude` a coordinate.
    """
    G = Embedding(8)
    reading = G.feature(lambda z: z[:, 0] + amplitude * (frequency * z[:, first:6]).sin().sum(1))
    return assemble(G, {"last": (G.feature(lambda z: z[:, 7:]), 1.0)}, {"reading": reading}), G


def honest_share(smooth: float) -> float:
    """The change of z_0 along the paths, as a share of the change that the network reports."""
    problem, _ = fooled()
    options = WalkOptions(steps=4, paths=2, stride=0.08, smooth=smooth)
    *_, front = walk(problem, (0, 1, 2, 3), options)
    honest = [abs(path.latents[-1, 0] - path.latents[0, 0]) for path in front.paths]
    reported = [path.change(path.varied[0])[-1] for path in front.paths]
    return sum(honest) / sum(reported)


def test_a_walk_follows_what_a_reading_means_and_not_its_ripple():
    assert honest_share(0.0) < 0.6
    assert honest_share(0.5) > 0.85


def test_no_more_is_reported_than_was_read_nor_than_similar_images_explain():
    problem, G = fooled(amplitude=0.08, first=0)
    (_, (name, reading)) = problem.linearisation.features
    capped = 0
    for path in walked(problem, smooth=0.5)[-1].paths:
        z = torch.from_numpy(path.latents)
        cloud, _ = surround(problem, problem.linearisation.at(z[:1]), 0.5, z[:1])
        assert cloud is not None
        explained = LENIENT * (z - z[:1]) @ cloud.jacobian[0, 0]
        read = reading(G(z)) - reading(G(z[:1]))
        reported = [waypoint.changes[name] for waypoint in path]
        expected = torch.where(explained * read > 0, torch.minimum(explained.abs(), read.abs()), 0.0)
        np.testing.assert_allclose(reported, expected.numpy(), atol=1e-9)
        capped += int((read.abs() > explained.abs() + 1e-3).sum())
    assert capped > 0


@pytest.mark.parametrize("batch", [None, 1, 5])
def test_a_cloud_is_the_mean_of_exact_jacobians(batch):
    G = curved(latent_dim=6, width=10)
    pair = G.feature(lambda x: x[:, :2] ** 2)
    problem = assemble(G, {"held": (G.feature(lambda x: x[:, 2:]), 1.0)}, {"pair": pair})
    z = G.sample(3, 4).double()
    cloud, costs = surround(problem, problem.linearisation.at(z), 0.5, z, batch=batch, how=ALL)
    assert cloud is not None
    xi = offsets(G, 0.5, z)
    assert xi.shape == (MEMBERS + 1, 6) and torch.allclose(xi.sum(0), torch.zeros(6).double(), atol=1e-12)
    for row in range(3):
        exact = [torch.autograd.functional.jacobian(lambda y: pair(G(y[None]))[0], z[row] + x) for x in xi]
        torch.testing.assert_close(cloud.jacobian[row], torch.stack(exact).mean(0))
    assert costs == [Cost(forwards=MEMBERS + 1, pullbacks=2 * (MEMBERS + 1))] * 3


@pytest.mark.parametrize("batch", [None, 1, 7])
def test_a_cloud_grows_until_its_mean_is_sure(batch):
    G = Embedding(2)
    problem = assemble(G, {}, {"square": G.feature(lambda z: z[:, 0] ** 2)})
    z = torch.tensor([[4.0, 0.0], [0.45, 0.0], [0.0, 0.0]]).double()  # gradients agree; some do; half point each way
    cloud, costs = surround(problem, problem.linearisation.at(z), 0.6, z, batch=batch)
    assert cloud is not None
    xi = offsets(G, 0.6, z)
    for row, pairs in enumerate((MEMBERS // 8, MEMBERS // 4, MEMBERS // 2)):
        taken = [0, *range(1, pairs + 1), *range(MEMBERS // 2 + 1, MEMBERS // 2 + pairs + 1)]
        assert costs[row] == Cost(forwards=len(taken), pullbacks=len(taken))
        each = 2 * (z[row, 0] + xi[taken, 0])
        torch.testing.assert_close(cloud.jacobian[row, 0, 0], each.mean())
        error = each.std() / len(taken) ** 0.5 / each.mean().abs()
        assert error < Averaging().enough or len(taken) == MEMBERS + 1


@pytest.mark.parametrize("how", AVERAGING.values(), ids=map(str, AVERAGING))
def test_every_member_is_seen_in_its_own_view(how):
    pattern = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1)).double()
    G = FunctionGenerator(lambda z: 0.5 + torch.einsum("bi,icyx->bcyx", z, pattern), 3, (32, 32))
    number = FunctionFeature(lambda images: (images * weight).sum((1, 2, 3)))
    problem = assemble(G, {}, {"number": number})
    z = G.sample(1, 4).double()
    cloud, _ = surround(problem, problem.linearisation.at(z), 0.5, z, how=how)
    assert cloud is not None
    views = range(how.members + 1) if how.views else (0,)
    each = [shifted(pattern, [view] * 3).flatten(1) @ weight.flatten() for view in views]
    torch.testing.assert_close(cloud.jacobian[0, 0], torch.stack(each).mean(0))


def test_a_few_numbers_are_reported_as_nine_views_show_them_and_many_as_they_are():
    squares = torch.arange(1.0, 33).square().expand(3, 32, 32)
    G = FunctionGenerator(lambda z: 0.5 + z[:, :1, None, None] * squares.to(z), 2, (32, 32))
    held = FunctionFeature(lambda images: images[:, 1, 0, 10])
    one, many = (FunctionFeature(lambda images, end=end: images[:, 0, 0, 10:end].squeeze(1)) for end in (11, 22))
    problem = assemble(G, {"held": (held, 1e6)}, {"one": one, "many": many})
    *_, front = walk(problem, (0,), WalkOptions(steps=1, paths=2))
    start, end = front.paths[0].waypoints
    moved = abs(float(end.latent[0] - start.latent[0]))
    columns = np.arange(1, 33.0) ** 2
    assert end.changes["held"] == pytest.approx(moved * columns[10])
    assert end.changes["one"] == pytest.approx(moved * columns[9:12].mean())
    assert end.changes["many"] == pytest.approx(moved * np.sqrt(np.square(columns[10:22]).mean()))


def test_nine_views_go_through_all_shifts():
    image = torch.arange(3 * 64 * 64.0).reshape(1, 3, 64, 64)
    views = shifted(image.expand(9, -1, -1, -1), range(9))
    moved = views[:, 0, 32, 32] - image[0, 0, 32, 32]
    assert torch.equal(views[:1], image) and set(moved.tolist()) == {64 * y + x for y in (-2, 0, 2) for x in (-2, 0, 2)}
    small = image[..., :15, :15]
    assert torch.equal(shifted(small, [4]), small)


class Sometimes(Feature):
    """z_0 squared, with no value where z_1 is above `limit`, as a face that is not found."""

    def __init__(self, generator: Embedding, limit: float):
        self.generator, self.limit = generator, limit

    def at(self, images):
        bad = (self.generator.read(images)[:, 1] > self.limit).nonzero().flatten().tolist()
        if bad:
            raise Undefined("not found", rows=tuple(bad))
        return self

    def __call__(self, images):
        return self.generator.read(images)[:, 0] ** 2


def test_members_without_a_value_are_left_out():
    G = Embedding(4)
    problem = assemble(G, {}, {"square": Sometimes(G, 0.1)})
    z = torch.zeros(2, 4).double()
    z[1, 0] = 1.0
    cloud, _ = surround(problem, problem.linearisation.at(z), 1.0, z, how=ALL)
    assert cloud is not None
    xi = offsets(G, 1.0, z)
    good = xi[xi[:, 1] <= 0.1]
    assert 0 < len(good) < len(xi)
    torch.testing.assert_close(cloud.jacobian[:, 0, 0], 2 * (z[:, 0] + good[:, 0].mean()))


def test_only_a_few_numbers_with_a_gradient_that_vary_are_averaged():
    G = Embedding(12)
    number = G.feature(lambda z: z[:, 0])
    blind = G.feature(lambda z: z[:, 1])
    blind.differentiable = False
    varied = {
        "number": number,
        "blind": blind,
        "many": G.feature(lambda z: z[:, :9]),
        "few": G.feature(lambda z: z[:, :8]),
    }
    problem = assemble(G, {"held": (G.feature(lambda z: z[:, 2]), 1.0)}, varied)
    point = problem.linearisation.at(G.sample(1, 0).double())
    assert averaged(problem, point.features, point.values) == [1, 4]
    published = assemble(G, {}, {"number": number}, differences=0.01)
    assert averaged(published, point.features[1:2], point.values[1:2]) == []


def walked(problem: Problem, **options) -> list[Front]:
    return list(walk(problem, (0, 1), WalkOptions(steps=6, paths=2, **options)))


@pytest.mark.parametrize("smooth", [0.5, 0.02], ids=["kept", "left behind"])
def test_a_restored_front_goes_on_with_its_clouds_bitwise(smooth):
    problem, _ = fooled()
    fronts = walked(problem, smooth=smooth)
    restored = Front.restore(fronts[3].paths, fronts[3].arrays())
    *_, last = walk(problem, (0, 1), WalkOptions(steps=6, paths=2, smooth=smooth), resume=restored)
    for a, b in zip(fronts[-1].paths, last.paths, strict=True):
        assert np.array_equal(a.latents, b.latents)


@pytest.mark.parametrize(
    ("held", "numbers", "smooth"), [(True, 2, 0.5), (False, 1, 0.5), (True, 9, 0.5), (True, 1, 0.0)]
)
def test_the_passes_expected_of_the_first_waypoint_include_those_of_the_clouds(held, numbers, smooth):
    G = Embedding(40)
    fixed = {"held": (G.feature(lambda z: z[:, 20:].sin()), 1.0)} if held else {}
    problem = assemble(G, fixed, {"varied": G.feature(lambda z: z[:, :numbers])})
    options = WalkOptions(steps=1, paths=2, smooth=smooth, averaging=ALL)
    first, then = walk(problem, (0, 1), options)
    expected = passes_ahead(problem, first, options)
    spent = sum(path.waypoints[1].cost.passes for path in then.paths)
    assert 0.5 * expected < spent < 1.1 * expected
    clouds = 2 * (PASSES.forwards + numbers * 1.2 * PASSES.pullbacks)
    assert (expected > clouds) == (smooth > 0 and numbers < 9)


def test_a_cloud_that_will_be_left_is_expected_and_then_forgotten():
    problem, _ = fooled()
    options = WalkOptions(steps=6, paths=2, smooth=0.02, averaging=ALL)
    fronts = list(walk(problem, (0,), options))
    expected = [passes_ahead(problem, front, options) for front in fronts[2:-1]]
    spent = [sum(path.waypoints[i].cost.passes for path in fronts[-1].paths) for i in range(3, 7)]
    assert max(spent) > PASSES.passes > min(spent)
    assert [one > PASSES.passes for one in expected] == [one > PASSES.passes for one in spent]


def test_a_cloud_is_paid_once_a_start_and_again_where_a_path_has_left_it():
    problem, _ = fooled()
    kept, left = (walked(problem, smooth=smooth, averaging=ALL)[-1].paths for smooth in (0.5, 0.02))
    first, second = kept[:2]  # the paths of one seed
    assert first.waypoints[1].cost.pullbacks >= PASSES.pullbacks
    assert second.waypoints[1].cost.pullbacks == 0
    assert all(w.cost.pullbacks < PASSES.pullbacks for path in kept for w in path.waypoints[2:])
    assert any(w.cost.pullbacks >= PASSES.pullbacks for path in left for w in path.waypoints[2:])


def test_rows_of_clouds_do_not_depend_on_their_company():
    problem, _ = fooled()
    together = walked(problem, smooth=0.5)[-1].paths
    for seed in (0, 1):
        *_, alone = walk(problem, (seed,), WalkOptions(steps=6, paths=2, smooth=0.5))
        for path in alone.paths:
            (same,) = (other for other in together if other.name == path.name)
            np.testing.assert_allclose(path.latents, same.latents, atol=1e-9)


def test_a_number_that_has_passed_its_crest_is_not_taken_back_step_by_step():
    G = Embedding(4)
    start = G.sample(1, 0)[0, 0].item()
    crest = G.feature(lambda z: (z[:, 0] - start) - 1.5 * (z[:, 0] - start) ** 2)
    problem = assemble(G, {}, {"crest": crest}, typical=0.3)
    *_, front = walk(problem, (0,), WalkOptions(steps=40, paths=2, stride=0.1))
    up = front.paths[0]
    changes = np.array([float(crest(G(torch.from_numpy(z[None])))) for z in up.latents])
    assert changes.max() > 0.1 and changes[-1] > 0 and up.status.reason == "nothing to vary"


def test_a_reading_that_goes_the_other_way_than_similar_images_is_not_followed():
    G = Embedding(4)
    start = G.sample(1, 0)[0, 0].item()
    # Less as far as a step goes, more everywhere else.
    dent = G.feature(lambda z: z[:, 0] - start - 3 * (z[:, 0] - start) * (-(((z[:, 0] - start) / 0.2) ** 2)).exp())
    problem = assemble(G, {}, {"dent": dent})
    *_, front = walk(problem, (0,), WalkOptions(steps=12, paths=2, stride=0.1))
    for path in front.paths:
        moved = dent(G(torch.from_numpy(path.latents[-1:]))).item()
        assert path.sense * moved > -0.1 and path.status.reason in ("nothing to vary", "length")
        assert path.sense * moved > 0.3 or max(path.change(path.varied[0])) == 0
