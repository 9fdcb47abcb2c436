"""Pictures from files: PNG, JPEG and WebP, recognised by their bytes and bounded before they are decoded.

A picture comes upright (EXIF orientation is applied) and in three channels: grey, palettes and CMYK become RGB, 16-bit
grey keeps its depth, and 16-bit colour loses its lower byte (Pillow decodes it to 8). Colour profiles are not applied.
What is transparent shows white. Of an animation the first frame is read. Any other format, and anything but a regular
file, is refused: no decoder of Pillow's other formats runs, such as the one that starts Ghostscript.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from eigenwalk.errors import FileError
from eigenwalk.textfile import read_bytes

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""Names by which pictures are found in a folder; what a file is, its bytes decide."""
MAX_BYTES = 1 << 28
"""Size of a file, 268 MB: room for any picture of `MAX_PIXELS` that is compressed at all."""
MAX_PIXELS = 1 << 26
"""Width times height, as 8192 x 8192: its tensor takes 0.8 GB."""
MAX_SCANS = 100
"""Scans of a JPEG. Each costs time for all pixels, however few bytes it has; encoders write about ten."""


def read(path: Path | str, size: tuple[int, int] | None = None) -> Tensor:
    """Read a picture as ``(3, height, width)``, float32 RGB in [0, 1].

    With `size`, (height, width), it is scaled to cover that size (Lanczos) and its middle is cut out.

    Raises:
        FileError: it is missing, no PNG, JPEG or WebP, too large, damaged or truncated.
    """
    image = _decode(Path(path))
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if size is not None:
        height, width = size
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    if image.mode == "I":
        grey = np.asarray(image, np.float32).clip(0, 65535) / 65535
        return torch.from_numpy(grey).expand(3, -1, -1).contiguous()
    # Rearranged as bytes: in float32, each copy of a picture of `MAX_PIXELS` takes 0.8 GB.
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)


def read_mask(path: Path | str) -> Tensor:
    """Read a picture as a mask ``(height, width)``, float64 in [0, 1]: its luminance times its opacity.

    Raises:
        FileError: as `read`.
    """
    image = _decode(Path(path))
    if image.mode == "I":
        return torch.from_numpy(np.asarray(image, np.float64) / 65535)
    luminance, *opacity = image.convert("L" if image.mode == "RGB" else "LA").split()
    mask = torch.from_numpy(np.array(luminance)).double().div_(255)
    return mask.mul_(torch.from_numpy(np.array(opacity[0])).double().div_(255)) if opacity else mask


def read_size(path: Path | str) -> tuple[int, int]:
    """Height and width of a picture, as its file states them, without decoding it.

    Raises:
        FileError: as `read`.
    """
    width, height = _open(Path(path)).size
    return height, width


def find_pictures(folder: Path, below: bool = False) -> list[Path]:
    """The files in `folder`, and `below` it, whose names end like a picture's, sorted by path."""
    return sorted(one for one in folder.glob("**/*" if below else "*") if one.suffix.lower() in ENDINGS)


def _decode(path: Path) -> Image.Image:
    """The picture upright, in mode RGB, RGBA where it is not opaque, or I (0 to 65535) where its grey has 16 bits."""
    image = _open(path)
    with _blame(path):
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            return image.convert("I")
        return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _open(path: Path) -> Image.Image:
    """The picture, checked and not yet decoded."""
    data = read_bytes(path, "picture", MAX_BYTES)
    form = _format(data)
    if form is None:
        raise FileError(f"{path} is not a picture in PNG, JPEG or WebP: convert it to one of them")
    if form == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        raise FileError(f"{path} is a JPEG of more than {MAX_SCANS} scans: save it again as an ordinary one")
    _check_pixels(path, *_webp_canvas(data))
    with _blame(path), warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        image = Image.open(io.BytesIO(data), formats=[form])
    _check_pixels(path, *image.size)
    return image


@contextmanager
def _blame(path: Path) -> Iterator[None]:
    """Re-raise whatever Pillow raises of damaged bytes as FileError."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise FileError(f"{path} has too many pixels: {error}") from error
    except Exception as error:
        raise FileError(f"{path} is a damaged or truncated picture: {error}") from error


def _format(data: bytes) -> str | None:
    """Pillow's name of the format that `data` begins like, one of the three that are read."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Width and height in the header of an extended WebP file, whose canvas Pillow allocates on opening; else 0, 0."""
    if data[:4] != b"RIFF" or data[12:16] != b"VP8X":
        return 0, 0
    return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise FileError(
            f"{path} has {width} x {height} pixels, more than the {MAX_PIXELS / 1e6:.0f} million that are read: "
            "make it smaller"
        )
