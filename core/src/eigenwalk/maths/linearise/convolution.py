"""Convolutions with constant weights, whose gradient is as cheap to differentiate as they are.

torch's second derivative of a convolution computes the gradient of the weights too, whether anybody asks for it or not:
channel by channel where there are groups, with kernels as large as the image. In a face network of 1024 pixels that was
five sixths of a pushforward. Recorded as a linear map and its adjoint, a convolution needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter
from torch.overrides import TorchFunctionMode


class LinearConvolutions(TorchFunctionMode):
    """Inside, every convolution of what carries a gradient with constant weights is recorded as a linear map."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, or record what it does as a linear map."""
        kwargs = kwargs or {}
        read = READ.get(func)
        if read is None:
            return func(*args, **kwargs)
        call = read(*args, **kwargs)
        if not call.fits:
            return func(*args, **kwargs)
        x, weight, bias = call.operands
        return _Linear.apply(x, weight, bias, call.geometry)


@dataclass(frozen=True)
class _Geometry:
    """How a convolution's kernel moves, as `torch.convolution` takes it, a number for each axis."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    transposed: bool
    output_padding: Sequence[int]
    groups: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups


@dataclass(frozen=True)
class _Call:
    """A convolution that is asked for."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Any
    padding: Any
    dilation: Any
    groups: int
    output_padding: Any = 0
    transposed: bool = False

    @property
    def fits(self) -> bool:
        """Whether it is linear in a batch of inputs that carry a gradient, with a padding in numbers."""
        constants = [one for one in (self.weight, self.bias) if one is not None]
        batched = self.input.requires_grad and self.input.ndim == self.weight.ndim
        # A parameter is constant here: only latents and images are differentiated with respect to.
        varying = any(one.requires_grad and not isinstance(one, Parameter) for one in constants)
        return batched and not varying and not isinstance(self.padding, str)

    @property
    def operands(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Input, weight and bias, in the dtype that autocast would give them."""
        device, bias = self.input.device.type, self.bias
        weight, bias = self.weight.detach(), None if bias is None else bias.detach()
        if not torch.is_autocast_enabled(device):
            return self.input, weight, bias
        dtype = torch.get_autocast_dtype(device)
        return self.input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)

    @property
    def geometry(self) -> _Geometry:
        axes = self.weight.ndim - 2
        moves = (self.stride, self.padding, self.dilation, self.output_padding)
        # torch takes a number, or a sequence of one, for all axes.
        stride, padding, dilation, output_padding = (
            [one] * axes if isinstance(one, int) else list(one) * (axes // len(one)) for one in moves
        )
        return _Geometry(stride, padding, dilation, self.transposed, output_padding, self.groups)


def _plain(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> _Call:
    return _Call(input, weight, bias, stride, padding, dilation, groups)


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> _Call:
    return _Call(input, weight, bias, stride, padding, dilation, groups, output_padding, True)


READ: dict[Callable[..., Any], Callable[..., _Call]] = {
    torch.conv1d: _plain,
    torch.conv2d: _plain,
    torch.conv3d: _plain,
    torch.conv_transpose1d: _transposed,
    torch.conv_transpose2d: _transposed,
    torch.conv_transpose3d: _transposed,
}
"""For each of torch's functions that convolve, how to read its arguments."""


class _Linear(Function):
    """``W x + b``; the gradient is that of x alone."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        return torch.convolution(x, weight, bias, *geometry.arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, weight, _, ctx.geometry = inputs
        ctx.save_for_backward(weight)
        ctx.shape, ctx.strides = x.shape, x.stride()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        return _Adjoint.apply(gradients[0], weight, ctx.geometry, ctx.shape, ctx.strides), None, None, None


class _Adjoint(Function):
    """``Wᵀ u``, of the shape of x."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, weight: Tensor, geometry: _Geometry, shape: Any, strides: Any) -> Tensor:
        like = torch.empty_strided(shape, strides, dtype=u.dtype, device=u.device)  # its numbers are not read
        wanted = (True, False, False)
        return torch.ops.aten.convolution_backward(u, like, weight, None, *geometry.arguments, wanted)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, weight, ctx.geometry, _, _ = inputs
        ctx.save_for_backward(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        return _Linear.apply(gradients[0], weight, None, ctx.geometry), None, None, None, None
