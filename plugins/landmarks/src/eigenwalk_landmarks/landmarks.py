"""The geometry of a face: where its eyes, nose, mouth, brows and jaw are.

A detector finds the face, and a network places landmarks in its crop. The crop is frozen near an image, and the points
are differentiated through it and the network.

With ``aligned=true`` the face's place, size and tilt are removed: the points are in Bookstein's coordinates, whose
origin is the middle between the eyes and whose first unit vector leads from one eye to the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk.errors import OptionError, Undefined
from eigenwalk.feature import Feature, move_like, promote_half
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk.store import find
from eigenwalk_face.detector import Detector, detector_unless
from eigenwalk_face.faces import FFHQ_FACE, fixed_box
from eigenwalk_landmarks.models import FaceMesh, Fan, FivePoints, Model
from eigenwalk_landmarks.plugin import FAN, MESH

MIN_EYES = 0.02
"""Smallest distance between the eyes, as a share of the crop's side, that can serve as a unit."""


class Landmarks(Feature):
    """Points ``(batch, k, 2)`` of the named groups on the face that `detector` finds, or that `box` holds.

    The values are (x, y) in shares of the image's shorter side or, if `aligned`, in Bookstein's coordinates. The
    distance is the RMS displacement of the points over the distance between the eyes.

    At the first waypoint the face is the largest near the middle; at each later one, the face that overlaps most with
    the previous one.
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
        """The points ``(batch, k, 2)`` of each image's own face."""
        return self.at(images)(images)

    def at(self, images: Images) -> FrozenLandmarks:
        """The landmarks in the crops where the faces are now.

        Raises:
            Undefined: some `rows` show no face, or one whose eyes coincide.
        """
        return self._frozen(images, None)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenLandmarks:
        """The landmarks in the crops where the faces of the previous waypoint are now.

        Raises:
            Undefined: some `rows` show no face that overlaps with the previous one, or its eyes coincide.
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
        exact = promote_half(images)
        move_like(self.model.network, exact)
        self.crop = self.model.crop(faces * torch.tensor([width, height] * 2), exact)
        crops = self.crop(exact)
        if absent := self.model.absent(crops):
            raise Undefined("landmarks: the network sees no face where it looks; say where it is, box=", rows=absent)
        self.windows = self.model.windows(crops)
        points = self.model.points(crops, self.windows)
        flat = (self._between(points) < MIN_EYES).nonzero().flatten().tolist()
        if flat:
            raise Undefined("landmarks: the eyes coincide: is it a face, seen from the front?", rows=tuple(flat))
        self.eyes = self._between(self.crop.outward(points)) / self.short
        """The distance between the eyes where frozen, ``(batch,)``, in shares of the image's shorter side."""

    def __call__(self, images: Images) -> Values:
        """The points ``(batch, k, 2)``."""
        exact = promote_half(images)
        move_like(self.model.network, exact)
        points = self.crop.outward(self.model.points(self.crop(exact), self.windows)) / self.short
        if self.aligned:
            points = bookstein(points, *self._centres(points))
        return points[:, self.chosen].to(images.dtype)

    def distance(self, a: Values, b: Values) -> Distances:
        """The RMS displacement ``(batch,)`` of the points over the distance between the eyes."""
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
        return points[:, list(eyes[:half])].mean(1), points[:, list(eyes[half:])].mean(1)

    def _between(self, points: Tensor) -> Tensor:
        """The distance ``(batch,)`` between the middles of the eyes."""
        left, right = self._centres(points)
        return (right - left).norm(dim=1)


def bookstein(points: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Transform `points` ``(batch, k, 2)`` so that `left` and `right` ``(batch, 2)`` come to (-½, 0) and (½, 0).

    In complex numbers ``(p - (l + r) / 2) / (r - l)``.
    """
    base = (right - left)[:, None]
    p = points - ((left + right) / 2)[:, None]
    along, across = (p * base).sum(2), p[..., 1] * base[..., 0] - p[..., 0] * base[..., 1]
    return torch.stack([along, across], 2) / base.square().sum(2, keepdim=True)


OPENED = {"fan": (Fan, FAN), "mesh": (FaceMesh, MESH)}
"""Models that need a file."""
MODELS: Mapping[str, type[Model]] = {"mtcnn": FivePoints} | {name: kind for name, (kind, _) in OPENED.items()}


def landmarks(
    points: Sequence[str] | str | None = None,
    aligned: bool = False,
    model: str = "mtcnn",
    file: str | None = None,
    box: Sequence[float] | str | None = None,
    least: float = 0.7,
) -> Landmarks:
    """Open the landmarks of the named groups of `points`, or all landmarks, as `model` places them.

    Raises:
        OptionError: the model has no such group, alignment leaves nothing of the points, the box is empty, or a number
            is out of range.
        WeightsError: the weights are not in the store, or the file's tensors do not fit.
        FileError: the file is missing or holds another network.
        PluginError: face-alignment is not installed.
    """
    if file is not None and model == "mtcnn":
        raise OptionError("model=mtcnn has no file: say landmarks(model=fan, file=…) or landmarks(model=mesh, file=…)")
    kind = MODELS[model]
    known = kind.groups
    groups = kind.default if points is None else (points,) if isinstance(points, str) else tuple(points)
    unknown = [group for group in groups if group not in known]
    if unknown or not groups or len(set(groups)) < len(groups):
        others = [name for name, other in MODELS.items() if unknown and unknown[0] in other.groups]
        more = f" (model={' or model='.join(others)} has it)" if others else ""
        wrong = f"has no {unknown[0]!r}{more}" if unknown else f"takes each group once, got {groups}"
        raise OptionError(f"landmarks(model={model}) {wrong}; points: {', '.join(known)}")
    if aligned and model == "mtcnn" and groups == ("eyes",):
        raise OptionError("aligned=true puts both eyes of model=mtcnn at fixed places: take more points")
    place = fixed_box(box, FFHQ_FACE)
    if model == "mtcnn":
        network: Model = FivePoints()
    else:
        opened, published = OPENED[model]
        network = opened(find(published, f"landmarks(model={model})") if file is None else Path(file).expanduser())
    return Landmarks(network, groups, aligned, detector_unless(place, least), place)
