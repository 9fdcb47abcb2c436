"""Checks of what features and generators promise of their values: one row each, always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from eigenwalk.errors import EigenwalkError
from eigenwalk.objects.reach import reachable
from eigenwalk_testing.checks import Failed, fail
from eigenwalk_testing.subject import ROWS, SEED, FeatureSubject, Subject, apart

T = TypeVar("T")
SAME = 1e-4
"""Largest difference of float32 values that are the same but for the order of sums, as a share of the largest."""


def same(a: Tensor, b: Tensor, what: str, remedy: str, within: float = SAME) -> str:
    """Say how far `a` and `b` are apart, or fail with `what` where that is more than `within`."""
    difference = apart(a, b)
    if not difference <= within:
        shapes = f": shapes {tuple(a.shape)} and {tuple(b.shape)}" if a.shape != b.shape else ""
        fail(f"{what} by {difference:.2g} of the largest value, and {within:g} is allowed{shapes}", remedy)
    return f"{difference:.1g} of the largest value, {within:g} allowed"


def finite(s: Subject) -> str:
    """Values are neither NaN nor infinite."""
    good = s.reference.reshape(len(s.reference), -1).isfinite().all(1)
    if not bool(good.all()):
        rows = (~good).nonzero().flatten().tolist()
        fail(
            f"NaN or infinite at rows {rows} of {len(good)}",
            "add an epsilon where it divides or takes a root; of an image without a value, at() raises Undefined",
        )
    low, high = float(s.reference.min()), float(s.reference.max())
    return f"from {low:.3g} to {high:.3g}"


def two_seeds(call: Callable[[], T]) -> tuple[T, T]:
    """Return what `call` returns under two of torch's seeds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = call()
        torch.manual_seed(2)
        return first, call()


def determinism(s: Subject) -> str:
    """The same inputs give the same values, whatever torch's seed."""
    first, second = two_seeds(lambda: s.values(s.inputs))
    remedy = "seed what is random with a generator of its own, and put networks into eval mode"
    return same(first, second, "two calls differ", remedy, 1e-6)


def independence(s: Subject) -> str:
    """A row's value does not depend on the other rows' contents, nor on how many there are."""
    first = s.called(s.inputs)[:1]
    remedy = "reduce over single rows, never over the batch: batch norm in eval mode, means over dimensions 1 and on"
    same(first, s.called(s.mixed())[:1], "with other images beside it a row's value differs", remedy)
    return same(first, s.called(s.inputs[:1]), "alone a row's value differs", remedy)


def order(s: Subject) -> str:
    """Rows in another order give the same values in that order."""
    turned, remedy = s.values(s.inputs.flip(0)).flip(0), "let nothing depend on a row's place in the batch"
    return same(s.reference, turned, "in another order values differ", remedy)


def pure(s: Subject) -> str:
    """A call changes neither its input nor torch's global state."""
    inputs = s.inputs.clone()
    with keeping_state(), torch.no_grad():
        s.near(inputs)(inputs)
    if not torch.equal(inputs, s.inputs):
        fail("the input itself was changed", "work on a copy: x = x - mean, and never x -= mean or x.clamp_()")
    return "input, random state, default dtype and gradient mode are as before"


@contextmanager
def keeping_state() -> Iterator[None]:
    """Fail where torch's random state, default dtype or gradient mode changes inside, and restore them."""
    torch.manual_seed(SEED)  # a state that none sets by chance
    dtype, gradients, state = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state()
    yield
    changed = ["random state"] if not torch.equal(state, torch.get_rng_state()) else []
    changed += ["default dtype"] if dtype != torch.get_default_dtype() else []
    changed += ["gradient mode"] if gradients != torch.is_grad_enabled() else []
    torch.set_rng_state(state)
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(gradients)
    if changed:
        remedy = "draw from torch.Generator().manual_seed(…) and set nothing that other code shares"
        fail(f"torch's {' and '.join(changed)} changed", remedy)


def parameters(s: Subject) -> str:
    """Every network is in eval mode, and no parameter wants a gradient."""
    remedy = "end the factory with network.eval().requires_grad_(False)"
    modules = list(reachable(s.object, nn.Module))
    training = [type(module).__name__ for module in modules if module.training and _is_affected(module)]
    if training:
        fail(f"{len(training)} modules are in training mode, {training[0]} among them", remedy)
    tensors = [tensor for tensor in reachable(s.object, Tensor) if tensor.requires_grad]
    with torch.enable_grad():
        values = s.near(s.inputs.clone())(s.inputs.clone())
    if tensors or values.requires_grad:
        fail(f"{len(tensors) or 'some'} tensors want a gradient, though the input does not", remedy)
    return f"{len(modules)} modules, none in training mode, none with a gradient"


def _is_affected(module: nn.Module) -> bool:
    """Whether training mode matters to `module`: an activation is the same in both."""
    own = any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False))
    return own or isinstance(module, nn.modules.dropout._DropoutNd)


def modes(s: Subject) -> str:
    """Values are the same with and without gradients, and differentiable after a call under inference_mode."""
    inputs = s.inputs[:ROWS]
    # Images of a size that it has not seen: what it keeps for each size is then made under inference_mode.
    unseen = inputs[..., : inputs.shape[-2] * 3 // 4, :] if isinstance(s, FeatureSubject) else inputs
    with torch.inference_mode():
        try:
            inputs, without = unseen, s.values(unseen).clone()
        except EigenwalkError:
            without = s.values(inputs).clone()
    near = s.near(inputs.clone())
    with torch.enable_grad():
        try:
            asked = inputs.clone().requires_grad_(getattr(s.object, "differentiable", True))
            values = near(asked)
            if values.requires_grad:
                torch.autograd.grad(values.sum(), asked)
        except RuntimeError as error:
            if "inference" not in str(error).lower():
                raise
            remedy = "make what is kept between calls under `with torch.inference_mode(False):`"
            raise Failed(f"after a call under inference_mode it cannot be differentiated: {error}", remedy) from None
    return same(without, values.detach(), "with gradients values differ", "let nothing depend on the gradient mode")
