"""A box of an image, resized: exact in the box's fractions of pixels, and linear in the image.

>>> import torch
>>> from eigenwalk_identity.crop import Crop
>>> images = torch.rand(2, 3, 48, 64)
>>> boxes = torch.tensor([[0.1, 0.2, 0.6, 0.9], [0.0, 0.0, 1.0, 1.0]])
>>> Crop(boxes, images, 160)(images).shape
torch.Size([2, 3, 160, 160])
"""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.shapes import Images


class Crop:
    """One box of each image of the size of `images`, resized to `size` x `size`: ``Y image Xᵀ``.

    `boxes` ``(batch, 4)``, on the CPU, are (x0, y0, x1, y1) in shares of width and height. Y and X are the weights of
    Pillow's bilinear `resize` (a triangle that widens where the box is larger than the crop, so that nothing aliases),
    to which `facenet_pytorch.MTCNN` hands its crops. A pixel that the box cuts counts by its share inside, so that the
    crop follows the box without jumps. Two matrix products have every derivative that torch knows.
    """

    def __init__(self, boxes: Tensor, images: Images, size: int):
        height, width = images.shape[-2:]
        x0, y0, x1, y1 = boxes.double().unbind(1)
        self.y = resampling(y0 * height, y1 * height, height, size).to(images.device)
        self.x = resampling(x0 * width, x1 * width, width, size).to(images.device)

    def __call__(self, images: Images) -> Images:
        """The crops ``(batch, 3, size, size)`` of images ``(batch, 3, height, width)``."""
        return self.y.to(images)[:, None] @ images @ self.x.to(images)[:, None].mT


def resampling(start: Tensor, end: Tensor, pixels: int, size: int) -> Tensor:
    """The weights ``(batch, size, pixels)`` that resize the stretches from `start` to `end` ``(batch,)``, in pixels.

    With c_k the middle of the k-th of `size` parts, each s pixels long, pixel j has the weight
    ``max(0, 1 - |j + ½ - c_k| / max(1, s))`` times the share of it that lies in the stretch; rows add up to 1.
    """
    s = ((end - start) / size)[:, None, None]
    left = torch.arange(pixels, dtype=start.dtype)
    middles = start[:, None, None] + (torch.arange(size, dtype=start.dtype)[:, None] + 0.5) * s
    weights = (1 - (left + 0.5 - middles).abs() / s.clamp(min=1)).clamp(min=0)
    inside = ((left + 1).minimum(end[:, None]) - left.maximum(start[:, None])).clamp(min=0)
    weights = weights * inside[:, None]
    return weights / weights.sum(2, keepdim=True)
