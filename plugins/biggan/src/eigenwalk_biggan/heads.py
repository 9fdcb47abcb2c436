"""What a file is, told by its bytes alone: nothing is unpickled. No torch here."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

HEAD = 4 << 20
"""Bytes that are looked at: the names of all tensors stand in the first 200 kB."""
LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")
"""The beginning of a file that `torch.save` wrote before version 1.6, as Hugging Face's are."""
INSIDE = ("pytorch_model.bin", "model.safetensors")
"""What the weights in a folder of Hugging Face's are called."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: of the module of `eigenwalk_biggan.formats` that reads it.
        words: what it is, for people.
        marks: names of tensors that all of them hold, and no other network that is known.
    """

    name: str
    words: str
    marks: tuple[bytes, ...]


FORMATS = (
    Format("brock", "BigGAN-deep of BigGAN-PyTorch", (b"output_layer.0.gain", b"blocks.0.0.bn4.gain.weight")),
    Format("brock", "BigGAN of BigGAN-PyTorch", (b"output_layer.0.gain", b"blocks.0.0.bn1.gain.weight")),
    Format(
        "huggingface",
        "BigGAN-deep of pytorch-pretrained-biggan",
        (b"generator.gen_z.weight_orig", b"generator.conv_to_rgb.weight_orig"),
    ),
)


def weights_file(path: Path) -> Path:
    """The file of weights at `path`, or in the folder there."""
    if not path.is_dir():
        return path
    return next((path / name for name in INSIDE if (path / name).is_file()), path / INSIDE[0])


def recognised(path: Path) -> Format | None:
    """What the file at `path`, or in the folder there, is; None where it is none of `FORMATS`."""
    names = _names(weights_file(path))
    return next((one for one in FORMATS if all(mark in names for mark in one.marks)), None)


def _names(path: Path) -> bytes:
    """The part of a file that names its tensors; empty where it is no file of PyTorch or safetensors."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if head.startswith(LEGACY):
            return head
        if head.startswith(b"PK\x03\x04"):
            return _inside(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError):
        return b""
    size = int.from_bytes(head[:8], "little")
    return head[8 : 8 + size] if head[8:9] == b"{" and 2 <= size <= len(head) - 8 else b""


def _inside(path: Path) -> bytes:
    """The pickle inside an archive of PyTorch's, which names all tensors; empty where there is none."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith("/data.pkl") and member.compress_type == zipfile.ZIP_STORED:
                with archive.open(member) as file:
                    return file.read(HEAD)
    return b""
