"""StyleGAN3's synthesis, written from the paper (Karras et al. 2021, arXiv 2106.12423).

Layers are numbered as in w+: layer 0 makes the Fourier features, the last one the image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_stylegan.configuration import Layer, StyleGAN3
from eigenwalk_stylegan.filters import jinc, kaiser
from eigenwalk_stylegan.layers import GAIN, Dense, MappingNetwork, demodulation, scale_channels
from eigenwalk_stylegan.resample import lower_rate, raise_rate


class FourierFeatures(nn.Module):
    """Waves of fixed frequencies and phases, rotated and translated according to w (section 3.2 and appendix F)."""

    def __init__(self, sizes: StyleGAN3, first: Layer) -> None:
        super().__init__()
        channels = first.inputs
        self.size, self.rate, self.bandwidth = first.input_size, first.input_rate, first.input_cutoff
        self.style = Dense(sizes.mapping.w_dim, 4)
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.frequencies: Tensor
        self.phases: Tensor
        self.transform: Tensor
        self.register_buffer("frequencies", torch.empty(channels, 2))
        self.register_buffer("phases", torch.empty(channels))
        self.register_buffer("transform", torch.empty(3, 3))

    def forward(self, style: Tensor) -> Tensor:
        """Return ``(batch, channels, size, size)`` for `style` ``(batch, 4)``: (cos, sin) of a rotation, and (x, y)."""
        t = style / style[:, :2].square().sum(1, keepdim=True).sqrt()
        turn = torch.stack([torch.stack([t[:, 0], -t[:, 1]], 1), torch.stack([t[:, 1], t[:, 0]], 1)], 1)
        # First turned, then moved, then what the user of the file asked for: R (U p + u - m), of the point p.
        matrix = turn @ self.transform[:2, :2]
        moved = turn @ (self.transform[:2, 2] - t[:, 2:])[:, :, None]
        phases = self.phases + (self.frequencies @ moved)[:, :, 0]
        frequencies = self.frequencies @ matrix
        length = frequencies.square().sum(2).clamp_min(1e-24).sqrt()
        amplitude = (1 - (length - self.bandwidth) / (self.rate / 2 - self.bandwidth)).clamp(0, 1)
        place = torch.arange(self.size, device=style.device, dtype=style.dtype)
        place = (place + 0.5 - self.size / 2) / self.rate
        across = frequencies[:, :, 0, None, None] * place + phases[:, :, None, None]
        wave = torch.sin(2 * math.pi * (across + frequencies[:, :, 1, None, None] * place[:, None]))
        weight = self.weight / math.sqrt(self.weight.shape[0])
        return F.conv2d(scale_channels(wave, amplitude), weight[:, :, None, None])


def design(sizes: StyleGAN3, at: Layer) -> tuple[int, int, Tensor, Tensor]:
    """Return the factors of a layer's change of rate, and its filters ``(taps,)``, or ``(taps, taps)`` if radial.

    The rate between them is the higher of the two, times `oversampling`. Where the rate stays, the filter is (1,).
    """
    rate = max(at.input_rate, at.output_rate) * (1 if at.rgb else sizes.oversampling)
    up, down = rate // at.input_rate, rate // at.output_rate
    rising = sizes.taps * up if up > 1 and not at.rgb else 1
    falling = sizes.taps * down if down > 1 and not at.rgb else 1
    lower = jinc if sizes.radial and not at.critical and falling > 1 else kaiser
    return (
        up,
        down,
        kaiser(rising, at.input_cutoff, 2 * at.input_half_width, rate),
        lower(falling, at.output_cutoff, 2 * at.output_half_width, rate),
    )


class FilteredLayer(nn.Module):
    """A modulated convolution and a leaky ReLU at a higher rate, between two low-pass filters (section 3.2)."""

    def __init__(self, sizes: StyleGAN3, at: Layer) -> None:
        super().__init__()
        self.at, self.clamp = at, sizes.clamp
        kernel = 1 if at.rgb else sizes.kernel
        self.style = Dense(sizes.mapping.w_dim, at.inputs)
        self.weight = nn.Parameter(torch.empty(at.outputs, at.inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(at.outputs))
        self.magnitude: Tensor
        self.register_buffer("magnitude", torch.empty(()))
        self.up, self.down, rising, falling = design(sizes, at)
        self.rising: Tensor
        self.falling: Tensor
        self.register_buffer("rising", rising.float(), persistent=False)
        self.register_buffer("falling", falling.float(), persistent=False)
        up, down = rising.shape[-1], falling.shape[-1]
        # Sides so that the output has its size; samples stand in the middle of their cells (appendix C.3).
        total = (at.output_size - 1) * self.down + 1 - (at.input_size + kernel - 1) * self.up + up + down - 2
        self.before = (total + self.up) // 2
        self.after = total - self.before

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return ``(batch, outputs, size, size)`` of `x` and `style` ``(batch, inputs)``."""
        weight, gain = self.weight, torch.rsqrt(self.magnitude)
        if self.at.rgb:
            x = F.conv2d(scale_channels(x, style * (gain / math.sqrt(self.at.inputs))), weight)
        else:
            weight = weight * torch.rsqrt(weight.square().mean((1, 2, 3), keepdim=True))
            style = style * torch.rsqrt(style.square().mean(1, keepdim=True))
            x = F.conv2d(scale_channels(x, style * gain), weight, padding=weight.shape[-1] - 1)
            x = scale_channels(x, demodulation(weight, style))
        x = self._raise(x + self.bias[:, None, None])
        if not self.at.rgb:
            x = F.leaky_relu(x, 0.2) * GAIN
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp)
        return self._lower(x)

    def _raise(self, x: Tensor) -> Tensor:
        """Raise the rate of `x`: insert zeros between samples, low-pass, crop or pad."""
        taps = len(self.rising)
        if taps == 1:
            return F.pad(x, (self.before, self.after) * 2)
        x = raise_rate(x, self.rising * self.up, self.up)
        # The zeros after the last sample count as samples; the filter takes taps - 1 from what is padded.
        cut = taps - 1
        return F.pad(x, (self.before - cut, self.after - cut + self.up - 1) * 2)

    def _lower(self, x: Tensor) -> Tensor:
        """Lower the rate of `x`: low-pass, and keep every `down`-th sample."""
        return x if self.falling.shape == (1,) else lower_rate(x, self.falling, self.down)


class Network(nn.Module):
    """Latents to images in about [-1, 1]."""

    def __init__(self, sizes: StyleGAN3) -> None:
        super().__init__()
        self.sizes = sizes
        self.mapping = MappingNetwork(sizes.mapping)
        self.input = FourierFeatures(sizes, sizes.plan[0])
        self.layers = nn.ModuleList(FilteredLayer(sizes, at) for at in sizes.plan)

    def affines(self) -> list[tuple[int, Dense]]:
        """Return every style's layer in w+ and the map from w to it, in the order of computation."""
        return list(enumerate([self.input.style, *(layer.style for layer in self.layers)]))  # type: ignore[list-item]

    def synthesise(self, styles: list[Tensor], noise: bool = True) -> Tensor:
        """Return images ``(batch, 3, side, side)`` from the styles that `affines` lists; StyleGAN3 has no noise."""
        x = self.input(styles[0])
        for layer, style in zip(self.layers, styles[1:], strict=True):
            x = layer(x, style)
        return x * self.sizes.scale
