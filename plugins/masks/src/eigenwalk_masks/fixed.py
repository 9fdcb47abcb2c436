"""Masks that do not depend on the image: a box, a picture of a mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import Undefined
from eigenwalk.feature import check_box
from eigenwalk.shapes import Images
from eigenwalk_masks.edges import apply_edge, check_edge
from eigenwalk_masks.masked import Masked


class FixedMask(Masked):
    """A mask that is the same for every image of one size, `name` in messages."""

    def __init__(self, name: str, erode: float = 0.0, feather: float = 0.0, outside: bool = False):
        check_edge(erode, feather)
        self.name, self.erode, self.feather, self.outside = name, erode, feather, outside
        self._masks: dict[tuple[int, int, torch.dtype, torch.device], Tensor] = {}

    @abstractmethod
    def inside(self, height: int, width: int) -> Tensor:
        """The sharp mask ``(height, width)``, float64 in [0, 1]: the share of each pixel that lies inside."""

    @abstractmethod
    def complement(self) -> Self:
        """The pixels outside."""

    def at(self, images: Images) -> Self:
        """The mask itself, which does not depend on the images.

        Raises:
            Undefined: it is empty at their size.
        """
        self.masks(images)
        return self

    def masks(self, images: Images) -> Tensor:
        """The mask ``(1, 1, height, width)`` in [0, 1] at the images' size, dtype and device.

        Raises:
            Undefined: the mask is empty.
        """
        height, width = images.shape[-2:]
        key = (height, width, images.dtype, images.device)
        if key not in self._masks:
            with torch.inference_mode(False):  # kept, and later differentiated through
                m = apply_edge(self.inside(height, width)[None, None], self.erode, self.feather)
                m = 1 - m if self.outside else m
                if not m.max() > 1e-6:
                    raise Undefined(f"{self} is empty at {width} x {height} pixels: no pixel lies in it")
                self._masks[key] = m.to(images.device, images.dtype)
        return self._masks[key]

    def __repr__(self) -> str:
        return f"the mask {'outside' if self.outside else 'inside'} {self.name}"


class BoxMask(FixedMask):
    """The pixels inside a box (x0, y0, x1, y1), shares of width and height from the top left.

    A pixel that the box cuts counts by its share inside.
    """

    def __init__(self, box: Sequence[float], erode: float = 0.0, feather: float = 0.0, outside: bool = False):
        self.box = check_box(box)
        super().__init__(f"box {self.box}", erode, feather, outside)

    def inside(self, height: int, width: int) -> Tensor:
        """The share of each pixel that the box covers, ``(height, width)``."""
        x0, y0, x1, y1 = self.box
        return _covered(y0, y1, height)[:, None] * _covered(x0, x1, width)[None, :]

    def complement(self) -> BoxMask:
        """The pixels outside the box."""
        return BoxMask(self.box, self.erode, self.feather, not self.outside)


class ImageMask(FixedMask):
    """The pixels where a mask image ``(height, width)`` in [0, 1] is white."""

    def __init__(
        self, image: Tensor, name: str = "mask", erode: float = 0.0, feather: float = 0.0, outside: bool = False
    ):
        super().__init__(name, erode, feather, outside)
        self.image = image.double()

    def inside(self, height: int, width: int) -> Tensor:
        """The mask image averaged over each pixel, ``(height, width)``."""
        return F.interpolate(self.image[None, None], (height, width), mode="area")[0, 0]

    def complement(self) -> ImageMask:
        """The pixels where the mask image is black."""
        return ImageMask(self.image, self.name, self.erode, self.feather, not self.outside)


def _covered(start: float, end: float, pixels: int) -> Tensor:
    """The share ``(pixels,)`` of each pixel's side between `start` and `end`, shares of the whole side."""
    left = torch.arange(pixels, dtype=torch.float64)
    return ((left + 1).clamp(max=end * pixels) - left.clamp(min=start * pixels)).clamp(min=0)
