"""The pixels of a part of a face, as MediaPipe's face mesh outlines it, and those of a person."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import FileError, OptionError, Undefined
from eigenwalk.feature import move_like, promote_half
from eigenwalk.shapes import Images
from eigenwalk_face.detector import Detector
from eigenwalk_face.faces import FFHQ_FACE, fixed_box
from eigenwalk_face.mesh import Mesh
from eigenwalk_face.parts import PARTS
from eigenwalk_face.tflite import load
from eigenwalk_face.turned import TurnedCrop
from eigenwalk_masks.polygons import cover
from eigenwalk_masks.soft import FrozenMask, SoftMask

LEAST = 0.7
"""MTCNN's probability from which something is a face, as in other features of faces."""


class FaceMask(SoftMask):
    """The image times the mask of some parts of a face, inside the outlines that a mesh lays on it.

    The face is the one in `box`, or the largest near the middle, and then the one that overlaps most with the previous
    one. The mesh's crop is frozen near an image; the mask that it gives there is differentiable.
    """

    memories = 1

    def __init__(
        self,
        mesh: Mesh,
        parts: Sequence[str],
        box: Sequence[float] | str | None = None,
        erode: float = 0.0,
        feather: float = 0.0,
        follow: bool = True,
    ):
        super().__init__(f"mask(face={', '.join(parts)})", erode, feather, follow)
        for part in parts:
            if part not in PARTS:
                near = difflib.get_close_matches(part, PARTS, 1)
                meant = f"did you mean {near[0]}?" if near else f"they are {', '.join(PARTS)}"
                raise OptionError(f"no part {part!r} of a face: {meant}")
        self.mesh, self.parts = mesh, tuple(parts)
        self.box = fixed_box(box, FFHQ_FACE)
        self.detector = None if self.box else Detector(LEAST)

    def coverage(self, images: Images) -> Images:
        """The masks ``(batch, 1, height, width)`` of each image's own face."""
        return self._inside(images, self._crop(images, self._faces(images, None)))

    def at(self, images: Images) -> FrozenMask:
        """The masks of the faces in these images, frozen.

        Raises:
            Undefined: some of them show no face, or hardly anything of these parts.
        """
        return self._frozen(images, None)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenMask:
        """The masks of the faces of the previous waypoint; with `follow` false, those at the first waypoint."""
        if not self.follows:
            return FrozenMask(remembered[0].to(images), remembered)
        return self._frozen(images, remembered[0])

    def _frozen(self, images: Images, before: Tensor | None) -> FrozenMask:
        with torch.inference_mode(False), torch.no_grad():  # kept, and later differentiated through
            faces = self._faces(images, before)
            crop = self._crop(images, faces)
            masks = self._inside(images, crop)
        if not self.follows:
            return self.freeze(masks, (masks,))
        return self.freeze(masks, (faces.to(images),), partial(self._inside, crop=crop))

    def _faces(self, images: Images, before: Tensor | None) -> Tensor:
        """Boxes ``(batch, 4)`` of the faces, in shares of the sides."""
        if self.detector is None:
            return torch.tensor([self.box] * len(images))
        return self.detector.follow(images, before, "mask(face=…)")

    def _crop(self, images: Images, faces: Tensor) -> TurnedCrop:
        height, width = images.shape[-2:]
        exact = promote_half(images)
        with torch.no_grad():
            crop = self.mesh.crop(faces.cpu().float() * torch.tensor([width, height] * 2), exact)
            absent = self.mesh.absent(crop(exact))
        if absent:
            raise Undefined(f"{self}: the face mesh sees no face where it looks; say where it is, box=", rows=absent)
        return crop

    def _inside(self, images: Images, crop: TurnedCrop) -> Tensor:
        """The edged masks, where `crop` reads the mesh."""
        points = crop.outward(self.mesh.points(crop(promote_half(images))))
        size = images.shape[-2:]
        filled, cut = ([one for part in self.parts for one in PARTS[part][i]] for i in (0, 1))
        masks = cover(points, filled, *size)
        if cut and not {"mouth", "oval"} & set(self.parts):
            masks = (masks - cover(points, cut, *size)).clamp(0, 1)
        return self.edged(masks.to(images.dtype))


class PersonMask(SoftMask):
    """The image times the probability that a pixel shows a person, by MediaPipe's selfie segmentation."""

    def __init__(self, path: Path, erode: float = 0.0, feather: float = 0.0, follow: bool = True):
        super().__init__("mask(person=true)", erode, feather, follow)
        self.network = load(path)
        height, width = self.network.size
        found = [tuple(one.shape) for one in self.network(torch.zeros(1, 3, height, width))]
        if found != [(1, 1, height, width)]:
            raise FileError(
                f"{path} does not segment people: of {height} x {width} pixels it gives {found}, where one mask of "
                "that size was expected"
            )
        self.memories = 0 if follow else 1

    def coverage(self, images: Images) -> Images:
        """The probability of a person ``(batch, 1, height, width)``, differentiable."""
        exact = promote_half(images)
        seen = F.interpolate(exact, self.network.size, mode="bilinear", antialias=True)
        (masks,) = move_like(self.network, exact)(seen)
        masks = F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)
        return self.edged(masks.to(images.dtype))

    def at(self, images: Images) -> FrozenMask:
        """The masks of these images, frozen.

        Raises:
            Undefined: some images show hardly anything of a person.
        """
        with torch.inference_mode(False), torch.no_grad():
            masks = self.coverage(images.detach())
        return self.freeze(masks, () if self.follows else (masks,))

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenMask:
        """The masks of these images; with `follow` false, those at the first waypoint."""
        return self.at(images) if self.follows else FrozenMask(remembered[0].to(images), remembered)
