"""Names and options that this package offers to eigenwalk; no torch."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.checkpoint import Checkpoint, Kind
from eigenwalk.errors import FileError
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import GeneratorSpec, Option, Weights

LICENCE = (
    "Apache-2.0 as the wheel states; distilled from NVIDIA's StyleGAN2 for FFHQ, whose licence (non-commercial) the "
    "wheel does not mention"
)
SPACES = ("z", "w", "w+")
WHEEL = "random-face==2021.7.21.1"


def _weights(member: str, size: int, sha256: str) -> Weights:
    return Weights(
        f"mobilestylegan/{member}",
        sha256,
        size,
        LICENCE,
        wheel=WHEEL,
        member=f"random_face/data/{member}",
        option=("model", "ffhq"),
        unless="file",
    )


MAPPING = (
    _weights("MappingNetwork.xml", 59865, "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b"),
    _weights("MappingNetwork.bin", 8405040, "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305"),
)
SYNTHESIS = (
    _weights("SynthesisNetwork.xml", 425183, "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd"),
    _weights("SynthesisNetwork.bin", 32025440, "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645"),
)
OPENED = (
    Option("space", "str", "z", "where the walk happens: before (z) or after (w) the mapping, or a w a layer", SPACES),
    Option("truncation", "float", 0.7, "1 leaves samples as they are, 0 gives the mean face"),
    Option(
        "size", "int", None, "pixels a side: 1024, 512, 256, 128 or 64; smaller ones are exact averages of the whole"
    ),
)
FILE = Option("file", "path", None, "the .xml of a synthesis of your own, its mapping and numbers beside it")
OPTIONS = (*OPENED, Option("model", "str", "ffhq", "which published weights", ("ffhq",)), FILE)
CITES = ("Belousov 2021, arXiv 2104.04767", "Karras et al. 2020, arXiv 1912.04958")


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """MobileStyleGAN: .xml of the synthesis network, OpenVINO's format."""
    if checkpoint.kind != Kind.OPENVINO:
        return None
    if b'.to_img.conv.weight"' not in bytes(checkpoint.data[: 4 << 20]):
        raise FileError(
            f"{path} is an OpenVINO network, of which only MobileStyleGAN's synthesis is read: "
            "export other networks to ONNX or torch.export"
        )
    return _opened()


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="mobilestylegan",
            load="eigenwalk_mobilestylegan.generator:mobilestylegan",
            summary="photographic faces of 1024 pixels (FFHQ), by a distilled StyleGAN2",
            options=OPTIONS,
            weights=(*MAPPING, *SYNTHESIS),
            licence="Apache-2.0",
            cites=CITES,
            spaces=SPACES,
            api=1,
        )
    ]


def _opened() -> GeneratorSpec:
    return GeneratorSpec(
        name="mobilestylegan",
        load="eigenwalk_mobilestylegan.generator:opened",
        summary="a MobileStyleGAN from OpenVINO's files",
        options=OPENED,
        licence="Apache-2.0",
        cites=CITES,
        spaces=SPACES,
        api=1,
    )
