"""Generator and discriminator of every miniature: StyleGAN2's ideas, written from the papers.

Karras et al. 2019 (arXiv 1812.04948): mapping network, styles. Karras et al. 2020 (arXiv
1912.04958): modulated and demodulated convolutions (equations 1 to 3), skip RGB outputs, residual
discriminator. Karras et al. 2018 (arXiv 1710.10196): equalised learning rate, minibatch deviation.
There are no noise inputs: an image depends on its latent alone, and rows of a batch on nothing else.
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


class Conv(nn.Module):
    """A convolution with equalised learning rate, bias and leaky ReLU (if `active`)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, active: bool = True, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None
        # leaky ReLU is positively homogeneous: the gain costs nothing inside the weights.
        self.scale = (GAIN if active else 1) / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, outputs, height, width)`."""
        x = F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.weight.shape[-1] // 2)
        return x if self.bias is None else F.leaky_relu(x, 0.2)


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


class DownBlock(nn.Module):
    """Two convolutions and a halving, with a skip (1912.04958, figure 7c)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Conv(inputs, inputs, 3)
        self.second = Conv(inputs, outputs, 3, stride=2)
        self.skip = Conv(inputs, outputs, 1, active=False)
        # Both summands carry half the variance, so that depth does not add to it.
        self.second.scale /= GAIN
        self.skip.scale /= GAIN

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, outputs, height / 2, width / 2)`."""
        short = self.skip(F.avg_pool2d(x, 2))
        return self.second(self.first(x)) + short


class Discriminator(nn.Module):
    """Images in about [-1, 1] to logits `(batch,)`: above 0 says render, below 0 says generator."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = shape.channels[::-1]
        self.enter = Conv(3, widths[0], 1)
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in itertools.pairwise(widths)))
        self.last = Conv(widths[-1] + 1, widths[-1], 3)
        self.dense = Dense(widths[-1] * 16, widths[-1])
        self.out = Dense(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(batch,)`."""
        x = self.blocks(self.enter(images))
        x = self.last(torch.cat([x, _deviation(x)], dim=1))
        x = F.leaky_relu(self.dense(x.flatten(1)), 0.2) * GAIN
        return self.out(x).squeeze(1)


def _deviation(x: Tensor, group: int = 8) -> Tensor:
    """Mean deviation within groups of images, one channel (1710.10196, section 3)."""
    n, c, h, w = x.shape
    size = math.gcd(n, group)
    grouped = x.float().reshape(size, n // size, c, h, w)
    deviation = torch.sqrt(grouped.var(0, unbiased=False) + 1e-8).mean((1, 2, 3))
    return deviation.repeat(size).view(n, 1, 1, 1).expand(n, 1, h, w).to(x.dtype)
