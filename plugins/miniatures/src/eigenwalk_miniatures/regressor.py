"""The factor regressor: a timm residual network that reads a scene's factors off its picture."""

from __future__ import annotations

import timm
from torch import Tensor, nn
from torch.nn import functional as F

ARCHITECTURE = "resnet10t"
CHANNELS = (32, 64, 128, 160)


class Regressor(nn.Module):
    """Images in [0, 1] to factors `(batch, factors)` as shares of their range, 0 at low, 1 at high.

    The network is timm's `resnet10t` narrowed to `CHANNELS`, without pretrained weights. It never
    meets the generator in training: it can judge it.
    """

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.net = timm.create_model(
            ARCHITECTURE, pretrained=False, num_classes=factors, channels=CHANNELS, stem_width=24
        )

    def forward(self, images: Tensor) -> Tensor:
        """Shares `(batch, factors)`; not cut to [0, 1]. Images of any size, seen in 64 x 64."""
        if images.shape[-2:] != (64, 64):
            images = F.interpolate(images, (64, 64), mode="bilinear", antialias=True)
        return self.net(images * 2 - 1) * 0.5 + 0.5
