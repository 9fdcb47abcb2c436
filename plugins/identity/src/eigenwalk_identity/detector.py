"""Where the faces are: MTCNN, whose weights ship with facenet-pytorch."""

from __future__ import annotations

import torch
from facenet_pytorch import MTCNN
from torch import Tensor
from torch.nn import functional as F

SIDE = 256
"""The shorter side, in pixels, of the image that MTCNN sees: small images are enlarged, since it needs faces of some
20 pixels, and large ones reduced, since its cost grows with their area."""
SMALLEST = 1 / 8
"""Of the shorter side: what a face measures at least."""


class Detector:
    """The faces of one image after the other, so that none depends on another's batch.

    `least` is the probability from which MTCNN's last network takes something for a face.
    """

    def __init__(self, least: float):
        self.least = least
        with torch.random.fork_rng(devices=[]):  # the networks draw the weights that their files replace
            self.mtcnn = MTCNN(min_face_size=round(SIDE * SMALLEST), thresholds=[0.6, 0.7, least], keep_all=True)
        self.mtcnn.requires_grad_(False)

    def __call__(self, image: Tensor) -> Tensor:
        """The boxes ``(faces, 4)`` in `image` ``(3, height, width)``, on the CPU: x0, y0, x1, y1, shares of its sides.

        The first is the one that facenet-pytorch would take ("center_weighted_size"): the largest area, less twice the
        squared distance of its middle from the image's.
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


def overlap(boxes: Tensor, box: Tensor) -> Tensor:
    """The share ``(n,)`` of the union of each of `boxes` ``(n, 4)`` and `box` ``(4,)`` that both cover."""
    both = (boxes[:, 2:].minimum(box[2:]) - boxes[:, :2].maximum(box[:2])).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return both / (areas - both)
