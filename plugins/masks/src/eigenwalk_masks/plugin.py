"""What this package offers; no torch here."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option
from eigenwalk_masks.presets import part_weights, presets, sam_weights

MASK = "RMS pixel inside the mask"
"""The unit of a mask's distance."""
SIDE = "share of the image's side"
"""The unit of a position's distance."""
BOX = (
    "(x0, y0, x1, y1) as shares of width and height, from the top left; with face, where that is: ffhq in images "
    "aligned as FFHQ's"
)
SAM = "Kirillov et al. 2023, arXiv 2304.02643"
MESHES = "Kartynnik et al. 2019, arXiv 1907.06724"
SEGFORMER = "Xie et al. 2021, arXiv 2105.15203"


@hookimpl
def eigenwalk_features() -> list[FeatureSpec]:
    """Masks, and what they cover measured: its appearance, its position."""
    return [_mask(), _appearance(), _position()]


def _mask() -> FeatureSpec:
    known = "; ".join(f"{preset.name}: {preset.summary}" for preset in presets().values())
    return FeatureSpec(
        name="mask",
        load="eigenwalk_masks.mask:mask",
        implied="eigenwalk_masks.presets:implied",
        summary="the pixels inside a box, a mask image, an object, a person, a face's part, or what a word names",
        options=(
            Option("box", "numbers", None, BOX, ("ffhq",)),
            Option("file", "path", None, "an image of the mask, white inside; stretched to the image's size"),
            Option("label", "words", None, "what to cover, in a word or several: sofa, (hair, hat)"),
            Option("model", "str", None, f"whose labels ({known}), or a folder with a SegFormer of your own"),
            Option(
                "sam",
                "str",
                None,
                "a network of segment-anything: vit_b, vit_l, vit_h; with point, box or everything",
            ),
            Option("point", "numbers", None, "(x, y), shares of width and height: the object there"),
            Option("everything", "int", None, "the object of this number among all, from 0, the largest first"),
            Option("weights", "path", None, "a file of your own: a state dict for sam, a .tflite for face and person"),
            Option("erode", "float", 0.0, "pixels by which the mask shrinks"),
            Option("feather", "float", 0.0, "pixels over which the mask's edge fades"),
            Option("follow", "bool", True, "find the object again at each waypoint; false keeps the first mask"),
            Option("face", "words", None, "parts of a face: eyes, brows, nose, lips, mouth (with what it shows), oval"),
            Option("person", "bool", False, "the person in a portrait, hair and clothes included"),
        ),
        weights=(
            *part_weights().values(),
            *(preset.weights for preset in presets().values()),
            *sam_weights().values(),
        ),
        cites=(SAM, SEGFORMER, MESHES),
        kind="projection",
        unit=MASK,
        api=1,
    )


def _appearance() -> FeatureSpec:
    return FeatureSpec(
        name="appearance",
        load="eigenwalk_masks.appearance:appearance",
        summary="the pixels of an object in its own frame, wherever it stands",
        options=(
            Option("of", "projection", None, "what is looked at, such as mask(label=sofa)", required=True),
            Option("size", "int", 32, "pixels of the frame's side"),
        ),
        unit="RMS pixel of the object",
        api=1,
    )


def _position() -> FeatureSpec:
    return FeatureSpec(
        name="position",
        load="eigenwalk_masks.position:position",
        summary="where an object stands, and how large it is",
        options=(Option("of", "projection", None, "what is looked at, such as mask(label=sofa)", required=True),),
        unit=SIDE,
        api=1,
    )
