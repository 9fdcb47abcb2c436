"""The discriminator that a miniature's generator plays against in training.

Karras et al. 2020 (arXiv 1912.04958): residual discriminator. Karras et al. 2018 (arXiv 1710.10196): equalised learning
rate, minibatch deviation.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_miniatures.network import GAIN, Dense, Shape


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
