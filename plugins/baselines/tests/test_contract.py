"""What holds of every method by its name: unit vectors, in any company, the same every time."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from eigenwalk.direction import Directions
from eigenwalk_baselines.plugin import eigenwalk_directions

SPECS = {spec.name: spec for spec in eigenwalk_directions()}
FEW = {"ganspace": {"samples": 200}, "interfacegan": {"samples": 200, "share": 0.1}}


def made(name: str) -> Directions:
    """The method, with fewer samples."""
    return SPECS[name].factory()(**FEW.get(name, {}))


def seen(toys, name: str, latents: torch.Tensor, space: str = "z"):
    """A sight that suits every method: one number varies for InterFaceGAN, an image's part for the others."""
    generator = toys.StyleGenerator(space)
    if latents.dtype == torch.float32:
        generator.to("cpu", torch.float32)
    if name == "interfacegan":
        return toys.See(generator, latents, lambda i: i.mean((1, 2, 3))[:, None], lambda i: i[:, 0, 0, :1])
    return toys.See(generator, latents, lambda i: i[..., :3].flatten(1), lambda i: i[..., 3:].flatten(1))


@pytest.mark.parametrize("space", ["z", "w", "w+"])
@pytest.mark.parametrize("name", SPECS)
def test_directions_are_unit_vectors_in_any_company_and_the_same_every_time(toys, name, space):
    latents = toys.StyleGenerator(space).sample(3, 5)
    k = 1 if name == "interfacegan" else 3
    found = made(name).find(seen(toys, name, latents, space), k)
    assert found.shape == (3, k, latents.shape[1]) and found.dtype == latents.dtype
    assert found.isfinite().all()
    torch.testing.assert_close(found.norm(dim=2), torch.ones(3, k).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(made(name).find(seen(toys, name, latents, space), k), found, rtol=0, atol=1e-12)
    alone = made(name).find(seen(toys, name, latents[1:2], space), k)
    torch.testing.assert_close(alone, found[1:2], rtol=0, atol=1e-6)
    fewer = made(name).find(seen(toys, name, latents, space), 1)
    torch.testing.assert_close(fewer, found[:, :1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_they_are_those_of_double_precision_in_single(toys, name):
    latents = toys.StyleGenerator("w").sample(2, 5)
    double = made(name).find(seen(toys, name, latents, "w"), 1)
    single = made(name).find(seen(toys, name, latents.float(), "w"), 1)
    assert single.dtype == torch.float32
    assert toys.angle(double[0], single[0]) < 0.02


@pytest.mark.parametrize("name", [name for name in SPECS if SPECS[name].factory().curved])
def test_a_curved_method_continues_what_was_before(toys, name):
    latents = toys.StyleGenerator().sample(2, 5)
    previous = made(name).find(seen(toys, name, latents), 2)[:, 1]
    on = made(name).find(seen(toys, name, latents + 1e-4 * previous), 1, -previous)
    assert on.shape == (2, 1, 8) and ((on[:, 0] * -previous).sum(1) > 0.99).all()


def test_no_direction_differentiates_through_what_it_found(toys):
    latents = toys.StyleGenerator("w").sample(1, 5).requires_grad_()
    for name in SPECS:
        sight = seen(toys, name, latents.detach(), "w")
        assert not made(name).find(sight, 1).requires_grad


def test_specs_say_what_the_factories_take():
    for spec in SPECS.values():
        spec.factory()(**{option.name: option.default for option in spec.options})
        assert spec.cites or spec.name == "random"


def test_names_are_listed_without_torch_or_scikit_learn():
    code = "import eigenwalk_baselines.plugin as p, sys; p.eigenwalk_directions(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "sklearn"} & set(done.stdout.split())
