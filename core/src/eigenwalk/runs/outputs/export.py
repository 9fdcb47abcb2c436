"""Files for other programs, of pictures and numbers alone: no labels, no bars.

    003.png            a waypoint, with its numbers in the text fields of the file
    sheet.png          a row of pictures for every path
    seed0-1+.mp4       a path in motion; also GIF and animated WebP, there and back
    seed0-1+.npz       latents in the generator's own shape; also .npy and .pt

Every function returns bytes; `eigenwalk.runs.export` alone writes.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eigenwalk.errors import ContractError
from eigenwalk.path import Path, Waypoint
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.video import RATE, encode_mp4

KEY = "eigenwalk"
"""The text field of a PNG that holds all numbers as JSON."""
CELL, WIDEST = 256, 8192
"""Pixels of a picture's longer side, and of a row, on the contact sheet."""
LEAST, MOST = 256, 512
"""Pixels of a film's longer side: at least, and at most in GIF and WebP, which are for pages and messages."""
SPACES = {"w": "w", "w+": "w", "z": "z", "s": "s"}
"""Under which name latents of a space are saved: w+ as NVIDIA's projector does."""


def picture_png(path: Path, waypoint: Waypoint, command: str = "") -> bytes:
    """Return the waypoint's picture as a PNG whose text fields say where it comes from.

    Fields: Title, Description (its changes in words), Software, Source (`command`, which walked it), and `KEY`: JSON
    with generator, start, path, waypoint and every feature's change from the start.
    """
    fields = PngInfo()
    title = f"{words.title(path)}, {path.origin}, {words.label(path)}, waypoint {waypoint.index}"
    told = {"Title": title, "Description": describe(path, waypoint), "Software": f"eigenwalk {version('eigenwalk')}"}
    told |= {"Source": command} if command else {}
    for name, text in told.items():
        fields.add_itxt(name, text)
    fields.add_itxt(KEY, json.dumps(numbers(path, waypoint, command), allow_nan=False, ensure_ascii=False))
    buffer = io.BytesIO()
    Image.fromarray(waypoint.image).save(buffer, "PNG", pnginfo=fields)
    return buffer.getvalue()


def describe(path: Path, waypoint: Waypoint) -> str:
    """Return the change of every feature in words: ``varied smile 42 % of typical (0.11 share); fixed …``."""
    if not waypoint.index:
        return "the start"
    return "; ".join(
        f"{role.part} {role.name} {words.percent(waypoint.changes[role.name] / role.typical if role.typical else 0)}"
        f" of typical ({words.figure(waypoint.changes[role.name])} {role.unit})"
        for role in path.roles
    )


def numbers(path: Path, waypoint: Waypoint, command: str = "") -> dict[str, Any]:
    """Return what is known of a waypoint but its tensors, as JSON holds it: null stands for NaN and infinity."""
    start = {"start": path.given} if path.given else {"seed": path.seed}
    changes = [
        {
            "feature": role.name,
            "part": role.part,
            "change": _finite(waypoint.changes[role.name]),
            "unit": role.unit,
            "typical": _finite(role.typical),
            "tolerance": None if role.tolerance is None else _finite(role.tolerance),
        }
        for role in path.roles
    ]
    where = {"path": path.name, "direction": path.rank, "sense": path.sense, "waypoint": waypoint.index}
    return {"generator": path.generator, **start, **where, "changes": changes, "command": command or None}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def sheet(paths: Sequence[Path]) -> bytes:
    """Return a PNG with a row of all waypoints' pictures for every path, side by side and without labels.

    Pictures are as large as they are, at most 256 pixels, and smaller where a row would be wider than 8,192.
    """
    height, width = paths[0].waypoints[0].image.shape[:2]
    columns = max(len(path) for path in paths)
    ratio = min(1.0, CELL / max(height, width), WIDEST / columns / width)
    width, height = max(1, round(ratio * width)), max(1, round(ratio * height))
    canvas = Image.new("RGB", (columns * width, len(paths) * height), "white")
    for row, path in enumerate(paths):
        for column, waypoint in enumerate(path):
            canvas.paste(resized(waypoint.image, (width, height)), (column * width, row * height))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """Return the picture at `size`, (width, height), resampled by Lanczos' filter where it differs."""
    picture = Image.fromarray(image)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def film(kind: str, pictures: NDArray[np.uint8]) -> bytes:
    """Return pictures ``(frames, height, width, 3)`` as a film of 24 a second: ``mp4``, or there and back, gif or webp.

    Small pictures are enlarged by a whole number; GIF and WebP are at most 512 pixels wide and high.
    """
    height, width = pictures[0].shape[:2]
    factor = max(1, math.ceil(LEAST / max(height, width)))
    if kind == "mp4":
        size = factor * width, factor * height
        even = size[0] + size[0] % 2, size[1] + size[1] % 2  # yuv420p halves the planes of colour
        return encode_mp4(((_even(np.asarray(resized(one, size)), even), 1) for one in pictures), even)
    ratio = min(factor, MOST / max(height, width))
    size = max(1, round(ratio * width)), max(1, round(ratio * height))
    order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    images = (resized(pictures[i], size) for i in order)
    also: dict[str, Any] = {"duration": round(1000 / RATE), "quality": 90, "method": 2}
    if kind == "gif":
        # One palette for all frames: with one each, still areas flicker. Without k-means, small areas turn grey.
        some = np.concatenate([np.asarray(resized(pictures[i], size)) for i in (0, len(pictures) // 2, -1)])
        palette = Image.fromarray(some).quantize(256, kmeans=2)
        images = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in images)
        also = {"duration": 40}  # counted in hundredths of a second
    buffer = io.BytesIO()
    next(images).save(buffer, kind.upper(), save_all=True, append_images=images, loop=0, **also)
    return buffer.getvalue()


def _even(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture with its last row or column doubled where that makes it `size`, (width, height)."""
    return np.pad(image, ((0, size[1] - image.shape[0]), (0, size[0] - image.shape[1]), (0, 0)), "edge")


def latents_file(kind: str, path: Path, space: str, shape: tuple[int, ...] = ()) -> bytes:
    """Return all latents of a path as ``npz``, ``npy`` or ``pt``, a tensor; `shape` is `Generator.latent_shape`.

    ``(waypoints, *shape)``, such as ``(13, 18, 512)``: a w is repeated for every layer. An .npz has them under the name
    that NVIDIA's projector gives, ``w``, or ``z``. All three are starts: ``--start seed0-1+.npz:8``.
    """
    latents: Any = in_shape(path.latents, shape)
    name = SPACES.get(space, "latents")
    buffer = io.BytesIO()
    if kind == "npz":
        np.savez(buffer, **{name: latents})
    elif kind == "npy":
        np.save(buffer, latents)
    else:
        import torch

        torch.save(torch.from_numpy(latents), buffer)
    return buffer.getvalue()


def in_shape(latents: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Return latents ``(n, latent)`` as ``(n, *shape)``: the same numbers, or each latent repeated ``shape[0]`` times.

    Raises:
        ContractError: `shape` is neither that of a latent nor of a repeated one.
    """
    n, dim = latents.shape
    if not shape or math.prod(shape) == dim:
        return np.ascontiguousarray(latents.reshape(n, *(shape or (dim,))))
    if len(shape) == 2 and shape[1] == dim:
        return np.repeat(latents[:, None], shape[0], axis=1)
    raise ContractError(f"latent_shape of the generator is {shape}, and its latents have {dim} coordinates")
