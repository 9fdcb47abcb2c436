"""Networks that read a scene's factors off its picture: one for walks, another to judge them."""

from __future__ import annotations

from functools import partial

import timm
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional as F


class Regressor(nn.Module):
    """Images in [0, 1] to factors `(batch, factors)` as shares of their range, 0 at low, 1 at high.

    The network is timm's `resnet10t` narrowed, without pretrained weights. It never
    meets the generator in training: it can judge it.
    """

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.net = timm.create_model(
            "resnet10t", pretrained=False, num_classes=factors, channels=(32, 64, 128, 160), stem_width=24
        )

    def forward(self, images: Tensor) -> Tensor:
        """Shares `(batch, factors)`; not cut to [0, 1]. Images of any size, resized to 64 x 64."""
        if images.shape[-2:] != (64, 64):
            images = F.interpolate(images, (64, 64), mode="bilinear", antialias=True)
        return self.net(images * 2 - 1) * 0.5 + 0.5


class Attributes(Regressor):
    """The same reading by another network, trained apart from another seed: what walks hold and vary.

    A walk that optimises one network's reading may fool that network; another one, of another architecture, shows it.
    This one is timm's `resnetv2_18` with one pre-activation block a stage (He et al. 2016, arXiv 1603.05027),
    narrower, with a smooth activation, as walks differentiate it.
    """

    def __init__(self, factors: int) -> None:
        nn.Module.__init__(self)
        self.net = timm.create_model(
            "resnetv2_18",
            pretrained=False,
            num_classes=factors,
            layers=(1, 1, 1, 1),
            channels=(24, 48, 80, 104),
            stem_chs=24,
            norm_layer=partial(BatchNormAct2d, act_layer=nn.SiLU),
        )
