"""The edge of a soft mask: moved inwards, and faded."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import OptionError


def check_edge(erode: float, feather: float) -> None:
    """Raise OptionError unless both are numbers of pixels."""
    for name, pixels in (("erode", erode), ("feather", feather)):
        if not 0 <= pixels < math.inf:
            raise OptionError(f"{name} must be a number of pixels, 0 or more, got {pixels}")


def apply_edge(masks: Tensor, erode: float, feather: float) -> Tensor:
    """Shrink masks ``(batch, 1, height, width)`` in [0, 1] by `erode` pixels, then fade them over `feather` pixels.

    The image's border is no edge: masks go on beyond it. The minimum over a disc shrinks a mask, and a Gaussian of
    standard deviation `feather` / 2 fades it.
    """
    if erode:
        masks = _erode(masks, erode)
    return _blur(masks, feather / 2) if feather else masks


def _erode(masks: Tensor, radius: float) -> Tensor:
    """Take the minimum over each pixel's neighbours within `radius`, row by row of the disc."""
    reach = math.floor(radius)
    height, minimum = masks.shape[-2], masks
    wide = F.pad(-masks, (0, 0, reach, reach), value=-math.inf)
    for dy in range(-reach, reach + 1):
        half = math.floor(math.sqrt(radius**2 - dy**2))
        row = wide[..., reach + dy : reach + dy + height, :]
        minimum = torch.minimum(minimum, -F.max_pool2d(row, (1, 2 * half + 1), 1, (0, half)))
    return minimum


def _blur(masks: Tensor, sigma: float) -> Tensor:
    """Convolve the masks with a Gaussian of `sigma` pixels, their borders repeated."""
    reach = max(1, math.ceil(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=masks.dtype, device=masks.device)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    wide = F.pad(masks, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(wide, kernel[None, None, None, :]), kernel[None, None, :, None]).clamp(0, 1)
