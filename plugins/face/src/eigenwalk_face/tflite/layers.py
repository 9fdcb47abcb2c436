"""The operations of TensorFlow Lite that networks may have, on tensors ``(batch, channels, height, width)``.

Only operations that torch differentiates in forward and in reverse mode are used.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution(nn.Module):
    """A convolution with ``weight`` ``(out, in / groups, height, width)`` and `stride` (rows, columns).

    With `same`, the input is padded so that the output has ⌈side / stride⌉ pixels a side, as TensorFlow pads: an odd
    pixel goes to the bottom and to the right.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], same: bool, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.stride, self.same, self.groups = stride, same, groups

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``."""
        if self.same:
            sides = zip(x.shape[-2:], self.weight.shape[-2:], self.stride, strict=True)
            (top, bottom), (left, right) = (_same(*side) for side in sides)
            if (top, left) == (bottom, right):
                return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)
            x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return missing // 2, missing - missing // 2


class Tiles(nn.Module):
    """A transposed convolution whose `weight` ``(in, out, height, width)`` is as large as its stride."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Put a tile in place of every pixel of ``x``."""
        return F.conv_transpose2d(x, self.weight, self.bias, self.weight.shape[-2:])


class WithConstant(nn.Module):
    """A function of ``x`` and one constant, which broadcasts against it."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], constant: Tensor) -> None:
        super().__init__()
        self.function = function
        self.constant = nn.Parameter(constant, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(x, self.constant)


class Function(nn.Module):
    """A function of one or two tensors."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(*x)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """``x``, times `slope` where it is negative."""
    return torch.where(x > 0, x, slope * x)


def hard_swish(x: Tensor) -> Tensor:
    """``x · clamp(x + 3, 0, 6) / 6``."""
    return x * (x + 3).clamp(0, 6) / 6
