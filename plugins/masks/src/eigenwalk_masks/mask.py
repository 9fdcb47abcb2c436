"""The factory of `mask`: picks the kind of mask that its options describe.

    >>> import torch
    >>> left = mask(box=(0, 0, 0.5, 1))
    >>> left(torch.ones(1, 3, 4, 4))[0, 0, 0]
    tensor([1., 1., 0., 0.])
    >>> left.complement()(torch.ones(1, 3, 4, 4))[0, 0, 0]
    tensor([0., 0., 1., 1.])

A mask m is an image of one channel in [0, 1], and the projection of an image is m times the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eigenwalk.errors import OptionError
from eigenwalk.feature import Projection
from eigenwalk.images import read_mask
from eigenwalk.store import find
from eigenwalk_masks.fixed import BoxMask, ImageMask
from eigenwalk_masks.presets import part_weights

KINDS = (
    'mask(box=(0, 0, 0.5, 1)), mask(file="mask.png"), mask(label=sofa), mask(face=lips), mask(person=true) or '
    "mask(sam=vit_b, point=(0.5, 0.5)): "
)


def mask(
    box: Sequence[float] | str | None = None,
    file: str | None = None,
    label: Sequence[str] | None = None,
    model: str | None = None,
    face: Sequence[str] | None = None,
    person: bool = False,
    sam: str | None = None,
    point: Sequence[float] | None = None,
    everything: int | None = None,
    weights: str | None = None,
    erode: float = 0.0,
    feather: float = 0.0,
    follow: bool = True,
) -> Projection:
    """Make the mask of a `box`, a picture in `file`, what a `label` names, parts of a `face`, a `person`, or an object.

    Raises:
        OptionError: none or several of these are given, or options that do not go together.
        FileError: a file is missing or cannot be opened.
        WeightsError: published weights are not in the store.
    """
    kinds = {"file": file, "label": label, "face": face, "person": person or None, "sam": sam}
    kinds["box"] = box if sam is None and face is None else None  # with these it says where to look
    given = [name for name, value in kinds.items() if value is not None]
    alone = [name for name, value in (("point", point), ("everything", everything)) if value is not None]
    if not given and alone:
        raise OptionError(f"{alone[0]} is a prompt for Segment Anything: name its network too, sam=vit_b")
    if len(given) != 1:
        raise OptionError(f"mask is one of {KINDS}got {' and '.join(given) or 'none of them'}")
    (kind,) = given
    _only(kind, "label", model=model)
    _only(kind, "sam", point=point, everything=everything)
    if kind not in ("face", "person"):
        _only(kind, "sam", weights=weights)
    if isinstance(box, str) and face is None:
        raise OptionError(f"box={box} is where a face is: mask(face=oval, box={box})")
    if label is not None:
        # Imported only when needed: transformers alone takes seconds.
        from eigenwalk_masks.labels import LabelMask
        from eigenwalk_masks.segformer import open_segmenter

        words = (label,) if isinstance(label, str) else tuple(label)
        if not words:
            raise OptionError("label names nothing: mask(label=sofa), mask(label=(hair, hat))")
        return LabelMask(open_segmenter(model, words), words, erode, feather, follow)
    if face is not None or person:
        return _part(face, box, weights, erode, feather, follow)
    if sam is not None:
        from eigenwalk_masks import sam as networks
        from eigenwalk_masks.objects import ObjectMask, Prompt

        assert not isinstance(box, str)
        prompt = Prompt(point, box, everything)
        return ObjectMask(networks.open_network(sam, weights), prompt, erode, feather, follow)
    if box is not None:
        assert not isinstance(box, str)
        return BoxMask(box, erode, feather)
    assert file is not None
    return ImageMask(read_mask(Path(file).expanduser()), file, erode, feather)


def _part(
    face: Sequence[str] | None,
    box: Sequence[float] | str | None,
    weights: str | None,
    erode: float,
    feather: float,
    follow: bool,
) -> Projection:
    try:
        from eigenwalk_face.mesh import Mesh
        from eigenwalk_masks.parts import FaceMask, PersonMask
    except ModuleNotFoundError as error:
        raise OptionError(
            f"mask(face=…) and mask(person=true) need eigenwalk-face, which is not here ({error}): "
            'pip install "eigenwalk-masks[face]"'
        ) from error
    own = None if weights is None else Path(weights).expanduser()
    if face is None:
        return PersonMask(own or find(part_weights()["person"], "mask(person=true)"), erode, feather, follow)
    parts = (face,) if isinstance(face, str) else tuple(face)
    if not parts:
        raise OptionError("face names nothing: mask(face=lips), mask(face=(eyes, brows))")
    return FaceMask(
        Mesh(own or find(part_weights()["face"], f"mask(face={parts[0]})")), parts, box, erode, feather, follow
    )


def _only(kind: str, owner: str, **options: object) -> None:
    """Raise OptionError if any of `options`, which belong to masks by `owner`, is given with another kind."""
    wrong = [name for name, value in options.items() if value is not None]
    if wrong and kind != owner:
        raise OptionError(f"{' and '.join(wrong)} of mask goes with {owner}=…, not with {kind}=…")
