"""Fixed filters with a change of rate, as linear maps that know their own transposes.

PyTorch could differentiate the convolutions that they are made of, but its second derivative of a convolution in groups
runs group by group, some 30,000 calls in one pushforward of StyleGAN3. Here the derivative of each map is the map
itself, and its transpose the other one: as many passes as one likes, in any order.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


def raise_rate(x: Tensor, taps: Tensor, factor: int) -> Tensor:
    """`x` with ``factor - 1`` zeros between samples, filtered along both axes: ``(n - 1) factor + taps`` on a side.

    `taps` are ``(taps,)`` for the same filter along both axes, or ``(taps, taps)``.

    >>> import torch
    >>> raise_rate(torch.ones(1, 1, 3, 3), torch.ones(4), 2).shape
    torch.Size([1, 1, 8, 8])
    """
    return _Raise.apply(x, taps.to(x.dtype), factor)  # type: ignore[return-value]


def lower_rate(x: Tensor, taps: Tensor, factor: int) -> Tensor:
    """Every `factor`-th sample of `x` correlated with the filter: ``(n - taps) // factor + 1`` on a side.

    The transpose of `raise_rate`.

    >>> import torch
    >>> lower_rate(torch.ones(1, 1, 8, 8), torch.ones(4), 2).shape
    torch.Size([1, 1, 3, 3])
    """
    return _Lower.apply(x, taps.to(x.dtype), factor)  # type: ignore[return-value]


def low_pass(x: Tensor, taps: Tensor, pad: int) -> Tensor:
    """`x` padded by zeros on every side, and convolved with the same filter along both axes."""
    return lower_rate(F.pad(x, (pad,) * 4), taps.flip(0), 1)


def enlarge(x: Tensor, taps: Tensor) -> Tensor:
    """`x` at twice the rate, of exactly twice as many samples, by a filter of an even number of taps."""
    return F.pad(raise_rate(x, taps, 2), (1 - len(taps) // 2,) * 4)


def _each(taps: Tensor, channels: int) -> tuple[tuple[Tensor, tuple[int, int]], ...]:
    """The filter as weights of convolutions in as many groups as channels, and the axes that each strides along."""
    if taps.ndim == 2:
        return ((taps[None, None].expand(channels, -1, -1, -1), (1, 1)),)
    down, across = taps[None, None, :, None], taps[None, None, None, :]
    return (down.expand(channels, -1, -1, -1), (1, 0)), (across.expand(channels, -1, -1, -1), (0, 1))


def _stride(axes: tuple[int, int], factor: int) -> tuple[int, int]:
    return factor if axes[0] else 1, factor if axes[1] else 1


class _Linear(Function):
    """What both maps share: the filter is a constant, and rows of a batch are independent."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, taps, ctx.factor = inputs
        ctx.sides = x.shape[-2:]
        ctx.save_for_backward(taps)
        ctx.save_for_forward(taps)


class _Raise(_Linear):
    @staticmethod
    def forward(x: Tensor, taps: Tensor, factor: int) -> Tensor:
        for weight, axes in _each(taps, x.shape[1]):
            x = F.conv_transpose2d(x, weight.to(x.dtype), stride=_stride(axes, factor), groups=x.shape[1])
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return _Lower.apply(grads[0], ctx.saved_tensors[0], ctx.factor), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _Raise.apply(tangents[0], ctx.saved_tensors[0], ctx.factor)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, taps: Tensor, factor: int) -> Any:
        found: Any = _Raise.apply(x.movedim(in_dims[0], 0).flatten(0, 1), taps, factor)
        return found.unflatten(0, (info.batch_size, -1)), 0


class _Lower(_Linear):
    @staticmethod
    def forward(x: Tensor, taps: Tensor, factor: int) -> Tensor:
        for weight, axes in _each(taps, x.shape[1]):
            x = F.conv2d(x, weight.to(x.dtype), stride=_stride(axes, factor), groups=x.shape[1])
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        found: Any = _Raise.apply(grads[0], ctx.saved_tensors[0], ctx.factor)
        height, width = (whole - side for whole, side in zip(ctx.sides, found.shape[-2:], strict=True))
        return F.pad(found, (0, width, 0, height)), None, None  # samples after the last stride do not count

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _Lower.apply(tangents[0], ctx.saved_tensors[0], ctx.factor)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, taps: Tensor, factor: int) -> Any:
        found: Any = _Lower.apply(x.movedim(in_dims[0], 0).flatten(0, 1), taps, factor)
        return found.unflatten(0, (info.batch_size, -1)), 0
