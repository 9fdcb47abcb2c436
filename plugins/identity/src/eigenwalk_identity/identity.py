"""Whose face it is: the embedding of facenet-pytorch's InceptionResnetV1 on the face that MTCNN finds.

The crop is the published one. MTCNN's box is widened so that `margin` pixels of the crop (both sides together) lie
around the face, cut off at the image's border, resized to 160 x 160, and mapped to (x - 127.5) / 128 with x from 0 to
255. The recogniser was trained on such boxes, which are not aligned by the eyes, so faces are not turned upright.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from facenet_pytorch import InceptionResnetV1
from torch import Tensor

from eigenwalk.checkpoint import into, state_dict
from eigenwalk.errors import OptionError, Undefined
from eigenwalk.feature import Feature, check_box, move_like, promote_half
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk.store import find
from eigenwalk_face.crop import Crop
from eigenwalk_face.detector import Detector
from eigenwalk_identity.plugin import WEIGHTS

MIN_PIXELS = 2
"""Pixels of the image that a crop must span each way."""


class Embedding(Feature):
    """Unit vectors ``(batch, 512)`` that `network` gives for crops of images; the distance is 1 - cosine."""

    unit = "cosine distance"

    def __init__(self, network: torch.nn.Module):
        self.network = network

    def embed(self, crops: Images) -> Values:
        """The embeddings ``(batch, 512)`` of `crops` ``(batch, 3, size, size)``, nominally in [0, 1]."""
        return move_like(self.network, crops)((crops * 255 - 127.5) / 128)

    def distance(self, a: Values, b: Values) -> Distances:
        """1 - cosine ``(batch,)``, computed as |a - b|² / 2, which keeps its digits where they are close."""
        return (a - b).square().sum(1) / 2

    def radius(self, distance: float, values: Values) -> Distances:
        """The length √(2t) ``(batch,)`` between unit vectors at a cosine distance t."""
        return values.new_full((values.shape[0],), math.sqrt(2 * distance))


class FrozenIdentity(Embedding):
    """Embeddings of a fixed crop of each image; `boxes` ``(batch, 4)`` are the faces that a detector found there."""

    def __init__(self, network: torch.nn.Module, crop: Crop, boxes: Tensor | None):
        super().__init__(network)
        self.crop = crop
        if boxes is not None:
            self.memories, self.remembered = 1, (boxes,)

    def __call__(self, images: Images) -> Values:
        """The embeddings ``(batch, 512)``, unit vectors."""
        return self.embed(self.crop(promote_half(images))).to(images.dtype)


class Identity(Embedding):
    """The embeddings of the faces that `detector` finds, or of what lies in `box`, shares of width and height.

    At the first waypoint the face is the largest near the middle; at each later one, the face that overlaps most with
    the previous one.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        detector: Detector | None = None,
        box: Sequence[float] | None = None,
        margin: float = 14.0,
        size: int = 160,
    ):
        super().__init__(network)
        self.detector, self.box, self.margin, self.size = detector, box, margin, size
        self.memories = int(detector is not None)

    def __call__(self, images: Images) -> Values:
        """The embeddings ``(batch, 512)``, each of the face in its own image."""
        return self.at(images)(images)

    def at(self, images: Images) -> FrozenIdentity:
        """The embedding of the crops where the faces are now.

        Raises:
            Undefined: some `rows` show no face, or one that is too small.
        """
        return self._frozen(images, None)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenIdentity:
        """The embedding of the crops where the faces of the previous waypoint are now.

        Raises:
            Undefined: some `rows` show no face that overlaps with the previous one.
        """
        return self._frozen(images, remembered[0] if remembered else None)

    def _frozen(self, images: Images, before: Tensor | None) -> FrozenIdentity:
        height, width = images.shape[-2:]
        move_like(self.network, promote_half(images[:0]))
        with torch.inference_mode(False), torch.no_grad():  # kept, and later differentiated through
            if self.detector is None:
                faces, crops = None, torch.tensor([self.box] * len(images))
            else:
                faces = self.detector.follow(images, before, "identity")
                crops, faces = self._widened(faces), faces.to(images.device)
            extent = torch.tensor([width, height] * 2)
            small = ((crops[:, 2:] - crops[:, :2]) * extent[:2] < MIN_PIXELS).any(1).nonzero().flatten().tolist()
            if small:
                raise Undefined(
                    f"identity: the face spans less than {MIN_PIXELS} of {width} x {height} pixels", rows=tuple(small)
                )
            return FrozenIdentity(self.network, Crop(crops.double() * extent, images, self.size, cut=True), faces)

    def _widened(self, boxes: Tensor) -> Tensor:
        """Widen the `boxes` ``(batch, 4)`` of faces by their margin, as facenet-pytorch does, within the image."""
        half = (boxes[:, 2:] - boxes[:, :2]) * self.margin / (self.size - self.margin) / 2
        return torch.cat([boxes[:, :2] - half, boxes[:, 2:] + half], 1).clamp(0, 1)


def identity(
    pretrained: str = "vggface2",
    file: str | None = None,
    box: Sequence[float] | None = None,
    margin: float = 14.0,
    least: float = 0.7,
    size: int = 160,
) -> Identity:
    """Open the recogniser in `file`, or the published one of `pretrained`, as a feature.

    Raises:
        OptionError: a box that is empty or leaves the image, or a number out of range.
        WeightsError: the published weights are not in the store, or the file's tensors do not fit.
        FileError: the file is missing or no state dict.
    """
    if box is not None:
        box = check_box(box)
    if not 80 <= size <= 1024:
        raise OptionError(f"size must be from 80 (what InceptionResnetV1 needs) to 1024 pixels, got {size}")
    if not 0 <= margin <= size / 2:
        raise OptionError(f"margin must be from 0 to half the crop's size, {size / 2:g} pixels, got {margin}")
    if not 0 < least < 1:
        raise OptionError(f"least must be a probability between 0 and 1, got {least}")
    if file is None:
        word = pretrained if pretrained.isidentifier() else f'"{pretrained}"'
        path = find(WEIGHTS[pretrained], f"identity(pretrained={word})")
    else:
        path = Path(file).expanduser()
    return Identity(recogniser(path), None if box else Detector(least), box, margin, size)


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
