"""StyleGAN3's filters, from the formulas of its paper (arXiv 2106.12423, section 2.2 and appendix C)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CPU = torch.device("cpu")
"""Filters are numbers, wherever networks are built: under another default device too, such as torch's meta device."""


def kaiser(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """Return a low-pass filter ``(taps,)`` of sum 1: an ideal one, cut off at `cutoff`, under a Kaiser window.

    h[n] = 2 (f_c / s) sinc(2 f_c n / s) w_K[n] with n from -(taps - 1) / 2. `width` is that of the transition band;
    it sets the window's β. Frequencies are in the unit of the sampling `rate`. float64.

    >>> f = kaiser(12, cutoff=4.0, width=6.0, rate=32)
    >>> f.shape, round(float(f.sum()), 6), bool(torch.allclose(f, f.flip(0)))
    (torch.Size([12]), 1.0, True)
    """
    n = torch.arange(taps, dtype=torch.float64, device=CPU) - (taps - 1) / 2
    f = torch.sinc(2 * cutoff / rate * n) * _window(taps, width, rate)
    return f / f.sum()


def jinc(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """A radially symmetric low-pass filter ``(taps, taps)`` of sum 1: J1(2 π f_c r) / (π r) under a Kaiser window.

    >>> f = jinc(12, cutoff=4.0, width=6.0, rate=32)
    >>> f.shape, round(float(f.sum()), 6), bool(torch.allclose(f, f.T))
    (torch.Size([12, 12]), 1.0, True)
    """
    x = (torch.arange(taps, dtype=torch.float64, device=CPU) - (taps - 1) / 2) / rate
    r = torch.hypot(x[:, None], x[None]).clamp_min(1e-12 / rate)  # at 0, for odd taps: the limit f_c
    window = _window(taps, width, rate)
    f = torch.special.bessel_j1(2 * math.pi * cutoff * r) / (math.pi * r) * torch.outer(window, window)
    return f / f.sum()


def _window(taps: int, width: float, rate: float) -> Tensor:
    """Return the Kaiser window whose filter falls over `width` (Kaiser's estimates of attenuation and β)."""
    attenuation = 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    t = torch.arange(taps, dtype=torch.float64, device=CPU) / max(1, taps - 1) * 2 - min(1, taps - 1)
    top = torch.special.i0(torch.tensor(beta, dtype=torch.float64, device=CPU))
    return torch.special.i0(beta * torch.sqrt((1 - t.square()).clamp_min(0))) / top
