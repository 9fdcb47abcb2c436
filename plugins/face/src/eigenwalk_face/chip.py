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

import torch
from torch import Tensor

from eigenwalk.shapes import Images
from eigenwalk_face.turned import TurnedCrop

FFHQ_SQUARE = (0.274, 0.376, 0.462)
"""Left, top and side of dlib's unit square in shares of an image that is aligned as FFHQ's are: the mean over 40 such
images, of MobileStyleGAN, whose chips dlib's own five landmarks cut; standard deviation .02 across, .01 down."""
EYES_AND_MOUTH = ((0.220, 0.202), (0.759, 0.202), (0.242, 0.777), (0.736, 0.777))
"""Where in the unit square MTCNN sees the eyes and the corners of the mouth, in the mean over the same images
and their mirror images."""


class Chip(TurnedCrop):
    """The chip of one face in each of `images`, with MTCNN's `points` ``(batch, 5, 2)`` in pixels: ``size x size``.

    The unit square follows from eyes and mouth by least squares among similarities. The tip of the nose, which moves
    as a head turns, is left out. Beyond the image the chip is black, as dlib's.
    """

    def __init__(self, points: Tensor, images: Images, size: int, padding: float):
        wanted = (torch.tensor(EYES_AND_MOUTH, dtype=torch.float64) + padding) / (1 + 2 * padding) * size
        p, q = (torch.view_as_complex(xy.contiguous()) for xy in (wanted, points[:, [0, 1, 3, 4]].double().cpu()))
        from_middle = p - p.mean()
        # q = a p + b, in complex numbers: a's modulus is pixels of the image a pixel of the chip, its argument the tilt
        a = (from_middle.conj() * q).sum(1) / from_middle.abs().square().sum()
        middle = q.mean(1) + a * (complex(size, size) / 2 - p.mean())
        super().__init__(torch.view_as_real(middle), a.abs() * size, a.angle(), images, size)


def ffhq_chip(padding: float) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of the chip, in shares, in an image that is aligned as FFHQ's are."""
    left, top, side = FFHQ_SQUARE
    before, after = padding * side, (1 + padding) * side
    return left - before, top - before, left + after, top + after
