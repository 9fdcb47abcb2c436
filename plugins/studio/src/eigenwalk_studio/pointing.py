"""What lies under a click, as expressions of masks; and a drawn box or brush as one.

The parts that an installed segmenter knows come first, then an object of Segment Anything and what a word names, as far
as their weights are here. A box around the place can always be had.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eigenwalk import store
from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk.feature import Projection
from eigenwalk.images import read_mask
from eigenwalk.names.registry import Registry
from eigenwalk.spec import FeatureSpec
from eigenwalk_studio.library import Library
from eigenwalk_studio.trust import short

INSIDE = 0.5
"""Least share of the pixel under the click that a mask keeps."""
LARGEST = 0.9
"""A mask of more than this share of the picture is the picture, not a thing in it."""
HALF_BOX = 0.15
MASK = 2 << 20
"""Bytes of a brush's picture."""


@dataclass(frozen=True)
class Candidate:
    """What a click may mean: an expression, a word for it, and the share of the picture that it covers.

    `mask` is what it covers, ``(height, width)`` in [0, 1]; None where it is quickly found again.
    """

    text: str
    label: str
    cover: float
    mask: Any = field(default=None, compare=False, repr=False)


def candidates(library: Library, generator: str, image: Tensor, x: float, y: float) -> Iterator[Candidate]:
    """Yield what lies at (x, y), shares of width and height, of an image ``(1, 3, height, width)``, quick finds first.

    A mask that has no value here, or whose plugin fails, is left out.
    """
    for text, label in _texts(library.registry, generator, x, y):
        with suppress(EigenwalkError):
            mask = coverage(library.feature(text), image)
            height, width = mask.shape
            cover = float((mask > INSIDE).mean())
            if mask[min(int(y * height), height - 1), min(int(x * width), width - 1)] >= INSIDE and cover < LARGEST:
                yield Candidate(text, label, cover, mask)
    for text, label in _words(library, image, x, y):
        with suppress(EigenwalkError):
            mask = coverage(library.feature(text), image)
            yield Candidate(text, label, float((mask > INSIDE).mean()), mask)
    sides = [max(0.0, x - HALF_BOX), max(0.0, y - HALF_BOX), min(1.0, x + HALF_BOX), min(1.0, y + HALF_BOX)]
    yield box(*sides)


def coverage(feature: Any, image: Tensor) -> Any:
    """Return how much of each pixel a projection keeps near an image, as an array ``(height, width)`` in [0, 1].

    Raises:
        InputError: it is no projection, or keeps no region.
        Undefined: it has no value here.
    """
    if not isinstance(feature, Projection):
        raise InputError("only a mask can be shown on the picture")
    frozen = feature.at(image)
    return frozen.coverage(image)[0, 0].detach().float().cpu().numpy()


def box(x0: float, y0: float, x1: float, y1: float) -> Candidate:
    """Return the mask of a box, its corners in any order.

    >>> box(0.5, 0.25, 0.1, 0.75).text
    'mask(box=(0.1, 0.25, 0.5, 0.75))'
    """
    x0, x1 = sorted((min(max(x0, 0.0), 1.0), min(max(x1, 0.0), 1.0)))
    y0, y1 = sorted((min(max(y0, 0.0), 1.0), min(max(y1, 0.0), 1.0)))
    if x1 - x0 < 0.01 or y1 - y0 < 0.01:
        raise InputError("the box is empty: draw it from one corner to the other")
    sides = ", ".join(f"{side:.3g}" for side in (x0, y0, x1, y1))
    return Candidate(f"mask(box=({sides}))", "this box", (x1 - x0) * (y1 - y0))


def brush(picture: str, folder: FilePath) -> Candidate:
    """Save a painted mask, a PNG as a data URL with white inside, in `folder`, named after its content.

    Raises:
        InputError: it is no PNG, too large, or empty.
    """
    head, _, body = picture.partition(",")
    if head != "data:image/png;base64" or len(body) > MASK:
        raise InputError("a painted mask is a PNG picture of at most 1.5 MB")
    try:
        with Image.open(io.BytesIO(base64.b64decode(body, validate=True)), formats=["PNG"]) as opened:
            if opened.width * opened.height > 1 << 22:
                raise InputError("a painted mask has at most 4 million pixels")
            mask = np.asarray(opened.convert("L"))
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"the painted mask is damaged: {error}") from None
    if mask.max() < 128:
        raise InputError("nothing is painted")
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(stream.getvalue()).hexdigest()[:12]}.png"
    store.write_whole(file, stream.getvalue())
    return Candidate(f'mask(file="{short(file)}")', "what is painted", float(read_mask(file).mean()))


def _texts(registry: Registry, generator: str, x: float, y: float) -> Iterator[tuple[str, str]]:
    """Yield masks to try, and words for them: parts by name, then a person or part of a face, then an object."""
    parts = [offer.spec for offer in registry.features if _names_parts(offer.spec)]
    for spec in sorted(parts, key=lambda spec: not generator.startswith(spec.name.split(".")[0])):
        for word in spec.options[0].choices:
            yield f"{spec.name}({word})", word
    spec = next((offer.spec for offer in registry.features if offer.name == "mask"), None)
    for weights in spec.weights if spec else ():
        if weights.option is None or not store.place(weights).is_file():
            continue
        name, value = weights.option
        if name == "face":
            for word in ("eyes", "brows", "nose", "lips", "mouth", "oval"):
                yield f"mask(face={word})", word
        elif name == "person":
            yield "mask(person=true)", "person"
        elif name == "sam":
            yield f"mask(point=({x:.3g}, {y:.3g}), sam={value})", "this object"


def _names_parts(spec: FeatureSpec) -> bool:
    """Whether a spec is of a projection whose one option is a choice of parts, as ``rooms.part`` is."""
    first = spec.options[0] if spec.options else None
    return spec.kind == "projection" and first is not None and first.type == "words" and bool(first.choices)


def _words(library: Library, image: Tensor, x: float, y: float) -> Iterator[tuple[str, str]]:
    """Yield what SegFormer says of the pixel, once for each published network whose weights are here."""
    try:
        from eigenwalk_masks.presets import presets
    except ImportError:
        return
    for preset in presets().values():
        if not store.place(preset.weights).is_file():
            continue
        with suppress(EigenwalkError):
            some = library.feature(_label(next(iter(preset.vocabulary)), preset.name))  # opened once, for all clicks
            with torch.no_grad():
                logits = some.segmenter.logits(image)[0]
            row, column = (
                min(int(y * logits.shape[1]), logits.shape[1] - 1),
                min(int(x * logits.shape[2]), logits.shape[2] - 1),
            )
            label = int(logits[:, row, column].argmax())
            words = [word for word, labels in preset.vocabulary.items() if label in labels]
            if words:
                word = min(words, key=lambda word: (len(preset.vocabulary[word]), len(word)))
                yield _label(word, preset.name), word


def _label(word: str, model: str) -> str:
    """Return the mask of a word of one network; some words are in several."""
    quoted = word if word.isidentifier() else f'"{word}"'
    return f"mask(label={quoted}, model={model})"
