"""Radial frequency bands of an image.

    >>> import torch
    >>> from eigenwalk_fourier.bands import high, low
    >>> images = torch.rand(2, 3, 48, 64)
    >>> low(8)(images).shape
    torch.Size([2, 3, 48, 64])
    >>> torch.allclose(low(8)(images) + high(8)(images), images, atol=1e-5)
    True

Frequency is radial, in cycles along the image's shorter side: ``r = S √(u² + v²)`` with u, v in cycles per
pixel and S the shorter side in pixels, so that a period of S/8 pixels is 8 cycles in whichever direction.
The transform treats the image as periodic: what touches one border leaks a little across the opposite one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk.feature import Projection, promote_half
from eigenwalk.shapes import Images


class Band(Projection):
    """The frequencies between `bottom` and `top` cycles along the shorter side; with `rest`, all the others.

    The response is ``L(r; top) - L(r; bottom)``, with L the response of a low-pass filter:

        ideal    L(r; c) = 1 where r <= c, else 0
        smooth   L(r; c) = ½ (1 + cos π clamp(log2(r/c) / width + ½, 0, 1))

    so neighbouring bands add up to the image, whatever the edge. L is real and depends on r alone: the
    filter is linear and its own adjoint.
    """

    def __init__(self, bottom: float, top: float, edge: str = "smooth", width: float = 1.0, rest: bool = False):
        if not 0 <= bottom < top:
            raise OptionError(f"a band needs 0 <= low < high cycles, got low={bottom} and high={top}")
        if edge not in ("smooth", "ideal"):
            raise OptionError(f"edge must be smooth or ideal, got {edge!r}")
        if not 0 < width < math.inf:
            raise OptionError(f"width must be a positive number of octaves, got {width}")
        self.bottom, self.top, self.edge, self.width, self.rest = bottom, top, edge, width, rest
        self._responses: dict[tuple[int, int, torch.dtype, torch.device], Tensor] = {}

    def complement(self) -> Band:
        """Return all the other frequencies."""
        return Band(self.bottom, self.top, self.edge, self.width, not self.rest)

    def __call__(self, images: Images) -> Images:
        """Filter images ``(batch, 3, height, width)`` to this band; the mean becomes 0 unless the band holds 0."""
        height, width = images.shape[-2:]
        exact = promote_half(images)
        spectrum = torch.fft.rfft2(exact) * self.response(height, width, exact.dtype, exact.device)
        return torch.fft.irfft2(spectrum, s=(height, width)).to(images.dtype)

    def at(self, images: Images) -> Band:
        """Return the band itself, which does not depend on the images.

        Raises:
            OptionError: images of this size have no frequency in it.
        """
        self(images[:1])
        return self

    def response(self, height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the response ``(height, width // 2 + 1)`` in [0, 1], computed once for each shape, dtype and device.

        Raises:
            OptionError: an image of this size has no frequency in the band.
        """
        key = (height, width, dtype, device)
        if key not in self._responses:
            with torch.inference_mode(False):  # kept, and later differentiated through
                u = torch.fft.rfftfreq(width, dtype=torch.float64)
                v = torch.fft.fftfreq(height, dtype=torch.float64)
                r = min(height, width) * torch.hypot(v[:, None], u[None, :])
                kept = self._below(r, self.top) - self._below(r, self.bottom)
                kept = 1 - kept if self.rest else kept
                if not kept.max() > 0:
                    raise OptionError(
                        f"{self} keeps nothing of an image of {width} x {height}, whose highest frequency is "
                        f"{r.max():.4g} cycles along the shorter side"
                    )
                self._responses[key] = kept.to(device, dtype)
        return self._responses[key]

    def _below(self, r: Tensor, cycles: float) -> Tensor:
        """L(r; cycles)."""
        if cycles in (0, math.inf):
            return torch.full_like(r, float(cycles == math.inf))
        if self.edge == "ideal":
            return (r <= cycles).to(r.dtype)
        fall = (torch.log2(r / cycles) / self.width + 0.5).clamp(0, 1)
        return (1 + torch.cos(math.pi * fall)) / 2

    def __repr__(self) -> str:
        return f"{'all but ' if self.rest else ''}the band from {self.bottom:g} to {self.top:g} cycles"


def low(cycles: float = 8.0, edge: str = "smooth", width: float = 1.0) -> Band:
    """Return the frequencies below `cycles`, including the mean."""
    return Band(0, _positive(cycles), edge, width)


def high(cycles: float = 8.0, edge: str = "smooth", width: float = 1.0) -> Band:
    """Return the frequencies above `cycles`: the image minus `low(cycles)`."""
    return Band(_positive(cycles), math.inf, edge, width)


def band(low: float, high: float, edge: str = "smooth", width: float = 1.0) -> Band:
    """Return the frequencies from `low` to `high` cycles; low(a) + band(a, b) + high(b) is the image."""
    return Band(_positive(low), high, edge, width)


def _positive(cycles: float) -> float:
    if not 0 < cycles < math.inf:
        raise OptionError(f"cycles must be a positive number, got {cycles}")
    return cycles
