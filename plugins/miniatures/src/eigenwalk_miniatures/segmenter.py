"""The part segmenter: a small U-Net that assigns each pixel to a part.

Ronneberger et al. 2015 (arXiv 1505.04597), with group normalisation, which treats every image alone.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 96)
"""Channels at full, half, quarter and eighth resolution."""


class Pair(nn.Sequential):
    """Two 3x3 convolutions, each normalised, `(batch, outputs, height, width)`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(8, outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(8, outputs),
            nn.SiLU(),
        )


class Segmenter(nn.Module):
    """Images in [0, 1] to part logits `(batch, parts, height, width)`; `height` divisible by 8."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Pair(a, b) for a, b in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True))
        self.up = nn.ModuleList(Pair(a + b, a) for a, b in pairwise(WIDTHS))
        self.out = nn.Conv2d(WIDTHS[0], parts, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits; their softmax over channels is the soft mask of each part."""
        x, passed = images * 2 - 1, []
        for level, pair in enumerate(self.down):
            x = pair(F.max_pool2d(x, 2) if level else x)
            passed.append(x)
        for pair, skip in zip(reversed(self.up), reversed(passed[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = pair(torch.cat([skip, x], dim=1))
        return self.out(x)

    def masks(self, images: Tensor) -> Tensor:
        """Soft masks `(batch, parts, height, width)` of any image size; they sum to 1 at a pixel.

        Images of another size are segmented at 64 x 64.
        """
        size = images.shape[-2:]
        side = (64, 64)
        seen = images if size == side else F.interpolate(images, side, mode="bilinear", antialias=True)
        logits = self(seen.clamp(0, 1))
        if size != side:
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        return logits.softmax(1)
