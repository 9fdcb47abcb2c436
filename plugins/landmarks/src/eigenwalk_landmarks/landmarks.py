"""The geometry of a face: where its eyes, nose, mouth, brows and jaw are.

A detector finds the face, and a network places the landmarks in its crop. The crop is frozen near an image, and the
points are differentiated through it and the network.

With ``aligned=true`` the face's place, size and tilt are taken out: the points are told in Bookstein's coordinates,
whose origin is the middle between the eyes and whose first unit vector leads from one eye to the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk.errors import OptionError, Undefined
from eigenwalk.feature import Feature, check_box, move_like, promote_half
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk.store import find
from eigenwalk_face.crop import Crop
from eigenwalk_face.detector import Detector
from eigenwalk_landmarks.models import Fan, FivePoints, Model
from eigenwalk_landmarks.plugin import FAN

LEAST_EYES = 0.02
"""Of the crop's side: what must lie between the eyes for their distance to measure anything."""


class Landmarks(Feature):
    """Points ``(batch, k, 2)`` of the named groups on the face that `detector` finds, or that `box` holds.

    The values are (x, y) in shares of the image's shorter side, or, `aligned`, in Bookstein's coordinates. The
    distance is the root mean squared displacement of the points over the distance between the eyes.

    At the first waypoint the face is the largest near the middle, and then the one that overlaps most with the face
    of the waypoint before.
    """

    unit = "share of the interocular distance"

    def __init__(
        self,
        model: Model,
        groups: Sequence[str],
        aligned: bool = False,
        detector: Detector | None = None,
        box: Sequence[float] | None = None,
    ):
        self.model, self.groups, self.aligned, self.detector, self.box = model, tuple(groups), aligned, detector, box
        self.memories = int(detector is not None)

    def __call__(self, images: Images) -> Values:
        """The points ``(batch, k, 2)``, each image's on its own face."""
        return self.at(images)(images)

    def at(self, images: Images) -> FrozenLandmarks:
        """The landmarks in the crops where the faces are now.

        Raises:
            Undefined: no face in some `rows`, or one whose eyes fall together.
        """
        return self._frozen(images, None)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenLandmarks:
        """The landmarks in the crops where the faces of the waypoint before are now.

        Raises:
            Undefined: in some `rows` no face overlaps with the one of the waypoint before, or its eyes fall together.
        """
        return self._frozen(images, remembered[0] if remembered else None)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Landmarks:
        """This feature on `device`, in `dtype`."""
        self.model.network.to(device, dtype)
        return self

    def _frozen(self, images: Images, before: Tensor | None) -> FrozenLandmarks:
        with torch.inference_mode(False), torch.no_grad():  # kept, and later differentiated through
            if self.detector is None:
                faces = torch.tensor([self.box] * len(images))
            else:
                faces = self.detector.follow(images, before, "landmarks")
            return FrozenLandmarks(self, images, faces)


