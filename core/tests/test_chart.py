"""Coordinates in which samples vary alike, on latents whose covariance is known, and walks in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from eigenwalk.chart import Chart, count_layers, covariance
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.problem import Problem, Region
from eigenwalk.walk import WalkOptions, walk
from problems import Embedding, assemble, normal

SPREAD = torch.tensor([1.0, 0.8, 0.5, 0.02, 0.02, 0.02]).double()
"""Standard deviations of a latent, as uneven as those of a mapped one."""
LIKE = torch.zeros(1).double()


def uneven() -> Embedding:
    return Embedding(6, sample=lambda n, seed: normal(n, 6, seed=seed) * SPREAD)


def layered(n: int, seed: int) -> torch.Tensor:
    """Samples of w+, the same w in each of three layers."""
    return (normal(n, 4, seed=seed) @ normal(4, 4, seed=9) + 1).repeat(1, 3)


def plus() -> FunctionGenerator:
    return FunctionGenerator(lambda z: z, 12, (8, 8), layered, "w+")


def test_samples_are_normal_and_vectors_go_there_and_back():
    chart = Chart.of(plus(), LIKE)
    u = chart.coordinates(layered(4000, 8))
    torch.testing.assert_close(u.T.cov(), torch.eye(4).double(), rtol=0, atol=0.15)
    torch.testing.assert_close(chart.latents(u), layered(4000, 8))
    walked = Chart.natural(plus(), LIKE)
    assert walked is not None
    for one in (chart, chart.free(), walked):
        v, g = normal(2, 5, one.size), normal(2, 5, 12)
        torch.testing.assert_close(one.back(one.push(v)), v)
        torch.testing.assert_close((one.push(v) * g).sum(-1), (v * one.pull(g)).sum(-1))
    assert count_layers(plus()) == 3 and chart.free().size == 12


def test_layers_of_w_plus_vary_together_and_a_tenth_by_themselves():
    chart = Chart.natural(plus(), LIKE)
    assert chart is not None
    push = torch.stack([chart.push(row) for row in torch.eye(12).double()]).view(12, 3, 4)
    each = layered(4000, 8)[:, :4].T.cov()
    among = torch.einsum("nad,nbe->abde", push, push) * each.trace() / 4
    for a in range(3):
        for b in range(3):
            torch.testing.assert_close(among[a, b], (1 if a == b else 0.9) * each, rtol=0.05, atol=0.3)


@pytest.mark.parametrize("dim", [2, 64, 3000])
def test_one_number_stands_for_directions_that_vary_alike(dim):
    chart = Chart.of(FunctionGenerator(lambda z: z, dim, (8, 8), lambda n, seed: 3 * normal(n, dim, seed=seed)), LIKE)
    assert chart.even and float(chart.factor) == pytest.approx(3, rel=0.05)
    torch.testing.assert_close(chart.back(chart.push(normal(2, dim))), normal(2, dim))


@pytest.mark.parametrize("count", [150, 4000])
def test_the_covariance_is_found_from_few_samples_and_from_many(count):
    scale, v = torch.linspace(0.05, 1, 200).double() ** 4, normal(1, 3, 200)
    found = covariance(normal(count, 200) * scale)
    assert found is not None
    assert float(cosine_similarity(v @ found, v * scale.square(), dim=-1).min()) > {150: 0.8, 4000: 0.99}[count]


@pytest.mark.parametrize("pictures", [2, 12])
def test_a_few_pictures_do_not_tell_how_latents_vary(pictures):
    few = FunctionGenerator(lambda z: z, 40, (8, 8), lambda n, seed: normal(pictures, 40).repeat(n, 1)[:n])
    assert Chart.natural(few, LIKE) is None


def problem(held: bool, charted: bool) -> Problem:
    """What is read is z_0, and three times as strongly what samples hardly vary; z_2 may be held."""
    G = uneven()
    fixed = {"held": (G.feature(lambda z: z[:, 2:3] + z[:, 4:5]), 1.0)} if held else {}
    made = assemble(G, fixed, {"reading": G.feature(lambda z: z[:, :1] + 3 * z[:, 3:4])}, latent_scale=2.0)
    return replace(made, chart=Chart.natural(G, LIKE) if charted else None)


@pytest.mark.parametrize("held", [False, True], ids=["nothing held", "held"])
def test_a_walk_does_not_go_where_samples_do_not(held):
    def share(charted: bool) -> float:
        *_, front = walk(problem(held, charted), (0, 1), WalkOptions(steps=4, paths=2))
        moved = [np.abs(path.latents[-1] - path.latents[0]) for path in front.paths]
        return sum(one[0] for one in moved) / sum(path.change(path.varied[0])[-1] for path in front.paths)

    assert share(charted=True) > 0.98
    assert share(charted=False) < 0.15


def test_steps_are_said_in_the_latent_s_own_length_and_bend_along_its_region():
    bounded = replace(problem(True, True), region=Region(torch.zeros(6), 1.5))
    *_, front = walk(bounded, (1,), WalkOptions(steps=30, paths=2, longest=0.5))
    for path in front.paths:
        moved = np.diff(np.stack([one.latent for one in path.waypoints]), axis=0)
        sizes = [one.step_size for one in path.waypoints[1:]]
        assert np.linalg.norm(moved, axis=1)[:4] == pytest.approx(sizes[:4], rel=0.1)  # the rest is pull
        assert path.status.reason == "length"  # bent wrongly, "region" after 11 steps
        assert 1.4 < np.linalg.norm(path.latents[-1]) <= 1.502
