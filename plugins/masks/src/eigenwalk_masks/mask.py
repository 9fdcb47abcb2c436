"""The pixels inside a mask.

    >>> import torch
    >>> from eigenwalk_masks.mask import mask
    >>> left = mask(box=(0, 0, 0.5, 1))
    >>> left(torch.ones(1, 3, 4, 4))[0, 0, 0]
    tensor([1., 1., 0., 0.])
    >>> left.complement()(torch.ones(1, 3, 4, 4))[0, 0, 0]
    tensor([0., 0., 1., 1.])

A mask m is an image of one channel in [0, 1], and the projection of an image is m times the image.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import FileError, OptionError, Undefined
from eigenwalk.feature import Projection
from eigenwalk.shapes import Distances, Images


class Mask(Projection):
    """The image times a mask m that does not depend on it; its distance is the RMS pixel inside the mask.

    The distance is ``√(Σ (m a - m b)² / (3 Σ m²))``: a change of every pixel by δ is a distance δ, however
    small the mask. A distance t is thus a Euclidean length ``t √(3 Σ m²)``.
    """

    unit = "RMS pixel inside the mask"

    def __init__(self, feather: float = 0.0, outside: bool = False):
        if not 0 <= feather < math.inf:
            raise OptionError(f"feather must be a number of pixels, 0 or more, got {feather}")
        self.feather, self.outside = feather, outside
        self._masks: dict[tuple[int, int, torch.dtype, torch.device], Tensor] = {}

    @abstractmethod
    def inside(self, height: int, width: int) -> Tensor:
        """The sharp mask ``(height, width)``, float64 in [0, 1], the share of each pixel that lies inside."""

    @abstractmethod
    def complement(self) -> Mask:
        """The pixels outside."""

    def __call__(self, images: Images) -> Images:
        """The images ``(batch, 3, height, width)``, black outside the mask."""
        return images * self.weights(images)

    def at(self, images: Images) -> Mask:
        """The mask itself, which does not depend on the images.

        Raises:
            Undefined: it is empty at their size.
        """
        self.weights(images)
        return self

    def weights(self, images: Images) -> Tensor:
        """The mask ``(height, width)`` in [0, 1] at the images' size, dtype and device.

        Raises:
            Undefined: the mask is empty.
        """
        height, width = images.shape[-2:]
        key = (height, width, images.dtype, images.device)
        if key not in self._masks:
            with torch.inference_mode(False):  # kept, and later differentiated through
                m = self.inside(height, width)
                m = _blurred(m, self.feather / 2) if self.feather else m
                m = 1 - m if self.outside else m
                if not m.max() > 1e-6:
                    raise Undefined(f"{self} is empty at {width} x {height} pixels: no pixel lies in it")
                self._masks[key] = m.to(images.device, images.dtype)
        return self._masks[key]

    def distance(self, a: Images, b: Images) -> Distances:
        """The RMS difference ``(batch,)`` of pixels inside the mask."""
        return (a - b).flatten(1).square().sum(1).div(self._area(a)).sqrt()

    def radius(self, distance: float, values: Images) -> Distances:
        """The Euclidean length ``(batch,)`` of masked pixels that amounts to `distance`."""
        return torch.full_like(values[:, 0, 0, 0], distance * math.sqrt(self._area(values)))

    def _area(self, values: Images) -> float:
        """``3 Σ m²``."""
        return values.shape[1] * float(self.weights(values).double().square().sum())


class BoxMask(Mask):
    """The pixels inside a box (x0, y0, x1, y1), shares of width and height from the top left.

    A pixel that the box cuts counts by the share of it that lies inside.
    """

    def __init__(self, box: Sequence[float], feather: float = 0.0, outside: bool = False):
        super().__init__(feather, outside)
        if len(box) != 4 or not all(0 <= side <= 1 for side in box):
            raise OptionError(f"box must be four numbers (x0, y0, x1, y1) from 0 to 1, got {tuple(box)}")
        x0, y0, x1, y1 = self.box = tuple(map(float, box))
        if x1 <= x0 or y1 <= y0:
            raise OptionError(f"box (x0, y0, x1, y1) is empty: x0 < x1 and y0 < y1 are needed, got {tuple(box)}")

    def inside(self, height: int, width: int) -> Tensor:
        """The share of each pixel that the box covers, ``(height, width)``."""
        x0, y0, x1, y1 = self.box
        return _covered(y0, y1, height)[:, None] * _covered(x0, x1, width)[None, :]

    def complement(self) -> BoxMask:
        """The pixels outside the box."""
        return BoxMask(self.box, self.feather, not self.outside)

    def __repr__(self) -> str:
        return f"the mask {'outside' if self.outside else 'inside'} box {self.box}"


class ImageMask(Mask):
    """The pixels where a mask image is white; `image` is ``(height, width)`` in [0, 1]."""

    def __init__(self, image: Tensor, name: str = "mask", feather: float = 0.0, outside: bool = False):
        super().__init__(feather, outside)
        self.image, self.name = image.double(), name

    def inside(self, height: int, width: int) -> Tensor:
        """The mask image averaged over each pixel, ``(height, width)``."""
        return F.interpolate(self.image[None, None], (height, width), mode="area")[0, 0]

    def complement(self) -> ImageMask:
        """The pixels where the mask image is black."""
        return ImageMask(self.image, self.name, self.feather, not self.outside)

    def __repr__(self) -> str:
        return f"the mask {'outside' if self.outside else 'inside'} {self.name}"


def mask(box: Sequence[float] | None = None, file: str | None = None, feather: float = 0.0) -> Mask:
    """The mask of a `box`, or of a mask image's `file`.

    Raises:
        OptionError: neither or both are given, or the box is empty or leaves the image.
        FileError: the file is missing or no image.
    """
    if (box is None) == (file is None):
        raise OptionError('mask needs a box or a file: mask(box=(0, 0, 0.5, 1)) or mask(file="mask.png")')
    if box is not None:
        return BoxMask(box, feather)
    assert file is not None
    return ImageMask(read(Path(file).expanduser()), file, feather)


def read(path: Path) -> Tensor:
    """The image at `path` as a mask ``(height, width)`` in [0, 1]: its luminance times its opacity.

    Raises:
        FileError: missing, or not an image that Pillow reads.
    """
    try:
        with Image.open(path) as image:
            if image.mode in ("I", "F", "I;16", "I;16B", "I;16L"):  # more than 8 bits: Pillow would clip them
                deep = np.asarray(image, np.float64)
                return torch.from_numpy(np.clip(deep / (65535 if deep.max() > 1 else 1), 0, 1))
            colour = np.asarray(image.convert("RGBA").convert("LA"), np.float64) / 255
    except FileNotFoundError:
        raise FileError(f"there is no mask image {str(path)!r} in {Path.cwd()}") from None
    except UnidentifiedImageError:
        raise FileError(f"{path} is not an image that Pillow reads: save the mask as a PNG") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FileError(f"the mask image {path} cannot be read: {error}") from error
    return torch.from_numpy(colour[..., 0] * colour[..., 1])


def _covered(start: float, end: float, pixels: int) -> Tensor:
    """The share ``(pixels,)`` of every pixel's side between `start` and `end`, shares of the whole side."""
    left = torch.arange(pixels, dtype=torch.float64)
    return ((left + 1).clamp(max=end * pixels) - left.clamp(min=start * pixels)).clamp(min=0)


def _blurred(m: Tensor, sigma: float) -> Tensor:
    """The mask ``(height, width)`` under a Gaussian of `sigma` pixels, borders repeated."""
    reach = max(1, math.ceil(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=m.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    wide = F.pad(m[None, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(wide, kernel[None, None, None, :]), kernel[None, None, :, None])[0, 0].clamp(0, 1)
