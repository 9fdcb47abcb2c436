"""Faces aligned as those of FFHQ are (Karras et al. 2019, arXiv 1812.04948, appendix C): a square from eyes and mouth.

    e = right eye - left eye,   m = middle of the mouth - middle of the eyes
    x = e - rot90(m), lengthened to max(2 |e|, 1.8 |m|);  y = rot90(x)
    the square: middle of the eyes + m / 10 ± x ± y

The published recipe takes eyes and mouth from 68 landmarks; MTCNN's five points have the same middles. What the square
needs beyond the photograph is its mirror image, blurred, as there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from eigenwalk.errors import FileError, InputError

LEAST = 0.9
"""Probability from which MTCNN's last network is believed."""
SMALLEST = 24
"""Least distance of the eyes from the mouth's height, in pixels, times two or so: smaller faces are refused."""
SEEN = 2048
"""Longer side to which a photograph is reduced before its face is cut out, if the face stays larger than asked for."""


@dataclass(frozen=True)
class Square:
    """Where a face is cut out: its `middle` ``(2,)`` and `half` side's vector ``(2,)`` to the right, in pixels."""

    middle: Tensor
    half: Tensor

    @classmethod
    def of(cls, points: Tensor) -> Square:
        """Return FFHQ's square of MTCNN's `points` ``(5, 2)``: eyes, nose, corners of the mouth."""
        left, right, _, *mouth = points.double()
        eyes, e = (left + right) / 2, right - left
        m = (mouth[0] + mouth[1]) / 2 - eyes
        x = e - torch.stack([-m[1], m[0]])
        x = x / x.norm() * max(2.0 * float(e.norm()), 1.8 * float(m.norm()))
        return cls(eyes + 0.1 * m, x)


def find_faces(image: Tensor) -> list[Tensor]:
    """Return MTCNN's points ``(5, 2)``, in pixels, of every face in `image` ``(3, height, width)``, the largest first.

    Raises:
        InputError: eigenwalk-face, which finds faces, is not installed.
    """
    try:
        from eigenwalk_face.detector import Detector
    except ModuleNotFoundError as error:
        raise InputError(f"align=ffhq finds faces with eigenwalk-face: pip install eigenwalk-face ({error})") from None
    height, width = image.shape[-2:]
    boxes, points = Detector(LEAST)._find(image)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) if len(boxes) else torch.zeros(0)
    extent = torch.tensor([width, height]).to(points)
    return [points[i] * extent for i in areas.argsort(descending=True).tolist()]


def align(image: Tensor, size: int, file: Path, face: int = 1) -> tuple[Tensor, str]:
    """Return the aligned face ``(3, size, size)`` in `image` ``(3, height, width)``, and what to say about it, or "".

    `face` counts from 1, the largest. `file` is named in messages.

    Raises:
        FileError: no face is found, not so many, or one too small.
    """
    faces = find_faces(image)
    if len(faces) < face:
        has = f"{len(faces)} face{'s' * (len(faces) != 1)}" if faces else "no face"
        raise FileError(f"{file}: MTCNN finds {has} (probability {LEAST:g} or more), and face {face} is asked for")
    square = Square.of(faces[face - 1])
    side = 2 * float(square.half.norm())
    if side < SMALLEST * 2:
        raise FileError(
            f"{file}: the face and its surroundings have {side:.0f} pixels a side, too few to find a latent"
        )
    said = []
    if len(faces) > 1:
        which = "the largest" if face == 1 else f"number {face} by size"
        said.append(f"{len(faces)} faces, {which} is taken (--face chooses)")
    if side < 0.6 * size:
        said.append(f"the face's square has {side:.0f} pixels a side and is enlarged to {size}")
    return cut_out(image, square, size), "; ".join(said)


def cut_out(image: Tensor, square: Square, size: int) -> Tensor:
    """Return `image` ``(3, height, width)`` within the `square`, ``(3, size, size)``, without aliasing."""
    scale = min(1.0, 2 * size / (2 * float(square.half.norm())))
    height, width = (max(1, round(n * scale)) for n in image.shape[-2:])
    middle, half = square.middle * scale, square.half * scale
    if scale < 1:
        image = F.interpolate(image[None], (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)
    down = torch.stack([-half[1], half[0]])
    reach = (half.abs() + down.abs()).ceil()
    low, high = middle - reach, middle + reach
    pads = [-float(low[0]), float(high[0]) - width, -float(low[1]), float(high[1]) - height]
    pad = [max(0, math.ceil(one) + 1) for one in pads]
    if any(pad):
        image = _surround(image, pad, 2 * float(half.norm()))
        middle = middle + torch.tensor([pad[0], pad[2]]).double()
    n = 2 * size  # twice the size, then averaged: bilinear reading alone would alias
    along = (torch.arange(n).double() + 0.5) / n * 2 - 1
    where = middle + along[None, :, None] * half + along[:, None, None] * down
    extent = torch.tensor([image.shape[2], image.shape[1]]).double()
    grid = (2 * where / extent - 1).float()
    cut = F.grid_sample(image[None].float(), grid[None], mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(cut, 2)[0]


def _surround(image: Tensor, pad: list[int], side: float) -> Tensor:
    """Return `image` with its mirror image around it, blurred, and faded to its median colour, away from it."""
    height, width = image.shape[-2:]
    x = _mirror(torch.arange(-pad[0], width + pad[1]), width)
    y = _mirror(torch.arange(-pad[2], height + pad[3]), height)
    whole = image[:, y][:, :, x]
    fade = max(1.0, 0.3 * side)
    away_x = torch.maximum(-torch.arange(-pad[0], width + pad[1]), torch.arange(-pad[0], width + pad[1]) - width + 1)
    away_y = torch.maximum(-torch.arange(-pad[2], height + pad[3]), torch.arange(-pad[2], height + pad[3]) - height + 1)
    away = torch.maximum(away_x[None, :], away_y[:, None]).clamp_min(0) / fade
    small = F.interpolate(whole[None], scale_factor=min(1.0, 12 / side), mode="bilinear", antialias=True)
    blurred = F.interpolate(small, whole.shape[-2:], mode="bilinear")[0]
    whole = torch.lerp(whole, blurred, (3 * away).clamp(0, 1))
    return torch.lerp(whole, whole.flatten(1).median(1).values[:, None, None].expand_as(whole), away.clamp(0, 1))


def _mirror(index: Tensor, n: int) -> Tensor:
    """Return places from 0 to n - 1 for places beyond, as in a mirror at each edge."""
    index = index % (2 * n)
    return torch.where(index < n, index, 2 * n - 1 - index)