class FrozenLandmarks(Feature):
    """The landmarks in one fixed crop of each of `images`, around `faces` ``(batch, 4)``."""

    def __init__(self, owner: Landmarks, images: Images, faces: Tensor):
        self.model, self.aligned, self.unit = owner.model, owner.aligned, owner.unit
        self.chosen = [i for group in owner.groups for i in self.model.groups[group]]
        if owner.memories:
            self.memories, self.remembered = 1, (faces.to(images.device),)
        height, width = images.shape[-2:]
        self.short = min(height, width)
        self.crop = Crop(self.model.region(faces * torch.tensor([width, height] * 2)), images, self.model.size)
        exact = promote_half(images)
        move_like(self.model.network, exact)
        crops = self.crop(exact)
        self.windows = self.model.windows(crops)
        between = self._eyes(self.model.points(crops, self.windows))
        flat = (between.norm(dim=1) < LEAST_EYES).nonzero().flatten().tolist()
        if flat:
            raise Undefined("landmarks: the eyes fall together: is it a face, seen from the front?", rows=tuple(flat))
        side = (self.crop.boxes[:, 2] - self.crop.boxes[:, 0]) / self.short
        self.eyes = between.norm(dim=1) * side.to(between)
        """Between the eyes, as frozen ``(batch,)``, in shares of the image's shorter side."""

    def __call__(self, images: Images) -> Values:
        """The points ``(batch, k, 2)``."""
        exact = promote_half(images)
        move_like(self.model.network, exact)
        points = self.crop.outward(self.model.points(self.crop(exact), self.windows)) / self.short
        if self.aligned:
            points = bookstein(points, *self._centres(points))
        return points[:, self.chosen].to(images.dtype)

    def distance(self, a: Values, b: Values) -> Distances:
        """The root mean squared displacement ``(batch,)`` of the points, over the distance between the eyes."""
        return (a - b).square().sum(2).mean(1).sqrt() / self._scale(a)

    def radius(self, distance: float, values: Values) -> Distances:
        """The length ``(batch,)``, among points, of `distance`."""
        return distance * math.sqrt(values.shape[1]) * self._scale(values)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> FrozenLandmarks:
        """This feature on `device`, in `dtype`."""
        self.model.network.to(device, dtype)
        return self

    def _scale(self, values: Values) -> Tensor:
        return torch.ones_like(values[:, 0, 0]) if self.aligned else self.eyes.to(values)

    def _centres(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The middle ``(batch, 2)`` of either eye."""
        eyes = self.model.groups["eyes"]
        half = len(eyes) // 2
        return points[:, eyes[0] : eyes[half]].mean(1), points[:, eyes[half] : eyes[-1] + 1].mean(1)

    def _eyes(self, points: Tensor) -> Tensor:
        left, right = self._centres(points)
        return right - left


def bookstein(points: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """`points` ``(batch, k, 2)`` in coordinates in which `left` and `right` ``(batch, 2)`` are at (-½, 0) and (½, 0).

    In complex numbers ``(p - (l + r) / 2) / (r - l)``.
    """
    base = (right - left)[:, None]
    p = points - ((left + right) / 2)[:, None]
    along, across = (p * base).sum(2), p[..., 1] * base[..., 0] - p[..., 0] * base[..., 1]
    return torch.stack([along, across], 2) / base.square().sum(2, keepdim=True)


def landmarks(
    points: Sequence[str] | str | None = None,
    aligned: bool = False,
    model: str = "mtcnn",
    file: str | None = None,
    box: Sequence[float] | None = None,
    least: float = 0.7,
) -> Landmarks:
    """The landmarks of the named groups of `points`, or of all, as `model` places them.

    Raises:
        OptionError: a group that the model does not have, points that are left nothing by the alignment, a box that is
            empty, or a number out of range.
        WeightsError: FAN's weights are not in the store, or the file's tensors do not fit.
        FileError: the file is missing or no state dict.
        PluginError: face-alignment is not installed.
    """
    if not 0 < least < 1:
        raise OptionError(f"least must be a probability between 0 and 1, got {least}")
    if file is not None and model != "fan":
        raise OptionError("file= holds a state dict of FAN: say landmarks(model=fan, file=…)")
    network = FivePoints if model == "mtcnn" else Fan
    groups = tuple(network.groups) if points is None else (points,) if isinstance(points, str) else tuple(points)
    unknown = [group for group in groups if group not in network.groups]
    if unknown or not groups or len(set(groups)) < len(groups):
        more = " (model=fan has brows and jaw)" if model == "mtcnn" and set(unknown) <= set(Fan.groups) else ""
        told = f"has no {unknown[0]!r}{more}" if unknown else f"wants each group once, got {groups}"
        raise OptionError(f"landmarks(model={model}) {told}; points: {', '.join(network.groups)}")
    if aligned and model == "mtcnn" and groups == ("eyes",):
        raise OptionError("aligned=true puts both eyes of model=mtcnn where they always are: take more points")
    place = None if box is None else check_box(box)
    if model == "mtcnn":
        found: Model = FivePoints()
    else:
        found = Fan(find(FAN, "landmarks(model=fan)") if file is None else Path(file).expanduser())
    return Landmarks(found, groups, aligned, None if place else Detector(least), place)
