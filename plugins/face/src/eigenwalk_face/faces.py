"""What a network says of the face in each image: where the face is, is found or fixed, and frozen near an image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from eigenwalk.errors import OptionError, Undefined
from eigenwalk.feature import Feature, check_box, move_like, promote_half
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk_face.chip import Chip
from eigenwalk_face.crop import Crop
from eigenwalk_face.detector import Detector

Box = tuple[float, float, float, float]
Cut = Crop | Chip

FFHQ_FACE: Box = (0.22, 0.167, 0.78, 0.92)
"""The box that MTCNN finds in an image aligned as FFHQ's are: the mean over 40 such images, of
MobileStyleGAN, and their mirror images; standard deviation .05 across, .03 down."""
MIN_PIXELS = 2
"""Pixels of the image that a crop must span each way."""


def fixed_box(box: Sequence[float] | str | None, ffhq: Box) -> Box | None:
    """Return the box that a user's `box` means, in shares of the sides: `ffhq` for that word; None for a detector.

    Raises:
        OptionError: another word, or a box that is empty or leaves the image.
    """
    if isinstance(box, str):
        if box != "ffhq":
            raise OptionError(f"box must be ffhq or four numbers (x0, y0, x1, y1), got {box!r}")
        return ffhq
    return None if box is None else check_box(box)


class FaceFeature(Feature):
    """The values that `network` gives for crops of faces, of `size` pixels: subclasses say how, and cut the crops.

    The face is what lies in `box`, shares of width and height; without one, what `detector` finds. At the first
    waypoint that is the largest face near the middle; at each later one, the one that overlaps most with the previous.

    `name` is the feature's name in messages.
    """

    def __init__(
        self,
        name: str,
        network: torch.nn.Module,
        size: int,
        box: Box | None,
        detector: Detector | None,
    ):
        self.name, self.network, self.size, self.box, self.detector = name, network, size, box, detector
        self.memories = int(box is None)

    @abstractmethod
    def values(self, crops: Images) -> Values:
        """Return the values ``(batch, ...)`` of `crops` ``(batch, 3, size, size)``, nominally in [0, 1]."""

    @abstractmethod
    def cut(self, boxes: Tensor, points: Tensor, images: Images) -> Cut:
        """Return the cut around detected faces, `boxes` ``(batch, 4)`` and `points` ``(batch, 5, 2)`` in pixels."""

    def __call__(self, images: Images) -> Values:
        """The values ``(batch, ...)``, each of the face in its own image."""
        return self.at(images)(images)

    def at(self, images: Images) -> FrozenFaceFeature:
        """The feature of the crops where the faces are now.

        Raises:
            Undefined: some `rows` show no face, or one that is too small.
        """
        return self._frozen(images, None)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenFaceFeature:
        """The feature of the crops where the faces of the previous waypoint are now.

        Raises:
            Undefined: some `rows` show no face that overlaps with the previous one.
        """
        return self._frozen(images, remembered[0] if remembered else None)

    def _frozen(self, images: Images, before: Tensor | None) -> FrozenFaceFeature:
        height, width = images.shape[-2:]
        extent = torch.tensor([width, height] * 2, dtype=torch.float64)
        move_like(self.network, promote_half(images[:0]))
        with torch.inference_mode(False), torch.no_grad():  # kept, and later differentiated through
            if self.box is None:
                assert self.detector is not None
                faces, points = self.detector.follow_points(images, before, self.name)
                cut = self.cut(faces.double() * extent, points.double() * extent[:2], images)
                remembered: tuple[Tensor, ...] = (faces.to(images.device),)
            else:
                boxes = torch.tensor([self.box] * len(images), dtype=torch.float64) * extent
                cut, remembered = Crop(boxes, images, self.size, cut=True), ()
            small = (cut.spans < MIN_PIXELS).nonzero().flatten().tolist()
            if small:
                raise Undefined(
                    f"{self.name}: the face spans less than {MIN_PIXELS} of {width} x {height} pixels",
                    rows=tuple(small),
                )
            return FrozenFaceFeature(self, cut, remembered)


class FrozenFaceFeature(Feature):
    """The values of `owner` for one fixed crop of each image."""

    def __init__(self, owner: FaceFeature, cut: Cut, remembered: tuple[Tensor, ...]):
        self.owner, self.cut, self.unit = owner, cut, owner.unit
        self.memories, self.remembered = len(remembered), remembered

    def __call__(self, images: Images) -> Values:
        """The values ``(batch, ...)``."""
        crops = self.cut(promote_half(images))
        move_like(self.owner.network, crops)
        return self.owner.values(crops).to(images.dtype)

    def distance(self, a: Values, b: Values) -> Distances:
        """The owner's distance."""
        return self.owner.distance(a, b)

    def radius(self, distance: float, values: Values) -> Distances:
        """The owner's radius."""
        return self.owner.radius(distance, values)
