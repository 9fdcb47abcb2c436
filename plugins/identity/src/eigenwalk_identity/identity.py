"""Whose face it is: the embedding of facenet-pytorch's InceptionResnetV1, or of dlib's, on the face that MTCNN finds.

InceptionResnetV1's crop is the published one. MTCNN's box is widened so that `margin` pixels of the crop (both sides
together) lie around the face, cut off at the image's border, resized to 160 x 160, and mapped to (x - 127.5) / 128 with
x from 0 to 255. The recogniser was trained on such boxes, which are not aligned by the eyes, so faces are not turned
upright.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from facenet_pytorch import InceptionResnetV1
from torch import Tensor

from eigenwalk.checkpoint import into, state_dict
from eigenwalk.errors import OptionError
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk.store import find
from eigenwalk_face.crop import Crop
from eigenwalk_face.detector import Detector, detector_unless
from eigenwalk_face.faces import FFHQ_FACE, Box, FaceFeature, fixed_box
from eigenwalk_identity import dlib
from eigenwalk_identity.plugin import WEIGHTS


class Facenet(FaceFeature):
    """Unit vectors ``(batch, 512)`` that InceptionResnetV1 gives for faces; the distance is 1 - cosine.

    `margin` are the pixels of the crop around a detected face, both sides together.
    """

    unit = "cosine distance"

    def __init__(
        self,
        network: torch.nn.Module,
        detector: Detector | None = None,
        box: Box | None = None,
        margin: float = 14.0,
        size: int = 160,
    ):
        super().__init__("identity", network, size, box, detector)
        self.margin = margin

    def values(self, crops: Images) -> Values:
        """The embeddings ``(batch, 512)``, unit vectors, of `crops` ``(batch, 3, size, size)``, nominally in [0, 1]."""
        return self.network((crops * 255 - 127.5) / 128)

    def cut(self, boxes: Tensor, points: Tensor, images: Images) -> Crop:
        """Crop to the `boxes` ``(batch, 4)`` of faces, in pixels, widened by their margin within the image."""
        height, width = images.shape[-2:]
        wide = widened(boxes, self.margin, self.size).clamp(min=0)
        return Crop(wide.minimum(torch.tensor([width, height] * 2).to(wide)), images, self.size, cut=True)

    def distance(self, a: Values, b: Values) -> Distances:
        """1 - cosine ``(batch,)``, computed as |a - b|² / 2, which keeps its digits where they are close."""
        return (a - b).square().sum(1) / 2

    def radius(self, distance: float, values: Values) -> Distances:
        """The length √(2t) ``(batch,)`` between unit vectors at a cosine distance t."""
        return values.new_full((values.shape[0],), math.sqrt(2 * distance))


def widened(boxes: Tensor, margin: float, size: int) -> Tensor:
    """Widen `boxes` ``(batch, 4)`` by `margin` of the `size` pixels that they are resized to, both sides together."""
    half = (boxes[:, 2:] - boxes[:, :2]) * margin / (size - margin) / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, 2:] + half], 1)


def identity(
    pretrained: str = "vggface2",
    file: str | None = None,
    box: Sequence[float] | str | None = None,
    margin: float = 14.0,
    least: float = 0.7,
    size: int = 160,
    model: str = "facenet",
) -> FaceFeature:
    """Open the recogniser in `file`, or the published one of `model` and `pretrained`, as a feature.

    Raises:
        OptionError: a box that is empty or leaves the image, a number out of range, or an option of facenet's alone.
        WeightsError: the published weights are not in the store, or the file's tensors do not fit.
        FileError: the file is missing or no state dict.
    """
    if model == "dlib":
        if (pretrained, margin, size) != ("vggface2", 14.0, 160):
            raise OptionError("pretrained=, margin= and size= are facenet's: leave them out with model=dlib")
        return dlib.identity(file, box, least)
    if not 80 <= size <= 1024:
        raise OptionError(f"size must be from 80 (what InceptionResnetV1 needs) to 1024 pixels, got {size}")
    if not 0 <= margin <= size / 2:
        raise OptionError(f"margin must be from 0 to half the crop's size, {size / 2:g} pixels, got {margin}")
    aligned = widened(torch.tensor([FFHQ_FACE]), margin, size)[0].clamp(0, 1).tolist()
    place = fixed_box(box, tuple(aligned))
    finder = detector_unless(place, least)
    if file is None:
        word = pretrained if pretrained.isidentifier() else f'"{pretrained}"'
        path = find(WEIGHTS[pretrained], f"identity(pretrained={word})")
    else:
        path = Path(file).expanduser()
    return Facenet(recogniser(path), finder, place, margin, size)


def recogniser(path: Path) -> torch.nn.Module:
    """Open InceptionResnetV1 with the state dict at `path`, without the layer for the people of its training.

    Raises:
        FileError: no state dict.
        WeightsError: its tensors do not fit.
    """
    state = {key: value for key, value in state_dict(path).items() if not key.startswith("logits.")}
    with torch.random.fork_rng(devices=[]):  # the network draws weights that the file then replaces
        network = InceptionResnetV1()
    return into(network, state, str(path)).eval().requires_grad_(False)
