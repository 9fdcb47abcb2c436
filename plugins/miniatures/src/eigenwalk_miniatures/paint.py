"""Shapes, colours and compositing shared by every miniature; knows no scene.

Coordinates: x runs from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom), lengths are shares of
the image side. Every quantity of a scene is a tensor `(batch, 1, 1)`; grids are `(1, 1, width)` and
`(1, height, 1)`, so that a shape broadcasts to `(batch, height, width)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Size: TypeAlias = Tensor | float
"""A length or place: one for the whole batch, or `(batch, 1, 1)`."""

EDGE = 1.4
"""Width of a soft edge in pixels: below 1 an edge flickers as a part moves by less than a pixel."""


@dataclass(frozen=True)
class Grid:
    """Pixel centres of a square image: `x (1, 1, width)`, `y (1, height, 1)`, `pixel` = 1 / side."""

    x: Tensor
    y: Tensor
    pixel: float

    @classmethod
    def square(cls, resolution: int, like: Tensor) -> Grid:
        """The grid of a `resolution` x `resolution` image, in dtype and device of `like`."""
        centres = (torch.arange(resolution, dtype=like.dtype, device=like.device) + 0.5) / resolution
        return cls(centres.view(1, 1, -1), centres.view(1, -1, 1), 1.0 / resolution)

    def cover(self, distance: Tensor) -> Tensor:
        """Share of each pixel covered, in [0, 1], by the shape of signed `distance` (inside < 0)."""
        t = (0.5 - distance / (EDGE * self.pixel)).clamp(0, 1)
        return t * t * (3 - 2 * t)

    def colour(self, lightness: Size, chroma: Size, hue: Size) -> Tensor:
        """`oklch` in dtype and device of the grid."""
        return oklch(lightness, chroma, hue, like=self.x)


@dataclass(frozen=True)
class Layer:
    """One coat of paint: `part` owns the pixels it covers.

    `alpha (batch, height, width)` in [0, 1]; `colour (batch, 3, height, width)`, broadcastable.
    """

    part: str
    alpha: Tensor
    colour: Tensor


@dataclass(frozen=True)
class Shade:
    """Light or shadow on everything painted so far; it owns no pixel.

    `gain (batch, 1 or 3, height, width)` multiplies the colours beneath.
    """

    gain: Tensor


def composite(coats: Sequence[Layer | Shade], parts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Images `(batch, 3, height, width)` in [0, 1] and visible masks `(batch, parts, height, width)`.

    The mask of a part is the sum over its layers of alpha times the product of (1 - alpha) of all
    layers above ("over", Porter and Duff 1984, section 4): masks of a scene with an opaque first
    layer sum to 1 at every pixel.
    """
    first = coats[0]
    if not isinstance(first, Layer):
        raise ValueError("composite: the first coat must be a Layer that covers the image, got a Shade")
    index = {part: i for i, part in enumerate(parts)}
    canvas = torch.zeros_like(first.alpha).unsqueeze(1).repeat(1, 3, 1, 1)
    masks = torch.zeros_like(first.alpha).unsqueeze(1).repeat(1, len(parts), 1, 1)
    for coat in coats:
        if isinstance(coat, Shade):
            canvas = canvas * coat.gain
            continue
        alpha = coat.alpha.unsqueeze(1)
        canvas = canvas + alpha * (coat.colour - canvas)
        masks = masks * (1 - alpha)
        masks[:, index[coat.part]] += coat.alpha
    return canvas.clamp(0, 1), masks


def box(g: Grid, x: Size, y: Size, half_width: Size, half_height: Size, corner: Size = 0.0) -> Tensor:
    """Signed distance `(batch, height, width)` to a rectangle centred at (x, y), corners rounded."""
    dx = (g.x - x).abs() - half_width + corner
    dy = (g.y - y).abs() - half_height + corner
    outside = torch.sqrt(dx.clamp(min=0) ** 2 + dy.clamp(min=0) ** 2 + 1e-12)
    return outside + torch.maximum(dx, dy).clamp(max=0) - corner


def ellipse(g: Grid, x: Size, y: Size, half_width: Size, half_height: Size) -> Tensor:
    """Signed distance to an axis-parallel ellipse, to first order: (q - 1) q / |grad q²/2|."""
    u, v = (g.x - x) / half_width, (g.y - y) / half_height
    q = torch.sqrt(u**2 + v**2 + 1e-12)
    slope = torch.sqrt((u / half_width) ** 2 + (v / half_height) ** 2 + 1e-12)
    return q * (q - 1) / slope


def trapezium(g: Grid, x: Size, top: Size, bottom: Size, half_top: Size, half_bottom: Size) -> Tensor:
    """Signed distance (inside exact to first order) to a trapezium symmetric about `x`."""
    share = (g.y - top) / (bottom - top)
    half = half_top + (half_bottom - half_top) * share
    lean = (1 + ((half_bottom - half_top) / (bottom - top)) ** 2) ** 0.5
    side = ((g.x - x).abs() - half) / lean
    return torch.maximum(side, torch.maximum(top - g.y, g.y - bottom))


def glow(g: Grid, x: Size, y: Size, half_width: Size, half_height: Size) -> Tensor:
    """A Gaussian spot in (0, 1], `(batch, height, width)`, with the given standard deviations."""
    return torch.exp(-0.5 * (((g.x - x) / half_width) ** 2 + ((g.y - y) / half_height) ** 2))


def oklch(lightness: Size, chroma: Size, hue: Size, like: Tensor) -> Tensor:
    """sRGB in [0, 1], `(batch, 3, 1, 1)`, or `(1, 3, 1, 1)` if all are numbers, of a colour in OKLCh; `hue` in degrees.

    OKLab (Ottosson 2020, "A perceptual color space for image processing"): equal lightness looks
    equally light at every hue, so any two hues at low chroma go together. Out-of-gamut is clipped.
    Numbers take dtype and device of `like`.
    """
    lightness, chroma, hue = (
        torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (lightness, chroma, hue)
    )
    angle = hue * (math.pi / 180)
    lightness, a, b = torch.broadcast_tensors(
        lightness.view(-1, 1, 1), chroma * torch.cos(angle).view(-1, 1, 1), chroma * torch.sin(angle).view(-1, 1, 1)
    )
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = torch.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        dim=1,
    ).clamp(1e-6, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
