"""Convolutions recorded as linear maps: torch's numbers, and no gradient of weights that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.linearise import Linearisation, derivative
from eigenwalk.maths.linearise.convolution import LinearConvolutions
from problems import normal

X = normal(2, 4, 9, 9)
W = normal(4, 4, 3, 3, seed=1)
DEPTHWISE = normal(4, 1, 3, 3, seed=1)
LINEAR: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda x: F.conv2d(x, W),
    "bias, stride and padding": lambda x: F.conv2d(x, W, normal(4), stride=2, padding=(1, 0)),
    "dilated": lambda x: torch.conv2d(x, W, dilation=2, padding=[2]),
    "depthwise": lambda x: F.conv2d(input=x, weight=DEPTHWISE, padding=1, groups=4),
    "transposed": lambda x: F.conv_transpose2d(x, W, None, 2, 1, output_padding=1),
    "transposed in groups": lambda x: F.conv_transpose2d(x, DEPTHWISE, stride=2, groups=4),
    "one axis": lambda x: F.conv1d(x.flatten(2), W[..., 0], padding=1),
    "a module whose weights require a gradient": nn.Conv2d(4, 4, 3).double(),
    "channels last": lambda x: F.conv2d(x.contiguous(memory_format=torch.channels_last), W),
}
PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "padding in words": lambda x: F.conv2d(x, W, padding="same"),
    "no batch": lambda x: F.conv2d(x[0], W),
    "weights that depend on the input": lambda x: F.conv2d(x, W * x.mean()),
    "the input as weights": lambda x: F.conv2d(x, x),
    "no gradient": lambda x: F.conv2d(x.detach(), W) * x.mean(),
}


class Counted(TorchDispatchMode):
    """Counts torch's calls of convolutions by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "conv" in str(func):
            self.calls.append(str(func).split(".")[1])
        return func(*args, **(kwargs or {}))


def derivatives(f: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Value, pullback, pushforward of `f` at X, and the convolutions that the pushforward takes."""
    x = X.clone().requires_grad_()
    y = f(x)
    (pulled,) = torch.autograd.grad(y, x, normal(*y.shape, seed=2), retain_graph=True)
    push = derivative.transpose(y, x)
    with Counted() as counted:
        pushed = push(normal(*X.shape, seed=3))
    return y.detach(), pulled, pushed, counted.calls


@pytest.mark.parametrize("name", LINEAR)
def test_a_pushforward_takes_one_convolution_for_each_of_the_pass(name):
    *plain, calls = derivatives(LINEAR[name])
    assert len(calls) > 1  # torch computes the gradient of the weights too
    with LinearConvolutions():
        *linear, calls = derivatives(LINEAR[name])
    assert calls == ["convolution"]
    for a, b in zip(plain, linear, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_not_linear_in_a_batch_is_left_to_torch(name):
    *plain, before = derivatives(PLAIN[name])
    with LinearConvolutions():
        *same, calls = derivatives(PLAIN[name])
    assert calls == before
    for a, b in zip(plain, same, strict=True):
        assert torch.equal(a, b)


def test_under_autocast_it_rounds_as_torch_does():
    found = []
    for kept in (False, True):
        with torch.autocast("cpu", torch.bfloat16):
            x = X.float().requires_grad_()
            if kept:
                with LinearConvolutions():
                    y = F.conv2d(x, W.float())
            else:
                y = F.conv2d(x, W.float())
        found.append((y, *torch.autograd.grad(y, x, torch.ones_like(y))))
    assert found[0][0].dtype == torch.bfloat16
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_generator_that_maps_over_a_batch_by_itself_still_has_its_derivatives():
    each = torch.func.vmap(lambda x: F.conv2d(x[None], W, padding=1)[0])
    point = look(lambda z: each(z.reshape(-1, 4, 3, 3))[:, :3]).at(normal(2, 36))
    expected = look(lambda z: F.conv2d(z.reshape(-1, 4, 3, 3), W, padding=1)[:, :3]).at(normal(2, 36))
    V = normal(2, 2, 36, seed=3)
    torch.testing.assert_close(point.push(V)[0], expected.push(V)[0])


def look(function: Callable[[Tensor], Tensor]) -> Linearisation:
    generator = FunctionGenerator(function, 36, (3, 3))
    return Linearisation(generator, (("image", FunctionFeature(lambda x: x)),), dtype=torch.float64)


def test_a_waypoint_convolves_once_a_pass():
    """The generator's one convolution: recorded, pulled, and pushed along three tangents."""
    with Counted() as counted:
        point = look(lambda z: F.conv2d(z.reshape(-1, 4, 3, 3), W, padding=1)[:, :3]).at(normal(1, 36))
        point.pull([normal(1, 27)])
        point.push(normal(1, 3, 36))
    forward, backward = (counted.calls.count(name) for name in ("convolution", "convolution_backward"))
    # The gradient is taken twice: once for the pullback, once to be recorded.
    assert (forward, backward) == (1 + 3, 2)
