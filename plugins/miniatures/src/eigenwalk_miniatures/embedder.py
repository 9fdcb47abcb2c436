"""The identity embedding: a timm residual network whose unit vectors distinguish the painted people."""

from __future__ import annotations

import timm
from torch import Tensor, nn
from torch.nn import functional as F


class Embedder(nn.Module):
    """Images in [0, 1] to unit vectors `(batch, 2 factors)`: near for one person, far for two.

    The network is timm's `resnet10t` narrowed, with a smooth activation, without pretrained weights. `factors` is how
    many of the scene's factors make a person.
    """

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.net = timm.create_model(
            "resnet10t",
            pretrained=False,
            num_classes=2 * factors,
            channels=(24, 48, 88, 104),
            stem_width=16,
            act_layer=nn.SiLU,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Unit vectors `(batch, 2 factors)`. Images of any size, resized to 64 x 64."""
        if images.shape[-2:] != (64, 64):
            images = F.interpolate(images, (64, 64), mode="bilinear", antialias=True)
        return F.normalize(self.net(images * 2 - 1), dim=1)
