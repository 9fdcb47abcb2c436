"""Filters with a change of rate: their transposes, and derivatives of every order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eigenwalk_stylegan.resample import enlarge, low_pass, lower_rate, raise_rate


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("shape", [(6,), (5, 5)])
def test_up_and_downsampling_are_transposes_in_every_order(factor, shape) -> None:
    taps = random(*shape, seed=3)
    x, y = random(2, 2, 4, 4), random(2, 2, 3 * factor + shape[0], 3 * factor + shape[0], seed=1)
    torch.testing.assert_close((raise_rate(x, taps, factor) * y).sum(), (x * lower_rate(y, taps, factor)).sum())
    for function, at in ((raise_rate, x), (lower_rate, y), (lower_rate, y[..., 1:, 1:])):
        assert torch.autograd.gradcheck(lambda z, f=function: f(z, taps, factor), at.clone().requires_grad_())
        along = random(3, *at.shape, seed=2)
        pushed = torch.func.vmap(
            lambda t, f=function, z=at: torch.func.jvp(lambda w: f(w, taps, factor), (z,), (t,))[1]
        )
        torch.testing.assert_close(pushed(along)[1], function(along[1], taps, factor))
        z = at.clone().requires_grad_()
        found = function(z, taps, factor)
        u = torch.zeros_like(found, requires_grad=True)
        (pulled,) = torch.autograd.grad(found, z, u, create_graph=True)
        torch.testing.assert_close(torch.autograd.grad(pulled, u, along[0])[0], function(along[0], taps, factor))


def test_a_constant_stays_itself_away_from_the_border() -> None:
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 8
    ones = torch.ones(1, 2, 6, 6, dtype=torch.float64)
    assert enlarge(ones, taps * 2).shape == (1, 2, 12, 12)
    torch.testing.assert_close(enlarge(ones, taps * 2)[..., 2:-2, 2:-2], torch.ones(1, 2, 8, 8, dtype=torch.float64))
    torch.testing.assert_close(low_pass(ones, taps, 2)[..., 2:-2, 2:-2], torch.ones(1, 2, 3, 3, dtype=torch.float64))
    lopsided = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    x = random(1, 1, 5, 5)
    torch.testing.assert_close(low_pass(x, lopsided, 3)[..., :5, :5], x)  # a convolution: the first tap is now
