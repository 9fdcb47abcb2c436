"""J t of one function of tensors, by whichever way its operations have a rule for.

u ↦ Jᵀu is linear, so its own transpose is J (Townsend 2017, "A new trick for calculating Jacobian vector products").
Its graph is recorded once at each point, and a tangent then costs one pass through it, about as much as a forward pass.
If memory is too short for that graph, or an operation has no second derivative, tangents are pushed by forward mode
under vmap, where several share the primal pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

from eigenwalk.feature import Feature
from eigenwalk.maths.linearise.calls import lacks_memory
from eigenwalk.shapes import Images

Function = Callable[[Tensor], Tensor]
UNABLE = (RuntimeError, NotImplementedError, ValueError)
"""What torch raises if an operation has no rule for a derivative."""


def first_able(ways: Iterable[Callable[[], Tensor]]) -> Tensor:
    """Return the result of the first of `ways` for which torch has all rules; an error of the last one is raised."""
    *others, last = ways
    for way in others:
        try:
            return way()
        except UNABLE as error:  # torch raises the same types when memory runs out
            if lacks_memory(error):
                raise
    return last()


def transpose(outputs: Tensor, inputs: Tensor) -> Function:
    """Return the function t ↦ J t of the graph that leads from `inputs` to `outputs`: each call is a reverse pass."""
    with torch.enable_grad():
        u = torch.zeros_like(outputs, requires_grad=True)
        pulled = torch.autograd.grad(outputs, inputs, u, create_graph=True, allow_unused=True)[0]
    if pulled is None:  # the inputs do not matter
        return lambda tangent: torch.zeros_like(outputs)
    return lambda tangent: torch.autograd.grad(pulled, u, tangent.to(pulled.dtype), retain_graph=True)[0]


@cache
def load_forward_mode() -> None:
    """Let torch load what its forward mode needs, once, without its warning.

    It scripts its own derivative rules then, and warns that `torch.jit.script` is deprecated: no user can help that.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", FutureWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


def jvp(function: Function, primal: Tensor, tangents: Tensor, chunk: int | None) -> Tensor:
    """Return J t for tangents ``(k, batch, ...)`` at `primal` ``(batch, ...)``, by forward mode under vmap."""
    load_forward_mode()

    def one(tangent: Tensor) -> Tensor:
        return torch.func.jvp(function, (primal,), (tangent,))[1]

    with torch.no_grad():
        return torch.func.vmap(one, chunk_size=chunk)(tangents)


def singly(function: Function, primal: Tensor, tangents: Tensor) -> Tensor:
    """Return J t as `jvp` does, one tangent after another and without vmap."""
    load_forward_mode()
    with torch.no_grad():
        return torch.stack([torch.func.jvp(function, (primal,), (t,))[1] for t in tangents])


def central(feature: Feature, images: Images, tangent: Tensor) -> Tensor:
    """Return the central difference of `feature` along an image tangent ``(batch, 3, height, width)``.

    The images move by `feature.step` (RMS pixel) each way, whatever the tangent's length: a smaller change might be too
    small for a detector.
    """
    length = tangent.flatten(1).square().mean(1).sqrt().clamp_min(1e-12)
    h = (feature.step / length)[:, None, None, None]
    with torch.no_grad():
        change = feature(images + h * tangent) - feature(images - h * tangent)
    return change / (2 * h.reshape(-1, *[1] * (change.ndim - 1)))
