"""Finding faces: MTCNN, whose weights ship with facenet-pytorch."""

from __future__ import annotations

import torch
from facenet_pytorch import MTCNN
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import OptionError, Undefined
from eigenwalk.shapes import Images

SIDE = 256
"""Shorter side, in pixels, of the image that MTCNN sees: small images are enlarged, since it needs faces of some 20
pixels, and large ones reduced, since its cost grows with their area."""
SMALLEST = 1 / 8
"""Smallest size of a face that is looked for, as a share of the image's shorter side."""


def check_probability(least: float) -> None:
    """Raise OptionError unless `least` lies between 0 and 1."""
    if not 0 < least < 1:
        raise OptionError(f"least must be a probability between 0 and 1, got {least}")


def detector_unless(place: object, least: float) -> Detector | None:
    """Return a detector, or None where `place` says where the face is; a wrong `least` is refused all the same.

    Raises:
        OptionError: see `Detector`.
    """
    check_probability(least)
    return None if place else Detector(least)


class Detector:
    """Finds faces in one image after another, so that no box depends on the other images of a batch.

    `least` is the probability from which MTCNN's last network takes something for a face.

    Raises:
        OptionError: `least` is no probability.
    """

    def __init__(self, least: float):
        check_probability(least)
        self.least = least
        with torch.random.fork_rng(devices=[]):  # the networks draw weights that their files then replace
            self.mtcnn = MTCNN(min_face_size=round(SIDE * SMALLEST), thresholds=[0.6, 0.7, least], keep_all=True)
        self.mtcnn.requires_grad_(False)

    def __call__(self, image: Tensor) -> Tensor:
        """Find the boxes ``(faces, 4)`` in `image` ``(3, height, width)``: x0, y0, x1, y1 in shares of its sides.

        They are on the CPU. The first is the one that facenet-pytorch would take ("center_weighted_size"): the largest
        area, less twice the squared distance between its middle and the image's.
        """
        return self._find(image)[0]

    def follow(self, images: Images, before: Tensor | None, feature: str) -> Tensor:
        """Find one box ``(batch, 4)`` in each image; see `follow_points`."""
        return self.follow_points(images, before, feature)[0]

    def follow_points(self, images: Images, before: Tensor | None, feature: str) -> tuple[Tensor, Tensor]:
        """Find one face in each image: the first, or the one whose box overlaps most with `before`.

        `before` ``(batch, 4)`` are the boxes at the previous waypoint; `feature` is the name that messages give.

        Returns:
            Boxes ``(batch, 4)`` and points ``(batch, 5, 2)``, in shares of the sides: MTCNN's eyes, tip of the nose and
            corners of the mouth, those on the left of the image first.

        Raises:
            Undefined: some `rows` show no face, or none where it was before.
        """
        found: list[tuple[Tensor, Tensor]] = []
        missing: list[int] = []
        for row, image in enumerate(images):
            boxes, points = self._find(image)
            first = 0
            if before is not None and len(boxes):
                shares = overlap(boxes, before[row].to(boxes))
                first = int(shares.argmax()) if shares.max() > 0 else len(boxes)
            if first < len(boxes):
                found.append((boxes[first], points[first]))
            else:
                missing.append(row)
        if missing:
            where = "" if before is None else " where it was at the waypoint before"
            raise Undefined(
                f"{feature}: MTCNN finds no face{where} (probability {self.least:g} or more); say where the face "
                f"is, {feature}(box=(0.2, 0.1, 0.8, 0.9)), or lower least=",
                rows=tuple(missing),
            )
        boxes, points = map(torch.stack, zip(*found, strict=True))
        return boxes, points

    def _find(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Find boxes ``(faces, 4)`` and points ``(faces, 5, 2)``, in shares of the sides of `image`; see `__call__`."""
        height, width = image.shape[-2:]
        scale = SIDE / min(height, width)
        size = (max(SIDE, round(height * scale)), max(SIDE, round(width * scale)))
        with torch.no_grad():
            seen = F.interpolate(image[None].detach().float(), size, mode="bilinear", antialias=True)[0]
            levels = (seen.clamp(0, 1) * 255).round()  # what MTCNN would read from a file
            self.mtcnn.device = levels.device
            found, *_, marks = self.mtcnn.to(levels.device).detect(levels.permute(1, 2, 0), landmarks=True)
        if found is None:
            return torch.zeros(0, 4), torch.zeros(0, 5, 2)
        extent = torch.tensor([size[1], size[0]] * 2).float()
        boxes, points = (torch.from_numpy(one.astype("float32")) for one in (found, marks))
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        aside = ((boxes[:, :2] + boxes[:, 2:] - extent[2:]) / 2).square().sum(1)
        order = (area - 2 * aside).argsort(descending=True, stable=True)
        return boxes[order] / extent, points[order] / extent[:2]


def overlap(boxes: Tensor, box: Tensor) -> Tensor:
    """Intersection over union ``(n,)`` of each of `boxes` ``(n, 4)`` with `box` ``(4,)``."""
    both = (boxes[:, 2:].minimum(box[2:]) - boxes[:, :2].maximum(box[:2])).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return both / (areas - both)
