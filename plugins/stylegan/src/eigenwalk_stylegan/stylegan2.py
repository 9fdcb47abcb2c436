"""StyleGAN2's synthesis, written from the paper (Karras et al. 2020, arXiv 1912.04958; -ADA: arXiv 2006.06676).

Layers are numbered as in w+: layer 0 is the convolution at 4 pixels, layers 2k - 1 and 2k are those at 4 * 2^k pixels,
and the image at that side takes layer 2k + 1, which is also the next side's first convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_stylegan.configuration import StyleGAN2, pairs
from eigenwalk_stylegan.layers import GAIN, Dense, MappingNetwork, demodulation, scale_channels
from eigenwalk_stylegan.resample import enlarge, low_pass


class StyledConv(nn.Module):
    """A 3x3 convolution whose weights a style scales per input channel (equations 1 to 3), noise, leaky ReLU.

    Its images have 2^`k` times the sides of the constant. Enlarging, it is a transposed convolution of stride 2 with a
    low-pass filter after it.
    """

    def __init__(self, inputs: int, outputs: int, k: int, sizes: StyleGAN2, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.clamp = doubles, sizes.clamp
        self.style = Dense(sizes.mapping.w_dim, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.noise: Tensor
        if sizes.noise:
            self.register_buffer("noise", torch.empty(sizes.start[0] << k, sizes.start[1] << k))
            self.strength = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor, style: Tensor, taps: Tensor, noise: bool, gain: float = 1.0) -> Tensor:
        """Return ``(batch, outputs, height, width)`` of `x` and `style` ``(batch, inputs)``."""
        norm = demodulation(self.weight, style)
        x = scale_channels(x, style)
        if self.doubles:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = low_pass(x, taps * 2, len(taps) // 2 - 1)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        x = scale_channels(x, norm)
        if noise:
            x = x + self.noise * self.strength
        x = F.leaky_relu(x + self.bias[:, None, None], 0.2) * (GAIN * gain)
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)


class ToRGB(nn.Module):
    """Three channels from features: a styled 1x1 convolution without demodulation."""

    def __init__(self, inputs: int, sizes: StyleGAN2) -> None:
        super().__init__()
        self.style = Dense(sizes.mapping.w_dim, inputs)
        self.weight = nn.Parameter(torch.empty(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))
        self.scale, self.clamp = 1 / math.sqrt(inputs), sizes.clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return ``(batch, 3, height, width)`` of `x` and `style` ``(batch, inputs)``."""
        x = F.conv2d(scale_channels(x, style * self.scale), self.weight) + self.bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Shortcut(nn.Module):
    """The 1x1 convolution and enlargement around a block of the residual architecture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.scale = 1 / math.sqrt(2 * inputs)  # halved variance, as the block's own branch

    def forward(self, x: Tensor, taps: Tensor) -> Tensor:
        """``(batch, outputs, 2 height, 2 width)``."""
        return enlarge(F.conv2d(x, self.weight * self.scale), taps * 2)


class Network(nn.Module):
    """Latents to images in about [-1, 1]."""

    def __init__(self, sizes: StyleGAN2) -> None:
        super().__init__()
        self.sizes = sizes
        widths, sides = sizes.channels, len(sizes.channels)
        self.mapping = MappingNetwork(sizes.mapping)
        self.constant = nn.Parameter(torch.empty(widths[0], *sizes.start))
        convs = [StyledConv(widths[0], widths[0], 0, sizes, doubles=False)]
        for k, (a, b) in enumerate(pairs(sizes), 1):
            convs += [
                StyledConv(a, b, k, sizes, doubles=True),
                StyledConv(b, b, k, sizes, doubles=False),
            ]
        self.convs = nn.ModuleList(convs)
        self.with_image = range(sides) if sizes.architecture == "skip" else range(sides - 1, sides)
        self.rgbs = nn.ModuleDict({str(k): ToRGB(widths[k], sizes) for k in self.with_image})
        self.shortcuts = nn.ModuleList(
            Shortcut(a, b) for a, b in (pairs(sizes) if sizes.architecture == "resnet" else ())
        )
        taps = torch.tensor(sizes.filter, device="cpu")  # on the meta device, "/" would load torch._dynamo
        self.taps: Tensor
        self.register_buffer("taps", taps / taps.sum(), persistent=False)

    def affines(self) -> list[tuple[int, Dense]]:
        """Return every style's layer in w+ and the map from w to it, in the order of computation."""
        found: list[tuple[int, Dense]] = []
        for i, conv in enumerate(self.convs):
            found.append((i, conv.style))  # type: ignore[arg-type]
            if i % 2 == 0 and i // 2 in self.with_image:
                found.append((i + 1, self.rgbs[str(i // 2)].style))  # type: ignore[arg-type]
        return found

    def synthesise(self, styles: list[Tensor], noise: bool = True) -> Tensor:
        """Return images ``(batch, 3, height, width)`` from the styles of `affines`, each ``(batch, channels)``."""
        rest, noise = iter(styles), noise and self.sizes.noise
        x = self.constant.expand(styles[0].shape[0], -1, -1, -1)
        image = None
        gain = math.sqrt(0.5) if self.shortcuts else 1.0
        for k in range(len(self.sizes.channels)):
            if k == 0:
                x = self.convs[0](x, next(rest), self.taps, noise)
            else:
                y = self.convs[2 * k - 1](x, next(rest), self.taps, noise)
                y = self.convs[2 * k](y, next(rest), self.taps, noise, gain)
                x = y + self.shortcuts[k - 1](x, self.taps) if self.shortcuts else y
            if k in self.with_image:
                rgb = self.rgbs[str(k)](x, next(rest))
                image = rgb if image is None else enlarge(image, self.taps * 2) + rgb
        assert image is not None
        return image
