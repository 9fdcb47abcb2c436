"""Layers that both architectures share: dense layers, the mapping network, modulation."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_stylegan.configuration import Mapping

GAIN = math.sqrt(2)
"""Keeps the variance through a leaky ReLU of slope 0.2."""
EPSILON = 1e-8


class Dense(nn.Module):
    """A linear layer with equalised learning rate (arXiv 1710.10196, section 4.1); `rate` multiplies it all."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, outputs)`` of `x` ``(batch, inputs)``."""
        return F.linear(x, self.weight * self.scale, None if self.bias is None else self.bias * self.rate)

    def column(self, i: int) -> Tensor:
        """Return ``(1, outputs)`` of the `i`-th unit vector."""
        column = self.weight[:, i] * self.scale
        return (column if self.bias is None else column + self.bias * self.rate)[None]


class MappingNetwork(nn.Module):
    """From z to w: z of unit mean square, a class's embedding after it, then dense layers with leaky ReLU.

    Karras et al. 2019 (arXiv 1812.04948, section 2); conditional as in Karras et al. 2020 (arXiv 2006.06676,
    appendix C).
    """

    def __init__(self, sizes: Mapping) -> None:
        super().__init__()
        self.sizes = sizes
        widths = sizes.widths
        self.layers = nn.ModuleList(Dense(a, b, sizes.rate) for a, b in itertools.pairwise(widths))
        self.embed = Dense(sizes.labels, sizes.embedding, bias=not sizes.joint) if sizes.labels else None
        self.mean: Tensor
        self.register_buffer("mean", torch.empty(sizes.w_dim))

    def forward(self, z: Tensor, label: int | None) -> Tensor:
        """w ``(batch, w_dim)`` of z ``(batch, z_dim)`` and a class."""
        if self.embed is None:
            x = _unit(z)
        else:
            assert label is not None
            embedded = self.embed.column(label).expand(z.shape[0], -1)
            joint = self.sizes.joint
            x = _unit(torch.cat([z, embedded], 1)) if joint else torch.cat([_unit(z), _unit(embedded)], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2) * GAIN
        return x


def _unit(x: Tensor) -> Tensor:
    """Scale rows to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


def scale_channels(x: Tensor, by: Tensor) -> Tensor:
    """Multiply every channel of `x` ``(batch, channels, height, width)`` by its factor ``(batch, channels)``."""
    return x * by[:, :, None, None]


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """1 / the norm of each output channel's weights under `style` (arXiv 1912.04958, equation 3): ``(batch, out)``.

    Scaling inputs by the style and outputs by this equals modulating the weights, and keeps one convolution for a
    whole batch, which `vmap` can batch too.
    """
    return torch.rsqrt(F.linear(style.square(), weight.square().sum((2, 3))) + EPSILON)
