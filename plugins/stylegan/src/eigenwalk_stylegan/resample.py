"""Fixed filters with a change of rate, as linear maps with explicit transposes.

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
    """Insert ``factor - 1`` zeros between samples and filter along both axes: ``(n - 1) factor + taps`` on a side.

    `taps` are ``(taps,)`` for the same filter along both axes, or ``(taps, taps)``.

    >>> import torch
    >>> raise_rate(torch.ones(1, 1, 3, 3), torch.ones(4), 2).shape
    torch.Size([1, 1, 8, 8])
    """
    return _Raise.apply(x, taps.to(x.dtype), factor)  # type: ignore[return-value]


def lower_rate(x: Tensor, taps: Tensor, factor: int) -> Tensor:
    """Correlate `x` with the filter and keep every `factor`-th sample: ``(n - taps) // factor + 1`` on a side.

    The transpose of `raise_rate`.

    >>> import torch
    >>> lower_rate(torch.ones(1, 1, 8, 8), torch.ones(4), 2).shape
    torch.Size([1, 1, 3, 3])
    """
    return _Lower.apply(x, taps.to(x.dtype), factor)  # type: ignore[return-value]


def low_pass(x: Tensor, taps: Tensor, pad: int) -> Tensor:
    """Pad `x` by zeros on every side, and convolve it with the same filter along both axes."""
    return lower_rate(F.pad(x, (pad,) * 4), taps.flip(0), 1)


def enlarge(x: Tensor, taps: Tensor) -> Tensor:
    """Double the rate of `x`, to exactly twice as many samples, by a filter with an even number of taps."""
    return F.pad(raise_rate(x, taps, 2), (1 - len(taps) // 2,) * 4)


def _each(taps: Tensor, channels: int) -> tuple[tuple[Tensor, tuple[int, int]], ...]:
    """Return the filter as weights of grouped convolutions, one group per channel, with the axes of their strides."""
    if taps.ndim == 2:
        return ((taps[None, None].expand(channels, -1, -1, -1), (1, 1)),)
    down, across = taps[None, None, :, None], taps[None, None, None, :]
    return (down.expand(channels, -1, -1, -1), (1, 0)), (across.expand(channels, -1, -1, -1), (0, 1))


def _stride(axes: tuple[int, int], factor: int) -> tuple[int, int]:
    return factor if axes[0] else 1, factor if axes[1] else 1


class _Linear(Function):
    """The base of both maps: the filter is constant, and rows of a batch are independent."""

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
