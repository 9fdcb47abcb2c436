"""What an object looks like, wherever it stands and however large it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk.feature import Projection
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk_masks.position import Measure, moments

MARGIN = 1.5
"""The frame's sides over the object's, as `moments` measures them: an object that is no box reaches beyond them."""


def frame(coverage: Tensor, images: Images, size: int) -> tuple[Tensor, Tensor]:
    """Covered pixels ``(batch, 3, size, size)`` and coverage ``(batch, 1, size, size)`` in the object's own frame.

    The frame is centred on the object and `MARGIN` times as wide and high: row i of ``R_y (c x) R_xᵀ`` is a Gaussian
    mean of the pixels about where the frame's i-th row lies, of variance half the squares of a pixel's and of the
    frame's cell's side. Everything is smooth in the pixels, in the coverage c, and in the object's place and size.
    """
    x, y, width, height = moments(coverage).unbind(1)
    rows = _resampling(y, MARGIN * height, images.shape[-2], size)
    columns = _resampling(x, MARGIN * width, images.shape[-1], size)
    kept = torch.cat([coverage * images, coverage], 1)
    framed = torch.einsum("bih,bchw,bjw->bcij", rows, kept, columns)
    return framed[:, :3], framed[:, 3:]


def _resampling(centre: Tensor, extent: Tensor, pixels: int, size: int) -> Tensor:
    """The matrix ``(batch, size, pixels)`` from a side of `pixels` to `extent` about `centre`, shares of that side.

    Beyond the image all is black: rows there sum to less than 1.
    """
    cell = extent[:, None, None] / size
    steps = (torch.arange(size, dtype=centre.dtype, device=centre.device) + 0.5) / size - 0.5
    at = centre[:, None, None] + steps[:, None] * extent[:, None, None]
    here = (torch.arange(pixels, dtype=centre.dtype, device=centre.device) + 0.5) / pixels
    variance = (cell.square() + 1 / pixels**2) / 2
    return torch.exp(-(here - at).square() / (2 * variance)) / (2 * math.pi * variance).sqrt() / pixels


class Appearance(Measure):
    """The pixels of what a projection covers, in its own frame: unchanged when it moves or grows.

    Attributes:
        still: frozen, the coverage ``(batch, 1, height, width)`` where it has no gradient: the frame then stands still.
        area: frozen, ``3 Σ c²`` of each image, ``(batch,)``.

    The distance of two is ``√(Σ (a - b)² / (3 Σ c²))``, c the coverage in the frame: if all of the object's pixels
    change by δ, it is δ.
    """

    unit = "RMS pixel of the object"

    def __init__(self, projection: Projection, size: int = 32):
        if size < 2:
            raise OptionError(f"size of appearance must be at least 2 pixels, got {size}")
        super().__init__(projection)
        self.size = size
        self.still: Tensor | None = None
        self.area: Tensor | None = None

    def __call__(self, images: Images) -> Values:
        """The object's pixels ``(batch, 3, size, size)`` in images ``(batch, 3, height, width)``."""
        return self._frame(images)[0]

    def hold(self, coverage: Tensor, traced: bool, images: Images) -> None:
        """Keep the object's area, and the frame itself where it cannot be differentiated."""
        self.still = None if traced else coverage
        self.area = 3 * frame(coverage, images, self.size)[1].flatten(1).square().sum(1)

    def _frame(self, images: Images) -> tuple[Tensor, Tensor]:
        coverage = self.projection.coverage(images) if self.still is None else self.still.to(images)
        return frame(coverage, images, self.size)

    def distance(self, a: Values, b: Values) -> Distances:
        """The RMS difference ``(batch,)`` of the object's pixels."""
        return ((a - b).flatten(1).square().sum(1) / self._area(a)).sqrt()

    def radius(self, distance: float, values: Values) -> Distances:
        """The Euclidean length ``(batch,)`` of pixels in the frame that amounts to `distance`."""
        return distance * self._area(values).sqrt().expand(values.shape[0])

    def _area(self, values: Values) -> Tensor:
        """``3 Σ c²`` of each row; unless frozen, that of a box that fills its share of the frame."""
        if self.area is None:
            return values.new_tensor(3 * (self.size / MARGIN) ** 2)
        return self.area.to(values)


def appearance(of: Projection, size: int = 32) -> Appearance:
    """The appearance of what the projection `of` covers, in its own frame of `size` pixels.

    Raises:
        OptionError: `size` is below 2.
    """
    return Appearance(of, size)
