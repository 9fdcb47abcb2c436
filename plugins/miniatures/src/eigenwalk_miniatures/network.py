"""The generator of every miniature: StyleGAN2's ideas, written from the papers.

Karras et al. 2019 (arXiv 1812.04948): mapping network, styles. Karras et al. 2020 (arXiv 1912.04958): modulated and
demodulated convolutions (equations 1 to 3), skip RGB outputs. Karras et al. 2018 (arXiv 1710.10196): equalised learning
rate. There are no noise inputs: each image depends on its own latent and on nothing else.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAIN = math.sqrt(2)
"""Keeps the variance through a leaky ReLU of slope 0.2."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a generator; `channels` by resolution 4, 8, ... up to the image's."""

    latent_dim: int = 64
    style_dim: int = 128
    channels: tuple[int, ...] = (128, 128, 128, 64, 32)
    mapping_layers: int = 4
    mapping_rate: float = 1.0

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)


class Dense(nn.Module):
    """A linear layer with equalised learning rate; `rate` multiplies the optimiser's."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, outputs)` of `x (batch, inputs)`."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class StyledConv(nn.Module):
    """A 3x3 convolution whose weights a style scales per input channel (1912.04958, equation 1).

    Scaling the input and, to demodulate, the output (equation 3) equals scaling the weights, and
    keeps one convolution for the whole batch: faster on a CPU than grouped ones, and `vmap` can
    batch it. With `enlarge` the convolution runs before the enlargement, at a quarter of the cost, and
    the nonlinearity after it, where edges are made.
    """

    def __init__(self, inputs: int, outputs: int, style_dim: int, enlarge: bool = False) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.style = Dense(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs * 9)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """`(batch, outputs, height, width)` of `x` and one style `w (batch, style_dim)`.

        Height and width are those of `x`, or twice those with `enlarge`.
        """
        s = self.style(w)
        weight = self.weight * self.scale
        norm = GAIN * torch.rsqrt(F.linear(s**2, (weight**2).sum((2, 3))) + 1e-8)
        x = F.conv2d(x * s[:, :, None, None].to(x.dtype), weight, padding=1)
        x = _double(x) if self.enlarge else x
        x = torch.addcmul(self.bias[None, :, None, None].to(x.dtype), x, norm[:, :, None, None].to(x.dtype))
        return F.leaky_relu(x, 0.2)


class ToRGB(nn.Module):
    """Three channels from features: a styled 1x1 convolution without demodulation."""

    def __init__(self, inputs: int, style_dim: int) -> None:
        super().__init__()
        self.style = Dense(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """`(batch, 3, height, width)`."""
        s = self.style(w)[:, :, None, None].to(x.dtype)
        return F.conv2d(x * s, self.weight * self.scale, self.bias)


class Generator(nn.Module):
    """Latents to images in about [-1, 1]; the package's wrapper maps them to [0, 1]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, widths = shape.style_dim, shape.channels
        self.shape = shape
        self.mapping = nn.ModuleList(
            Dense(d if layer else shape.latent_dim, d, rate=shape.mapping_rate) for layer in range(shape.mapping_layers)
        )
        self.w_mean: Tensor
        self.register_buffer("w_mean", torch.zeros(d))
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.first = StyledConv(widths[0], widths[0], d)
        pairs = list(itertools.pairwise(widths))
        self.widen = nn.ModuleList(StyledConv(a, b, d, enlarge=True) for a, b in pairs)
        self.refine = nn.ModuleList(StyledConv(b, b, d) for _, b in pairs)
        self.rgb = nn.ModuleList(ToRGB(width, d) for width in widths)

    def map(self, z: Tensor) -> Tensor:
        """`w (batch, style_dim)` of `z (batch, latent_dim)`."""
        w = z
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2) * GAIN
        return w

    def synthesise(self, w: Tensor, levels: int | None = None) -> Tensor:
        """Images `(batch, 3, height, width)` of `w (batch, style_dim)`.

        With `levels` the first so many resolutions alone, for a side of 4, 8, 16, ... pixels.
        """
        steps = slice(None if levels is None else levels - 1)
        x = self.constant.expand(w.shape[0], -1, -1, -1)
        x = self.first(x, w)
        image = self.rgb[0](x, w)
        for widen, refine, rgb in zip(self.widen[steps], self.refine[steps], self.rgb[1:][steps], strict=True):
            x = refine(widen(x, w), w)
            image = _double(image) + rgb(x, w)
        return image

    def forward(self, z: Tensor) -> Tensor:
        """Images `(batch, 3, height, width)` of `z (batch, latent_dim)`."""
        return self.synthesise(self.map(z))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
