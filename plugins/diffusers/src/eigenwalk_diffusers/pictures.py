"""A folder of pictures as tensors, all of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from eigenwalk.errors import FileError
from eigenwalk.shapes import Images

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def listed(folder: Path) -> tuple[Path, ...]:
    """The picture files in `folder`, sorted by name, two or more.

    Raises:
        FileError: there is no such folder, or fewer than two pictures in it.
    """
    if not folder.is_dir():
        raise FileError(f"images must be a folder of pictures, and {folder} is none")
    found = tuple(sorted(one for one in folder.iterdir() if one.suffix.lower() in ENDINGS))
    if len(found) < 2:
        raise FileError(
            f"images must be a folder of two pictures or more ({', '.join(ENDINGS)}), as features' typical distances "
            f"are measured between samples; {folder} has {len(found)}"
        )
    return found


def picture(file: Path, resolution: tuple[int, int]) -> Images:
    """The picture in `file` ``(1, 3, height, width)``, RGB in [0, 1]: turned upright, resized, its middle cut out.

    Raises:
        FileError: it cannot be read.
    """
    height, width = resolution
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            fitted = ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise FileError(f"{file} cannot be read as a picture: {error}") from error
    pixels = torch.from_numpy(np.array(fitted, dtype=np.float32) / 255)
    return pixels.movedim(2, 0)[None]
