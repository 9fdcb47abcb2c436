"""Pictures as bytes for the browser: thumbnails, and masks drawn over a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from eigenwalk.errors import EigenwalkError
from eigenwalk.feature import Feature, Projection
from eigenwalk.path import Path
from eigenwalk.walk.start import picture
from eigenwalk_studio.kept import Kept, size_of

THUMBNAIL, LARGE = 160, 1024
"""Longest sides in pixels."""
HELD, VARIED = (0, 114, 178), (213, 94, 0)
"""Okabe and Ito's blue and vermilion, which colour-blind people tell apart."""
LEAST_SIDE = 384
"""Masks of small pictures are drawn at this size, so that their outlines are thin."""
FOLLOWED = 128 << 20
"""Bytes of masks along paths in memory, at most."""

Pixels = NDArray[np.uint8]


def encode(pixels: Pixels, side: int) -> tuple[str, bytes]:
    """Return type and bytes of a picture ``(height, width, 3)``, no side longer than `side`; small ones are exact."""
    image = Image.fromarray(pixels)
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    if max(image.size) <= 128:
        image.save(stream, "PNG")
        return "image/png", stream.getvalue()
    image.save(stream, "JPEG", quality=90)
    return "image/jpeg", stream.getvalue()


def as_image(pixels: Pixels) -> torch.Tensor:
    """Return a picture ``(height, width, 3)`` as an image ``(1, 3, height, width)`` in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def pixels_of(image: torch.Tensor) -> Pixels:
    """Return an image ``(1, 3, height, width)`` as a picture ``(height, width, 3)``."""
    return picture(image)[0]


def overlay(masks: Sequence[tuple[Any, bool]]) -> bytes:
    """Return a PNG of masks ``(height, width)`` to lay over a picture: each with whether it is held.

    What is held is outlined, what varies is outlined and hatched, so that colour is not all that tells them apart. The
    lines have a white rim, to be seen on dark pictures; nothing is filled, so that colours can be judged.
    """
    height, width = masks[0][0].shape
    scale = max(1, -(-LEAST_SIDE // max(height, width)))
    size = width * scale, height * scale
    canvas = Image.new("RGBA", size)
    row, column = np.indices((size[1], size[0]))
    for mask, held in sorted(masks, key=lambda one: one[1]):
        inside = Image.fromarray((255 * np.clip(mask, 0, 1)).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        hard = Image.fromarray(np.where(np.asarray(inside) >= 128, 255, 0).astype(np.uint8))
        # Lines meet the picture's border: an outline there would frame the picture.
        rim, line = _edge(hard, 7, 5), _edge(hard, 5, 3)
        hatch = (np.asarray(hard) > 0) & ((row + column) % 28 < 2)
        alpha = np.where(line, 255, np.where(rim, 190, 0 if held else 150 * hatch))
        colour = np.where((rim & ~line)[..., None], 255, HELD if held else VARIED)
        layer = np.dstack([colour, alpha]).astype(np.uint8)
        canvas = Image.alpha_composite(canvas, Image.fromarray(layer, "RGBA"))
    return _png(canvas)


def _edge(mask: Image.Image, outer: int, inner: int) -> Any:
    return np.asarray(mask.filter(ImageFilter.MaxFilter(outer))) > np.asarray(mask.filter(ImageFilter.MinFilter(inner)))


def spotlight(mask: Any) -> bytes:
    """Return a PNG that, laid over a picture, dims all that a mask ``(height, width)`` in [0, 1] leaves out."""
    shade = Image.fromarray((200 * (1 - np.clip(mask, 0, 1))).astype(np.uint8))
    shade.thumbnail((THUMBNAIL, THUMBNAIL))
    canvas = Image.new("RGBA", shade.size)
    canvas.putalpha(shade)
    return _png(canvas)


def _png(canvas: Image.Image) -> bytes:
    stream = io.BytesIO()
    canvas.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


class Followed:
    """Masks along a path: each follows its object from waypoint to waypoint, as in the walk."""

    def __init__(self) -> None:
        self._kept: Kept[Any, list[tuple[Any, Any]]] = Kept(FOLLOWED, _bytes)

    @torch.no_grad()
    def mask(self, key: Any, feature: Feature, path: Path, index: int) -> Any:
        """Return the mask ``(height, width)`` at a waypoint of `path`; `key` names path and feature.

        None where it is no mask of pixels, or has no value there or before.
        """
        if feature.memories == 0:  # each stands for itself
            return _coverage(feature, as_image(path.waypoints[index].image), ())[0]
        found = self._kept.get(key) or []
        while len(found) <= index:
            before = found[-1][1] if found else ()
            found.append(_coverage(feature, as_image(path.waypoints[len(found)].image), before))
        return self._kept.put(key, found)[index][0]


def _bytes(found: list[tuple[Any, Any]]) -> int:
    masks = sum(mask.nbytes for mask, _ in found if mask is not None)
    return masks + sum(size_of(one) for _, remembered in found for one in remembered or ())


def _coverage(feature: Feature, image: torch.Tensor, before: Any) -> tuple[Any, Any]:
    if not isinstance(feature, Projection) or before is None:
        return None, None
    try:
        frozen = feature.follow(image, before) if before else feature.at(image)
        return frozen.coverage(image)[0, 0].float().cpu().numpy(), frozen.remembered
    except EigenwalkError:
        return None, None
