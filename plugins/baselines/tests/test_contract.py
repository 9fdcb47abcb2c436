"""Checks beyond the conformance kit: every method in every space of a StyleGAN, and its first directions alone."""

from __future__ import annotations

import pytest
import torch

from eigenwalk_baselines.plugin import eigenwalk_directions

from . import toys

SPECS = {spec.name: spec for spec in eigenwalk_directions()}
FEW = {"ganspace": {"samples": 200}, "interfacegan": {"samples": 200, "share": 0.1}}


@pytest.mark.parametrize("space", ["z", "w", "w+"])
@pytest.mark.parametrize("name", [name for name in SPECS if name != "distilled"])  # it reads a file
def test_the_first_directions_do_not_depend_on_how_many_are_asked(name, space):
    generator, method = toys.StyleGenerator(space), SPECS[name].factory()(**FEW.get(name, {}))
    latents = generator.sample(3, 5)
    if name == "interfacegan":  # a number varies and a number is fixed
        sight, k = toys.See(generator, latents, lambda i: i.mean((1, 2, 3))[:, None], lambda i: i[:, 0, 0, :1]), 1
    else:
        sight, k = toys.See(generator, latents, lambda i: i[..., :3].flatten(1), lambda i: i[..., 3:].flatten(1)), 3
    found = method.find(sight, k)
    assert found.shape == (3, k, latents.shape[1])
    torch.testing.assert_close(found.norm(dim=2), torch.ones(3, k).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(method.find(sight, 1), found[:, :1], rtol=0, atol=1e-6)
