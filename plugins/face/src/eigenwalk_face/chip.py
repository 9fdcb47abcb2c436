"""The chips that dlib's networks of faces see: upright squares in which the mean face has its fixed place.

dlib's mean face lies in a unit square; a chip is that square with a padding on each side, in shares of the square. Here
the square is fitted to MTCNN's eyes and corners of the mouth, or lies where an image is aligned as FFHQ's are.

>>> import torch
>>> from eigenwalk_face.chip import Chip, ffhq_chip
>>> eyes_nose_mouth = torch.tensor([[[24.0, 30.0], [40.0, 30.0], [32.0, 40.0], [25.0, 47.0], [39.0, 47.0]]])
>>> images = torch.rand(1, 3, 64, 64)
>>> Chip(eyes_nose_mouth, images, 150, padding=0.25)(images).shape
torch.Size([1, 3, 150, 150])
>>> [round(side, 3) for side in ffhq_chip(padding=0.25)]
[0.159, 0.261, 0.852, 0.954]
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.shapes import Images
from eigenwalk_face.crop import Crop

FFHQ_SQUARE = (0.274, 0.376, 0.462)
"""Left, top and side of dlib's unit square in shares of an image that is aligned as FFHQ's are: the mean over 40 such
images, of MobileStyleGAN, whose chips dlib's own five landmarks cut; standard deviation .02 across, .01 down."""
EYES_AND_MOUTH = ((0.220, 0.202), (0.759, 0.202), (0.242, 0.777), (0.736, 0.777))
"""Where in the unit square MTCNN sees the eyes and the corners of the mouth, in the mean over the same images
and their mirror images."""


class Chip:
    """The chip of one face in each of `images`, with MTCNN's `points` ``(batch, 5, 2)`` in pixels: ``size x size``.

    The unit square follows from eyes and mouth by least squares among similarities. The tip of the nose, which moves
    as a head turns, is left out. A `Crop` with the chip's pixels, upright in the image, is then turned bilinearly, so
    that a face without a tilt is interpolated once. Beyond the image the chip is black, as dlib's.
    """

    def __init__(self, points: Tensor, images: Images, size: int, padding: float):
        wanted = (torch.tensor(EYES_AND_MOUTH, dtype=torch.float64) + padding) / (1 + 2 * padding) * size
        p, q = (torch.view_as_complex(xy.contiguous()) for xy in (wanted, points[:, [0, 1, 3, 4]].double().cpu()))
        from_middle = p - p.mean()
        # q = a p + b, in complex numbers: a's modulus is pixels of the image a pixel of the chip, its argument the tilt
        a = (from_middle.conj() * q).sum(1) / from_middle.abs().square().sum()
        middle = q.mean(1) + a * (complex(size, size) / 2 - p.mean())
        self.spans = a.abs() * size
        """Sides of the chips ``(batch,)``, in pixels of the image."""
        turn = a / a.abs().clamp(min=1e-12)
        n = size + 2 * math.ceil(float((turn.real.abs() + turn.imag.abs() - 1).max()) * size / 2)
        half = a.abs() * n / 2
        boxes = torch.stack([middle.real - half, middle.imag - half, middle.real + half, middle.imag + half], 1)
        self.crop = Crop(boxes, images, n)
        self.index, self.weight = (one.to(images.device) for one in turned(turn, size, n))
        self.size = size

    def __call__(self, images: Images) -> Images:
        """Cut images ``(batch, 3, height, width)`` to ``(batch, 3, size, size)``."""
        pixels = self.crop(images).flatten(2)[:, :, None].expand(-1, -1, 4, -1)
        around = pixels.gather(3, self.index[:, None].expand(-1, 3, -1, -1))
        return (around * self.weight.to(images)[:, None]).sum(2).unflatten(2, (self.size, self.size))


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


def ffhq_chip(padding: float) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of the chip, in shares, in an image that is aligned as FFHQ's are."""
    left, top, side = FFHQ_SQUARE
    before, after = padding * side, (1 + padding) * side
    return left - before, top - before, left + after, top + after
