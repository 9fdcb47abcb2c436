"""Images that a feature can be measured on where nobody gives any."""

from __future__ import annotations

import math

import torch

from eigenwalk.shapes import Images

WAVES = 12


def smooth_images(n: int, height: int, width: int | None = None, seed: int = 0) -> Images:
    """Return `n` random images ``(n, 3, height, width)``, float32 in [0.1, 0.9], the same on every machine.

    Sums of plane waves ``a cos(2π (u x + v y) + φ)`` whose amplitude falls with their frequency, as a photograph's
    does. They are computed in float64 from uniform numbers and rounded to float32 at the end, so that two machines'
    cosines, which differ in the last place, give the same images.

    >>> smooth_images(2, 32, 48).shape
    torch.Size([2, 3, 32, 48])
    """
    width = height if width is None else width
    random = torch.Generator().manual_seed(seed)
    y = (torch.arange(height, dtype=torch.float64) + 0.5) / height
    x = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    # Half of the waves are coarse, half reach a quarter of the pixels' rate.
    reach = torch.where(torch.arange(WAVES) < WAVES // 2, 3.0, max(3.0, min(height, width) / 4)).double()
    u, v = (((2 * torch.rand(n, WAVES, generator=random, dtype=torch.float64) - 1) * reach) for _ in range(2))
    drawn = torch.rand(n, 3, WAVES, 2, generator=random, dtype=torch.float64)
    amplitude = (drawn[..., 0] - 0.5) / (1 + torch.hypot(u, v))[:, None]
    phase = u[..., None, None] * x + v[..., None, None] * y[:, None]
    waves = torch.cos(2 * math.pi * (phase[:, None] + drawn[..., 1, None, None]))
    images = (amplitude[..., None, None] * waves).sum(2)
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return (0.1 + 0.8 * (images - low) / (high - low)).float()
