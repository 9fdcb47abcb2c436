"""What of a gradient samples have a part in, on latents whose covariance is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from eigenwalk.maths.cloud import AVERAGING
from eigenwalk.maths.covariance import covariance_times, natural_part
from eigenwalk.maths.problem import Problem
from eigenwalk.walk import WalkOptions, walk
from problems import Embedding, assemble, normal

SPREAD = torch.tensor([1.0, 0.8, 0.5, 0.02, 0.02, 0.02]).double()
"""Standard deviations of a latent, as uneven as those of a mapped one."""


def uneven() -> Embedding:
    return Embedding(6, sample=lambda n, seed: normal(n, 6, seed=seed) * SPREAD)


def test_what_is_left_lies_where_samples_with_more_of_each_number_are():
    J = normal(3, 2, 6)
    natural = J * SPREAD.square()
    left = natural_part(J, uneven())
    span = torch.linalg.lstsq(natural.mT, left.mT).solution
    assert float((natural.mT @ span - left.mT).norm() / left.norm()) < 0.1  # Σ is that of 2,048 samples
    torch.testing.assert_close((left * natural).sum(-1), (J * natural).sum(-1), rtol=0.05, atol=1e-3)


def test_numbers_that_are_one_leave_one_direction():
    J = normal(1, 1, 6).expand(1, 2, 6)
    one, two = natural_part(J[:, :1], uneven()), natural_part(J, uneven())
    torch.testing.assert_close(two, one.expand(1, 2, 6))


@pytest.mark.parametrize("dim", [2, 64, 3000])
def test_a_gradient_stays_as_it_is_where_all_directions_vary_alike(dim):
    J = normal(1, 2, dim)
    assert natural_part(J, Embedding(dim)) is J


@pytest.mark.parametrize("count", [150, 4000])
def test_the_covariance_is_found_from_few_samples_and_from_many(count):
    scale, v = torch.linspace(0.05, 1, 200).double() ** 4, normal(1, 3, 200)
    found = covariance_times(normal(count, 200) * scale, v)
    assert found is not None
    assert float(cosine_similarity(found, v * scale.square(), dim=-1).min()) > {150: 0.8, 4000: 0.99}[count]


def test_a_walk_does_not_go_where_samples_do_not():
    """The network reads z_0, and three times as strongly what samples hardly vary."""
    G = uneven()
    reading = G.feature(lambda z: z[:, :1] + 3 * z[:, 3:4])
    problem = assemble(G, {}, {"reading": reading}, latent_scale=2.0)
    held = assemble(G, {"held": (G.feature(lambda z: z[:, 2:3]), 1.0)}, {"reading": reading}, latent_scale=2.0)

    def share(natural: bool, problem: Problem = problem) -> float:
        options = WalkOptions(steps=4, paths=2, averaging=replace(AVERAGING[3], natural=natural))
        *_, front = walk(problem, (0, 1), options)
        moved = [np.abs(path.latents[-1] - path.latents[0]) for path in front.paths]
        return sum(one[0] for one in moved) / sum(path.change(path.varied[0])[-1] for path in front.paths)

    assert share(natural=True) > 0.98
    assert share(natural=False) < 0.15
    assert share(natural=True, problem=held) == share(natural=False, problem=held)  # with a hold, nothing is left out
