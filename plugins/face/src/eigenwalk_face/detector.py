"""Finding faces: MTCNN, whose weights ship with facenet-pytorch."""

from __future__ import annotations

import torch
from facenet_pytorch import MTCNN
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import Undefined
from eigenwalk.shapes import Images

SIDE = 256
"""Shorter side, in pixels, of the image that MTCNN sees: small images are enlarged, since it needs faces of some 20
pixels, and large ones reduced, since its cost grows with their area."""
SMALLEST = 1 / 8
"""Smallest size of a face that is looked for, as a share of the image's shorter side."""


class Detector:
    """Finds faces in one image after another, so that no box depends on the other images of a batch.

    `least` is the probability from which MTCNN's last network takes something for a face.
    """

    def __init__(self, least: float):
        self.least = least
        with torch.random.fork_rng(devices=[]):  # the networks draw weights that their files then replace
            self.mtcnn = MTCNN(min_face_size=round(SIDE * SMALLEST), thresholds=[0.6, 0.7, least], keep_all=True)
        self.mtcnn.requires_grad_(False)

    def __call__(self, image: Tensor) -> Tensor:
        """Find the boxes ``(faces, 4)`` in `image` ``(3, height, width)``: x0, y0, x1, y1 in shares of its sides.

        They are on the CPU. The first is the one that facenet-pytorch would take ("center_weighted_size"): the largest
        area, less twice the squared distance between its middle and the image's.
        """
        height, width = image.shape[-2:]
        scale = SIDE / min(height, width)
        size = (max(SIDE, round(height * scale)), max(SIDE, round(width * scale)))
        with torch.no_grad():
            seen = F.interpolate(image[None].detach().float(), size, mode="bilinear", antialias=True)[0]
            levels = (seen.clamp(0, 1) * 255).round()  # what MTCNN would read from a file
            self.mtcnn.device = levels.device
            found = self.mtcnn.to(levels.device).detect(levels.permute(1, 2, 0))[0]
        if found is None:
            return torch.zeros(0, 4)
        extent = torch.tensor([size[1], size[0]] * 2).float()
        boxes = torch.from_numpy(found.astype("float32"))
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        aside = ((boxes[:, :2] + boxes[:, 2:] - extent[2:]) / 2).square().sum(1)
        return boxes[(area - 2 * aside).argsort(descending=True, stable=True)] / extent

    def follow(self, images: Images, before: Tensor | None, feature: str) -> Tensor:
        """Find one box ``(batch, 4)`` in each image: the first, or the one that overlaps most with `before`.

        `before` ``(batch, 4)`` are the boxes at the previous waypoint; `feature` is the name that messages give.

        Raises:
            Undefined: some `rows` show no face, or none where it was before.
        """
        found: list[Tensor] = []
        missing: list[int] = []
        for row, image in enumerate(images):
            boxes = self(image)
            if before is not None and len(boxes):
                shares = overlap(boxes, before[row].to(boxes))
                boxes = boxes[shares.argmax()][None] if shares.max() > 0 else boxes[:0]
            if len(boxes):
                found.append(boxes[0])
            else:
                missing.append(row)
        if missing:
            where = "" if before is None else " where it was at the waypoint before"
            raise Undefined(
                f"{feature}: MTCNN finds no face{where} (probability {self.least:g} or more); say where the face "
                f"is, {feature}(box=(0.2, 0.1, 0.8, 0.9)), or lower least=",
                rows=tuple(missing),
            )
        return torch.stack(found)


def overlap(boxes: Tensor, box: Tensor) -> Tensor:
    """Intersection over union ``(n,)`` of each of `boxes` ``(n, 4)`` with `box` ``(4,)``."""
    both = (boxes[:, 2:].minimum(box[2:]) - boxes[:, :2].maximum(box[:2])).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return both / (areas - both)
