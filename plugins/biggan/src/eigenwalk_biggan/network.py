"""The generator of BigGAN and BigGAN-deep (Brock et al. 2019, arXiv 1809.11096, figures 15 and 16), in eval mode.

Weights are those after spectral normalisation, and batch norms have fixed statistics: both belong to the files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_biggan.configuration import Attention, Residual, Sizes


class ConditionalNorm(nn.Module):
    """Batch norm with fixed statistics, whose gain and bias are linear in a condition ``(batch, condition)``."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.mean, self.scale = _vector(channels), _vector(channels)
        self.gain = nn.Linear(condition, channels, bias=False)
        self.bias = nn.Linear(condition, channels, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """``(x - mean) scale (1 + gain(y)) + bias(y)``, as large as `x` ``(batch, channels, height, width)``."""
        gain = self.scale * (1 + self.gain(y))
        return (x - self.mean[:, None, None]) * gain[:, :, None, None] + self.bias(y)[:, :, None, None]


class Block(nn.Module):
    """A residual block of BigGAN: two convolutions, and one of size 1 beside them."""

    def __init__(self, sizes: Residual, condition: int) -> None:
        super().__init__()
        a, b = sizes.inputs, sizes.outputs
        self.doubles = sizes.doubles
        self.norms = nn.ModuleList([ConditionalNorm(a, condition), ConditionalNorm(b, condition)])
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)])
        self.shortcut = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``(batch, outputs, height', width')`` of `x` ``(batch, inputs, height, width)``."""
        h = F.relu(self.norms[0](x, y))
        h = self.convs[0](_double(h) if self.doubles else h)
        h = self.convs[1](F.relu(self.norms[1](h, y)))
        # A convolution of size 1 and nearest neighbours commute: before them it costs a quarter.
        x = self.shortcut(x)
        return h + (_double(x) if self.doubles else x)


class DeepBlock(nn.Module):
    """A residual block of BigGAN-deep: a bottleneck of four convolutions; the shortcut drops the last channels."""

    def __init__(self, sizes: Residual, condition: int) -> None:
        super().__init__()
        a, b, inner = sizes.inputs, sizes.outputs, sizes.hidden
        assert inner is not None
        self.doubles, self.kept = sizes.doubles, b
        self.norms = nn.ModuleList(ConditionalNorm(width, condition) for width in (a, inner, inner, inner))
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(a, inner, 1),
                nn.Conv2d(inner, inner, 3, padding=1),
                nn.Conv2d(inner, inner, 3, padding=1),
                nn.Conv2d(inner, b, 1),
            ]
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``(batch, outputs, height', width')`` of `x` ``(batch, inputs, height, width)``."""
        h = x
        for i, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            h = F.relu(norm(h, y))
            h = conv(_double(h) if self.doubles and i == 1 else h)
        x = x[:, : self.kept]
        return h + (_double(x) if self.doubles else x)


class SelfAttention(nn.Module):
    """Attention of every pixel to a pooled image (Zhang et al. 2019, arXiv 1805.08318), times a learned gamma."""

    def __init__(self, sizes: Attention) -> None:
        super().__init__()
        self.query = nn.Conv2d(sizes.channels, sizes.keys, 1, bias=False)
        self.key = nn.Conv2d(sizes.channels, sizes.keys, 1, bias=False)
        self.value = nn.Conv2d(sizes.channels, sizes.values, 1, bias=False)
        self.output = nn.Conv2d(sizes.values, sizes.channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> Tensor:
        """``x + gamma output(values softmax(queryᵀ keys)ᵀ)``, as large as `x`; keys and values are 2 x 2 maxima."""
        query = self.query(x).flatten(2)
        key, value = (F.max_pool2d(part(x), 2).flatten(2) for part in (self.key, self.value))
        weights = (query.transpose(1, 2) @ key).softmax(-1)
        found = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.output(found)


class Network(nn.Module):
    """z ``(batch, z_dim)`` and embeddings ``(batch, embedding)`` to images ``(batch, 3, side, side)`` in [-1, 1]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        first, last = sizes.channels
        self.first = nn.Linear(sizes.inputs, first * sizes.bottom**2)
        self.layers = nn.ModuleList(_layer(layer, sizes.condition) for layer in sizes.layers)
        self.scale, self.shift = _vector(last), _vector(last)
        self.rgb = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, z: Tensor, embedding: Tensor) -> Tensor:
        """Images; see the class."""
        start, conditions = self._split(z, embedding)
        x = self.first(start).unflatten(1, (-1, self.sizes.bottom, self.sizes.bottom))
        waiting = iter(conditions)
        for layer in self.layers:
            x = layer(x) if isinstance(layer, SelfAttention) else layer(x, next(waiting))
        x = F.relu(x * self.scale[:, None, None] + self.shift[:, None, None])
        return self.rgb(x).tanh()

    def _split(self, z: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the first layer takes, and what each block takes."""
        way, blocks = self.sizes.way, self.sizes.blocks
        if way == "plain":
            return z, [embedding] * blocks
        if way == "joint":
            both = torch.cat([embedding, z], 1)
            return both, [both] * blocks
        first, *others = z.split(self.sizes.chunk, 1)
        return first, [torch.cat([embedding, chunk], 1) for chunk in others]


def _layer(sizes: Residual | Attention, condition: int) -> nn.Module:
    if isinstance(sizes, Attention):
        return SelfAttention(sizes)
    return Block(sizes, condition) if sizes.hidden is None else DeepBlock(sizes, condition)


def _vector(size: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(size))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
