"""A tilted square of each image, resized: linear in the image.

>>> import torch
>>> from eigenwalk_face.turned import TurnedCrop
>>> images, middles = torch.rand(2, 3, 64, 64), torch.tensor([[30.0, 32.0], [32.0, 32.0]])
>>> TurnedCrop(middles, torch.tensor([40.0, 50.0]), torch.tensor([0.0, 0.3]), images, 24)(images).shape
torch.Size([2, 3, 24, 24])
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.shapes import Images
from eigenwalk_face.crop import Crop


class TurnedCrop:
    """One square of each image of the size of `images`, resized to `size` x `size`.

    `middles` ``(batch, 2)`` and `spans`, the squares' sides ``(batch,)``, are in pixels; `angles` ``(batch,)``, in
    radians from x to y, turn the square's upper edge. A `Crop` with the same pixels, upright in the image, is then
    turned bilinearly, so that a square that is not turned is interpolated once. It is black beyond the image.
    """

    def __init__(self, middles: Tensor, spans: Tensor, angles: Tensor, images: Images, size: int):
        middles, spans, angles = (one.double().cpu() for one in (middles, spans, angles))
        turn = torch.polar(torch.ones_like(angles), angles)
        n = size + 2 * math.ceil(float((turn.real.abs() + turn.imag.abs() - 1).max()) * size / 2)
        half = (spans * n / size / 2)[:, None]
        self.crop = Crop(torch.cat([middles - half, middles + half], 1), images, n)
        self.index, self.weight = (one.to(images.device) for one in turned(turn, size, n))
        device = images.device
        self.size, self.middles, self.spans, self.turn = size, middles.to(device), spans.to(device), turn.to(device)

    def __call__(self, images: Images) -> Images:
        """Cut images ``(batch, 3, height, width)`` to ``(batch, 3, size, size)``."""
        pixels = self.crop(images).flatten(2)[:, :, None].expand(-1, -1, 4, -1)
        around = pixels.gather(3, self.index[:, None].expand(-1, 3, -1, -1))
        return (around * self.weight.to(images)[:, None]).sum(2).unflatten(2, (self.size, self.size))

    def outward(self, points: Tensor) -> Tensor:
        """Map `points` ``(batch, k, 2)`` in shares of the crop to pixels of the image ``(batch, k, 2)``."""
        x, y = ((points - 0.5) * self.spans[:, None, None].to(points)).unbind(2)
        cos, sin = (one[:, None].to(points) for one in (self.turn.real, self.turn.imag))
        return self.middles[:, None].to(points) + torch.stack([cos * x - sin * y, sin * x + cos * y], 2)


def turned(turn: Tensor, size: int, n: int) -> tuple[Tensor, Tensor]:
    """Return index and weight ``(batch, 4, size²)`` of the pixels, of ``n²``, around each pixel of a turned square.

    `turn` ``(batch,)`` are unit complex numbers; the square of ``size²`` pixels lies in the middle.
    """
    along = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    where = turn[:, None] * torch.complex(along.expand(size, -1), along[:, None].expand(-1, size)).flatten()
    x, y = (where.real + (n - 1) / 2).clamp(0, n - 1), (where.imag + (n - 1) / 2).clamp(0, n - 1)
    left, top = x.floor().clamp(max=n - 2), y.floor().clamp(max=n - 2)
    index = [(top + j) * n + left + i for j in (0, 1) for i in (0, 1)]
    weight = [(1 - (x - left - i).abs()) * (1 - (y - top - j).abs()) for j in (0, 1) for i in (0, 1)]
    return torch.stack(index, 1).long(), torch.stack(weight, 1)
