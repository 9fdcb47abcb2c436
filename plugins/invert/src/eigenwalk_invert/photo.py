"""Photographs, brought to what a generator gives: upright, in its size, a face aligned where that is asked for."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from eigenwalk import images
from eigenwalk.errors import FileError, InputError
from eigenwalk.names.files import sha256
from eigenwalk_invert.align import align as aligned

OBLONG = 1.01
"""A photograph may be so much wider or higher than the generator's images without a word."""


@dataclass(frozen=True)
class Photo:
    """A photograph as a generator could give it.

    Attributes:
        label: what it is called: its file, or ``photo 2`` for an array.
        name: of files about it: letters, digits and hyphens.
        image: ``(3, height, width)`` in [0, 1].
        sha256: of its file, or of the numbers given.
        note: what was done to it, or "".
    """

    label: str
    name: str
    image: Tensor
    sha256: str
    note: str = ""


def read_photos(
    photos: Sequence[Any], resolution: tuple[int, int], align: str | None = None, face: int = 1
) -> tuple[Photo, ...]:
    """Return `photos`, each a file's path or an image ``(3, height, width)`` in [0, 1], at `resolution`.

    Raises:
        FileError: a file is no picture that is read, or shows no face where one is to be aligned.
        InputError: an array is no image.
    """
    found: list[Photo] = []
    for n, one in enumerate(photos):
        if isinstance(one, (str, os.PathLike)):
            file = Path(one).expanduser()
            label = str(one)
            if file.is_dir():
                raise FileError(f"{label} is a folder: name the photographs in it, such as {label}/*.jpg")
            whole = images.read(file)
            digest = sha256(file)
        else:
            label, file = f"photo {n}", Path(f"photo-{n}")
            whole = torch.as_tensor(one).detach().cpu()
            if whole.dim() != 3 or whole.shape[0] != 3 or not whole.is_floating_point() or 0 in whole.shape:
                raise InputError(
                    f"{label} must be an image (3, height, width) of numbers from 0 to 1, got {tuple(whole.shape)} "
                    f"of {whole.dtype}"
                )
            whole = whole.float()
            if not bool(whole.isfinite().all()):
                raise InputError(f"{label} holds numbers that are not finite")
            digest = hashlib.sha256(whole.numpy().tobytes() + str(tuple(whole.shape)).encode()).hexdigest()
        if align:
            if resolution[0] != resolution[1]:
                raise InputError(f"align={align} gives squares, and this generator's images have {_size(resolution)}")
            image, note = aligned(whole, resolution[0], Path(label), face)
        else:
            image, note = fit(whole, resolution)
        if float((image.amax((1, 2)) - image.amin((1, 2))).max()) < 1 / 255:
            note = "; ".join(filter(None, [note, "all one colour; what is transparent in a picture shows white"]))
        found.append(Photo(label, _unique(file.stem, [photo.name for photo in found]), image, digest, note))
    return tuple(found)


def fit(image: Tensor, resolution: tuple[int, int]) -> tuple[Tensor, str]:
    """Return the middle of `image` ``(3, height, width)`` scaled to `resolution`, and what to say about it, or "".

    >>> fit(torch.rand(3, 30, 60), (16, 16))[1]
    '60 x 30 pixels: its middle, 30 x 30, is taken, and scaled to 16 x 16'
    """
    (height, width), (h, w) = image.shape[-2:], resolution
    scale = min(height / h, width / w)
    kept = max(1, round(h * scale)), max(1, round(w * scale))
    top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
    part = image[:, top : top + kept[0], left : left + kept[1]]
    said = []
    if max(height * w, width * h) > OBLONG * min(height * w, width * h):
        said.append(f"its middle, {_size(kept)}, is taken")
    if scale < 0.6:
        said.append(f"enlarged to {_size(resolution)}")
    elif said:
        said.append(f"and scaled to {_size(resolution)}")
    if part.shape[-2:] != resolution:
        part = F.interpolate(part[None], resolution, mode="bicubic", antialias=True)[0].clamp(0, 1)
    return part.contiguous(), f"{_size((height, width))} pixels: {', '.join(said)}" if said else ""


def _size(resolution: tuple[int, int]) -> str:
    return f"{resolution[1]} x {resolution[0]}"


def _unique(stem: str, taken: list[str]) -> str:
    """Return a file's stem as a name that is not `taken`."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:60] or "photo"
    return next(one for n in range(len(taken) + 1) if (one := name if n == 0 else f"{name}-{n + 1}") not in taken)
