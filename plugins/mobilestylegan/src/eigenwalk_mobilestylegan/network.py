"""MobileStyleGAN (Belousov 2021, arXiv 2104.04767): StyleGAN2's mapping, and a synthesis in the wavelet domain.

    w = leaky(… leaky(z / rms(z) W₁ + b₁) √2 … W₈ + b₈) √2
    image = ihaar(conv₁ₓ₁(…)) at twice the side of the last block

Every block doubles the side by an inverse Haar transform and applies two styled, depthwise-separable convolutions. A
style multiplies activations, not weights; there is no demodulation, which was folded into the pointwise kernels; noise
is a constant map. As the last transform only spreads four coefficients over 2 x 2 pixels, half of the lowest band
*is* the image averaged over 2 x 2: half of the size costs no more than leaving out that transform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


class Mapping(nn.Module):
    """z ``(batch, width)`` to w ``(batch, width)``; the published network has eight layers of 512."""

    def __init__(self, depth: int, width: int):
        super().__init__()
        self.layers: Any = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, z: Tensor) -> Tensor:
        """Return w."""
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * math.sqrt(2)
        return x


class Styled(nn.Module):
    """A convolution whose input is multiplied by a style, then noise, bias and leaky ReLU.

    Attributes:
        style: w to one factor a channel; `gain` is StyleGAN2's 1 / √fan-in.
        depthwise: 3 x 3 per channel; None where `pointwise` itself is a full 3 x 3 convolution.
        noise: a constant map ``(1, 1, side, side)``.
    """

    def __init__(self, before: int, after: int, side: int, style: int, separable: bool = True):
        super().__init__()
        self.gain = 1 / math.sqrt(9 * before)
        self.style = nn.Linear(style, before)
        self.depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False) if separable else None
        size = 1 if separable else 3
        self.pointwise = nn.Conv2d(before, after, size, padding=size // 2)
        self.noise = nn.Parameter(torch.zeros(1, 1, side, side))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return activations ``(batch, after, side, side)``."""
        x = x * (self.style(w) * self.gain)[:, :, None, None]
        if self.depthwise is not None:
            x = self.depthwise(x)
        # In place: the next layer keeps this result for its gradient, and nothing needs what came before it.
        return F.leaky_relu(self.pointwise(x).add_(self.noise), SLOPE, inplace=True)


class Block(nn.Module):
    """Twice the side: modulation, inverse Haar transform, two styled convolutions."""

    def __init__(self, before: int, middle: int, after: int, side: int, style: int):
        super().__init__()
        self.style = nn.Linear(style, before)
        self.first = Styled(middle, after, side, style)
        self.second = Styled(after, after, side, style)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return activations ``(batch, after, side, side)`` for the block's three w ``(batch, 3, style)``."""
        x = inverse_haar(x * self.style(w[:, 0])[:, :, None, None])
        return self.second(self.first(x, w[:, 1]), w[:, 2])


class Synthesis(nn.Module):
    """w ``(batch, style)`` to images ``(batch, 3, side, side)`` in [-1, 1].

    Attributes:
        channels: of each block: after the inverse Haar transform, and after both convolutions. The published network
            has (128, 512) four times, (128, 256), (64, 128), (32, 64).
        first: of the constant ``(1, first, side, side)``, 512 and 4 there.
        style: numbers in a w, 512 there.
    """

    def __init__(self, channels: Sequence[tuple[int, int]], first: int, style: int, side: int = 4):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(1, first, side, side))
        self.first = Styled(first, first, side, style, separable=False)
        self.blocks: Any = nn.ModuleList()
        for middle, after in channels:
            side *= 2
            self.blocks.append(Block(first, middle, after, side, style))
            first = after
        self.style, self.gain = nn.Linear(style, first), 1 / math.sqrt(first)
        self.colour = nn.Conv2d(first, 12, 1)
        self.side = 2 * side

    @property
    def depth(self) -> int:
        """How many w an image has in w+: one of the first convolution, three of each block, one of the colours."""
        return 3 * len(self.blocks) + 2

    def forward(self, w: Tensor, size: int | None = None) -> Tensor:
        """Return images of `size` pixels a side: the whole, or averaged over squares of 2, 4, 8 … pixels.

        `w` is ``(batch, style)``, or ``(batch, depth, style)`` with one for each layer.
        """
        size = size or self.side
        if w.dim() == 2:
            w = w[:, None].expand(-1, self.depth, -1)
        x = self.first(self.constant.expand(len(w), -1, -1, -1), w[:, 0])
        for i, block in enumerate(self.blocks):
            x = block(x, w[:, 3 * i + 1 : 3 * i + 4])
        bands = self.colour(x * (self.style(w[:, -1]) * self.gain)[:, :, None, None])
        if size == self.side:
            return inverse_haar(bands)
        return F.avg_pool2d(bands[:, :3] / 2, self.side // 2 // size) if size < self.side // 2 else bands[:, :3] / 2


def inverse_haar(x: Tensor) -> Tensor:
    """Return ``(batch, c, 2h, 2w)`` from bands ``(batch, 4c, h, w)``: c lowest ones, then three for each channel.

    The bands of a channel are low, vertical, horizontal and diagonal differences; the pixel at (i, j) of a square is
    ``(low ± vertical ± horizontal ± diagonal) / 2``.
    """
    c = x.shape[1] // 4
    low, high = x[:, :c], x[:, c:].unflatten(1, (c, 3))
    vertical, horizontal, diagonal = high.unbind(2)
    top, bottom = low + vertical, low - vertical
    right, left = horizontal + diagonal, horizontal - diagonal
    pixels = torch.stack([top + right, top - right, bottom + left, bottom - left], 2) / 2
    return F.pixel_shuffle(pixels.flatten(1, 2), 2)
