"""The image itself, and the image in grey.

>>> import torch
>>> from eigenwalk_pixels.pixels import Luminance, Pixels
>>> images = torch.rand(2, 3, 32, 48)
>>> Pixels()(images).shape, Pixels(size=8)(images).shape, Luminance()(images).shape
(torch.Size([2, 3, 32, 48]), torch.Size([2, 3, 8, 12]), torch.Size([2, 3, 32, 48]))
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.feature import Projection
from eigenwalk.shapes import Images, Values

REC709 = (0.2126, 0.7152, 0.0722)
"""Luminance of red, green and blue (ITU-R BT.709), applied to the image's own gamma-coded values."""


class Pixels(Projection):
    """The image itself, or averaged down to a shorter side of `size` pixels."""

    def __init__(self, size: int | None = None):
        if size is not None and size < 1:
            raise OptionError(f"size must be at least 1 pixel, got {size}")
        self.size = size

    def __call__(self, images: Images) -> Values:  # an image, of another size
        """Return the images ``(batch, 3, rows, columns)``, each pixel the mean of those that it covers.

        Raises:
            OptionError: the images are smaller than `size`.
        """
        if self.size is None:
            return images
        height, width = images.shape[-2:]
        short = min(height, width)
        if self.size > short:
            raise OptionError(f"size must be at most the image's shorter side, {short}, got {self.size}")
        smaller = (round(height * self.size / short), round(width * self.size / short))
        return F.interpolate(images, smaller, mode="area")

    def complement(self) -> Projection:
        """Raise CompositionError: the complement is empty, or has another size than the image."""
        left = "leaves nothing out" if self.size is None else "has another size than the image"
        raise CompositionError(f"~pixels has no meaning: pixels {left}; for the fine detail write fourier.high")


class Luminance(Projection):
    """The image in grey, on all three channels; its complement is the image's colour.

    Grey is ``w · (R, G, B)`` with Rec. 709 weights w, which sum to 1, so that a grey image is its own luminance.
    """

    def __call__(self, images: Images) -> Images:
        """Return the grey images ``(batch, 3, height, width)``."""
        weights = torch.tensor(REC709, dtype=images.dtype, device=images.device)[:, None, None]
        return (images * weights).sum(-3, keepdim=True).expand(images.shape)
