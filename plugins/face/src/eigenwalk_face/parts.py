"""The parts of a face, as points of MediaPipe's face mesh outline them, and the mesh's file. No torch here."""

from __future__ import annotations

from typing import Any, NamedTuple

from eigenwalk.spec import Weights

Polygon = tuple[int, ...]

_EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
)
_BROWS = (
    (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    (285, 295, 282, 283, 276, 300, 293, 334, 296, 336),
)
_NOSE = (168, 122, 174, 198, 49, 48, 64, 98, 97, 2, 326, 327, 294, 278, 279, 420, 399, 351)
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_BETWEEN = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)


class Outline(NamedTuple):
    """The polygons that a part fills, by the numbers of their points, and those that are cut out of it."""

    filled: tuple[Polygon, ...]
    cut: tuple[Polygon, ...] = ()


PARTS = {
    "eyes": Outline(_EYES),
    "brows": Outline(_BROWS),
    "nose": Outline((_NOSE,)),
    "lips": Outline((_LIPS,), (_BETWEEN,)),
    "mouth": Outline((_LIPS,)),
    "oval": Outline((_OVAL,)),
}
"""By name. Of a pair, the one on the left of the image comes first."""


def mesh_weights(option: tuple[str, Any]) -> Weights:
    """The mesh's file, which `option` of a feature needs; all features share it."""
    return Weights(
        file="face/face_landmark.tflite",
        sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        size=1_242_398,
        licence="Apache-2.0 (MediaPipe)",
        wheel="mediapipe==0.10.14",
        member="mediapipe/modules/face_landmark/face_landmark.tflite",
        option=option,
    )
