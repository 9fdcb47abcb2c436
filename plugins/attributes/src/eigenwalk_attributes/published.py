"""Backbones whose published weights can be fetched, by timm's names for them; no torch here."""

from eigenwalk.spec import Weights

BACKBONES = {
    "vit_small_patch16_224.dino": Weights(
        file="attributes/dino_deitsmall16_pretrain.pth",
        sha256=None,  # nobody has published it
        size=86_700_000,
        licence="Apache-2.0",
        url="https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth",
        option=("model", "vit_small_patch16_224.dino"),
    ),
    "vit_small_patch14_dinov2.lvd142m": Weights(
        file="attributes/dinov2_vits14_pretrain.pth",
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        size=88_283_115,
        licence="Apache-2.0",
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        option=("model", "vit_small_patch14_dinov2.lvd142m"),
    ),
    "resnet18.tv_in1k": Weights(
        file="attributes/resnet18-f37072fd.pth",
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        size=46_830_571,
        licence="BSD-3-Clause",
        url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        option=("model", "resnet18.tv_in1k"),
    ),
}
"""Each in its publisher's own layout, which timm's networks take."""
