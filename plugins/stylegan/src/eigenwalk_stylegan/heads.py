"""What a file is, told by its bytes alone: nothing is unpickled. No torch here."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

HEAD = 4 << 20
"""Bytes that are looked at: NVIDIA's files begin with their networks' source, some 50 kB; PyTorch's with all names."""
LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")
"""The beginning of a file that `torch.save` wrote before version 1.6: protocol 2, a magic number of ten bytes."""
CONVERTED = "eigenwalk-stylegan"
"""The format's name in the metadata of a safetensors file that `eigenwalk convert` wrote."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: of the module of `eigenwalk_stylegan.formats` that reads it.
        words: what it is, for people.
        marks: what stands in the head of all of them.
        archive: whether it is one that `torch.save` wrote; otherwise a plain pickle.
    """

    name: str
    words: str
    marks: tuple[bytes, ...]
    archive: bool = False


FORMATS = (
    Format(
        "nvidia",
        "StyleGAN3 pickle of PyTorch",
        (b"torch_utils.persistence", b"_reconstruct_persistent_obj", b"class SynthesisInput"),
    ),
    Format(
        "nvidia",
        "StyleGAN2 or StyleGAN2-ADA pickle of PyTorch",
        (b"torch_utils.persistence", b"_reconstruct_persistent_obj"),
    ),
    Format("r3gan", "R3GAN pickle of PyTorch", (b"R3GAN.Networks", b"GenerativeBasis")),
    Format("tensorflow", "StyleGAN2 pickle of TensorFlow", (b"dnnlib.tflib.network", b"static_kwargs")),
    Format("rosinality", "StyleGAN2 checkpoint of rosinality", (b"g_ema", b"convs.0.conv.modulation.weight"), True),
    Format("hammer", "StyleGAN3 checkpoint of Hammer", (b"synthesis.layer0.conv.style.weight",), True),
    Format("genforce", "StyleGAN2 checkpoint of genforce or Hammer", (b"synthesis.layer0.style.weight",), True),
)


def recognised(path: Path) -> Format | None:
    """What the file at `path` is, or None where it is none of `FORMATS` nor a converted one."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    if is_converted(head):
        return Format("converted", "StyleGAN converted to safetensors", ())
    archive = head[:4] == b"PK\x03\x04"
    if archive:
        head = _names(path)
    elif not (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"):
        return None
    found = (one for one in FORMATS if one.archive == (archive or head.startswith(LEGACY)))
    return next((one for one in found if all(mark in head for mark in one.marks)), None)


def is_converted(head: bytes) -> bool:
    """Whether `head` begins a safetensors file that `eigenwalk convert` wrote."""
    size = int.from_bytes(head[:8], "little")
    if not 2 <= size <= len(head) - 8:
        return False
    try:
        described = json.loads(head[8 : 8 + size])
    except (ValueError, RecursionError):
        return False
    metadata = described.get("__metadata__") if isinstance(described, dict) else None
    return isinstance(metadata, dict) and metadata.get("format") == CONVERTED


def _names(path: Path) -> bytes:
    """The pickle inside an archive of PyTorch's, which names all tensors; empty where there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                stored = member.compress_type == zipfile.ZIP_STORED
                if member.filename.endswith("/data.pkl") and stored:
                    with archive.open(member) as file:
                        return file.read(HEAD)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError):
        pass
    return b""
