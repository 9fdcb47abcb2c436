"""A folder of pictures as tensors, all of one size."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.errors import FileError
from eigenwalk.images import ENDINGS, find_pictures, read
from eigenwalk.shapes import Images


def listed(folder: Path) -> tuple[Path, ...]:
    """Return the picture files in `folder`, sorted by name, two or more.

    Raises:
        FileError: there is no such folder, or fewer than two pictures in it.
    """
    if not folder.is_dir():
        raise FileError(f"images must be a folder of pictures, and {folder} is none")
    found = tuple(find_pictures(folder))
    if len(found) < 2:
        raise FileError(
            f"images must be a folder of two pictures or more ({', '.join(ENDINGS)}), as features' typical distances "
            f"are measured between samples; {folder} has {len(found)}"
        )
    return found


def picture(file: Path, resolution: tuple[int, int]) -> Images:
    """Return the picture in `file` ``(1, 3, height, width)``, RGB in [0, 1], upright, resized and cropped.

    Raises:
        FileError: it cannot be read.
    """
    return read(file, resolution)[None]
