"""A box of each image, resized: exact in fractions of pixels, and linear in the image.

>>> import torch
>>> from eigenwalk_face.crop import Crop
>>> images = torch.rand(2, 3, 48, 64)
>>> boxes = torch.tensor([[6.4, 9.6, 38.4, 43.2], [-10.0, 0.0, 38.0, 48.0]])
>>> Crop(boxes, images, 160)(images).shape
torch.Size([2, 3, 160, 160])
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.shapes import Images


class Crop:
    """One box of each image of the size of `images`, resized to `size` x `size`: ``Y image Xᵀ``.

    `boxes` ``(batch, 4)``, on the CPU, are (x0, y0, x1, y1) in pixels. Y and X are the weights of Pillow's bilinear
    `resize`: a triangle that widens where the box is larger than the crop, so that nothing aliases. Two matrix products
    have every derivative that torch knows.

    With `cut`, the box must lie within the image, and only what is inside it counts, as when `facenet_pytorch.MTCNN`
    cuts before it resizes: a pixel on its edge counts by its share inside, so that the crop follows the box without
    jumps. Otherwise pixels around the box contribute too, and the crop is black beyond the image.
    """

    def __init__(self, boxes: Tensor, images: Images, size: int, cut: bool = False):
        height, width = images.shape[-2:]
        x0, y0, x1, y1 = boxes.double().unbind(1)
        self.boxes = boxes.double().to(images.device)
        self.spans = (boxes[:, 2:] - boxes[:, :2]).amin(1)
        """Shorter sides of the boxes ``(batch,)``, in pixels."""
        self.y = resampling(y0, y1, height, size, cut).to(images.device)
        self.x = resampling(x0, x1, width, size, cut).to(images.device)

    def __call__(self, images: Images) -> Images:
        """Crop images ``(batch, 3, height, width)`` to ``(batch, 3, size, size)``."""
        return self.y.to(images)[:, None] @ images @ self.x.to(images)[:, None].mT

    def outward(self, points: Tensor) -> Tensor:
        """Map `points` ``(batch, k, 2)`` in shares of the crop to pixels of the image ``(batch, k, 2)``."""
        corner, side = self.boxes[:, None, :2], (self.boxes[:, 2:] - self.boxes[:, :2])[:, None]
        return corner.to(points) + points * side.to(points)


def resampling(start: Tensor, end: Tensor, pixels: int, size: int, cut: bool) -> Tensor:
    """Weights ``(batch, size, pixels)`` that resize the stretches from `start` to `end` ``(batch,)``, in pixels.

    With c_k the middle of the k-th of `size` parts, each s pixels long, pixel j has the weight
    ``max(0, 1 - |j + ½ - c_k| / max(1, s))``, with `cut` times its share within the stretch, divided by the sum over
    all j, those beyond the image's border included.
    """
    s = ((end - start) / size)[:, None, None]
    reach = float(s.clamp(min=1).max())
    before = 0 if cut else max(0, math.ceil(reach - float(start.min())))
    after = 0 if cut else max(0, math.ceil(float(end.max()) + reach) - pixels)
    left = torch.arange(-before, pixels + after, dtype=start.dtype)
    middles = start[:, None, None] + (torch.arange(size, dtype=start.dtype)[:, None] + 0.5) * s
    weights = (1 - (left + 0.5 - middles).abs() / s.clamp(min=1)).clamp(min=0)
    if cut:
        inside = ((left + 1).minimum(end[:, None]) - left.maximum(start[:, None])).clamp(min=0)
        weights = weights * inside[:, None]
    return (weights / weights.sum(2, keepdim=True))[:, :, before : before + pixels]
