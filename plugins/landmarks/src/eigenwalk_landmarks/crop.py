"""A box of an image, resized and black where it leaves the image; linear in the image.

>>> import torch
>>> from eigenwalk_landmarks.crop import Crop
>>> images = torch.rand(2, 3, 48, 64)
>>> boxes = torch.tensor([[-10.0, 5.0, 30.0, 45.0], [0.0, 0.0, 48.0, 48.0]])
>>> Crop(boxes, images, 256)(images).shape
torch.Size([2, 3, 256, 256])
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.shapes import Images


class Crop:
    """One box of each image of the size of `images`, resized to `size` x `size`: ``Y image Xᵀ``.

    `boxes` ``(batch, 4)``, on the CPU, are (x0, y0, x1, y1) in pixels. Two matrix products have every derivative that
    torch knows, and nothing aliases: where the box is larger than the crop, the triangle of bilinear resizing widens.
    """

    def __init__(self, boxes: Tensor, images: Images, size: int):
        height, width = images.shape[-2:]
        x0, y0, x1, y1 = boxes.double().unbind(1)
        self.boxes = boxes.double().to(images.device)
        self.y = resampling(y0, y1, height, size).to(images.device)
        self.x = resampling(x0, x1, width, size).to(images.device)

    def __call__(self, images: Images) -> Images:
        """The crops ``(batch, 3, size, size)`` of images ``(batch, 3, height, width)``."""
        return self.y.to(images)[:, None] @ images @ self.x.to(images)[:, None].mT

    def outward(self, points: Tensor) -> Tensor:
        """Pixels of the image ``(batch, k, 2)`` for `points` ``(batch, k, 2)`` in shares of the crop."""
        corner, side = self.boxes[:, None, :2], (self.boxes[:, 2:] - self.boxes[:, :2])[:, None]
        return corner.to(points) + points * side.to(points)


def resampling(start: Tensor, end: Tensor, pixels: int, size: int) -> Tensor:
    """The weights ``(batch, size, pixels)`` that resize the stretches from `start` to `end` ``(batch,)``, in pixels.

    With c_k the middle of the k-th of `size` parts, each s pixels long, pixel j has the weight
    ``max(0, 1 - |j + ½ - c_k| / max(1, s))``, divided by the sum over all j, those beyond the image's border included.
    """
    s = ((end - start) / size)[:, None, None]
    reach = float(s.clamp(min=1).max())
    before = max(0, math.ceil(reach - float(start.min())))
    after = max(0, math.ceil(float(end.max()) + reach) - pixels)
    j = torch.arange(-before, pixels + after, dtype=start.dtype)
    middles = start[:, None, None] + (torch.arange(size, dtype=start.dtype)[:, None] + 0.5) * s
    weights = (1 - (j + 0.5 - middles).abs() / s.clamp(min=1)).clamp(min=0)
    return (weights / weights.sum(2, keepdim=True))[:, :, before : before + pixels]
