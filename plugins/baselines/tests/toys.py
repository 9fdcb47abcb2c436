"""Generators whose answers are known, and what a method sees at their latents."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from eigenwalk.errors import Undefined
from eigenwalk.generator import FunctionGenerator

Function = Callable[[Tensor], Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def waves(*shape: int, phase: float = 0.0) -> Tensor:
    """Numbers of a formula that any language can repeat, about as large as normal ones, float64."""
    n = torch.arange(math.prod(shape), dtype=torch.float64) + 1
    return (math.sqrt(2) * torch.sin(n * n * math.sqrt(2) + n + phase)).view(shape)


class Dense(nn.Module):
    """A linear layer with equalised learning rate, as StyleGANs have."""

    def __init__(self, inputs: int, outputs: int, phase: float):
        super().__init__()
        self.weight = nn.Parameter(waves(outputs, inputs, phase=phase))
        self.bias = nn.Parameter(waves(outputs, phase=phase + 0.5))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight * self.scale, self.bias)


class Styled(nn.Module):
    """A convolution whose inputs a style scales, as StyleGAN's."""

    def __init__(self, width: int, w_dim: int, phase: float):
        super().__init__()
        self.style = Dense(w_dim, width, phase)
        self.weight = nn.Parameter(waves(width, width, 3, 3, phase=phase + 0.3) / (3 * math.sqrt(width)))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.style(w)[:, :, None, None]
        return nn.functional.leaky_relu(nn.functional.conv2d(x * (1 + style), self.weight, padding=1), 0.2)


class Style(nn.Module):
    """A StyleGAN in small: z normalised, mapped to w, read by four styled convolutions; images 8 x 8."""

    def __init__(self, z_dim: int = 8, w_dim: int = 10, width: int = 6, layers: int = 4):
        super().__init__()
        self.z_dim, self.w_dim = z_dim, w_dim
        self.mapping = nn.ModuleList([Dense(z_dim, w_dim, 1.0), Dense(w_dim, w_dim, 2.0)])
        self.constant = nn.Parameter(waves(1, width, 8, 8, phase=3.0))
        self.convs = nn.ModuleList(Styled(width, w_dim, 4.0 + i) for i in range(layers))
        self.rgb = nn.Conv2d(width, 3, 1)
        self.rgb.weight = nn.Parameter(waves(3, width, 1, 1, phase=9.0))
        self.rgb.bias = nn.Parameter(waves(3, phase=9.5))
        self.requires_grad_(False)

    def map(self, z: Tensor) -> Tensor:
        """w ``(batch, w_dim)``."""
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            w = nn.functional.leaky_relu(layer(w), 0.2) * math.sqrt(2)
        return w

    def synthesise(self, w: Tensor) -> Tensor:
        """Images of w ``(batch, layers, w_dim)``."""
        x = self.constant.expand(len(w), -1, -1, -1)
        for i, conv in enumerate(self.convs):
            x = conv(x, w[:, i])
        return 0.5 + 0.1 * self.rgb(x)


class StyleGenerator(FunctionGenerator):
    """`Style` in one of its spaces, float64."""

    def __init__(self, space: str = "z"):
        self.network, layers = Style().double(), 4
        z_dim, w_dim = self.network.z_dim, self.network.w_dim

        def images(latents: Tensor) -> Tensor:
            w = latents.unflatten(1, (layers, w_dim)) if space == "w+" else None
            if w is None:
                w = (self.network.map(latents) if space == "z" else latents)[:, None].expand(-1, layers, -1)
            return self.network.synthesise(w)

        def sample(n: int, seed: int) -> Tensor:
            z = FunctionGenerator(images, z_dim, (8, 8)).sample(n, seed).to(self.network.constant)
            w = z if space == "z" else self.network.map(z)
            return w.repeat(1, layers) if space == "w+" else w

        super().__init__(images, {"z": z_dim, "w": w_dim, "w+": layers * w_dim}[space], (8, 8), sample, space)


class Linear(nn.Module):
    """``½ + M z`` as images of 4 x 5; what follows the layer is no module."""

    def __init__(self, M: Tensor):
        super().__init__()
        self.first = nn.Linear(M.shape[1], 60, dtype=M.dtype)
        self.first.weight.data, self.first.bias.data = M.clone(), torch.full((60,), 0.5, dtype=M.dtype)

    def forward(self, z: Tensor) -> Tensor:
        return self.first(z).unflatten(1, (3, 4, 5))


def linear(d: int = 6, seed: int = 0) -> tuple[FunctionGenerator, Tensor]:
    """A linear generator and its matrix ``(60, d)``."""
    M = normal(60, d, seed=seed) * torch.linspace(3, 1, d, dtype=torch.float64)
    return FunctionGenerator(Linear(M), d, (4, 5)), M


class See:
    """A sight of functions of the images: one that varies and, perhaps, one that is fixed; each scaled by a number."""

    def __init__(
        self,
        generator: FunctionGenerator,
        latents: Tensor,
        varied: Function = lambda images: images.flatten(1),
        fixed: Function | None = None,
        limit: float = math.inf,
    ):
        self.generator, self.like, self.limit = generator, latents, limit
        self.batch, self.dim = latents.shape
        self.images = generator(latents)
        none: Function = lambda images: images.new_zeros(len(images), 0)  # noqa: E731
        self._functions = varied, fixed or none
        fixed_values = self._functions[1](self.images).shape[1]
        self.blocks = (fixed_values,) if fixed_values else ()
        self.pushed = 0

    def push(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """Both changes along V, the varied one doubled, the fixed one halved."""
        self.pushed += V.shape[1]

        def along(function: Function, tangent: Tensor) -> Tensor:
            return torch.func.jvp(lambda z: function(self.generator(z)), (self.like,), (tangent,))[1]

        c, f = (torch.stack([along(function, v) for v in V.unbind(1)], 1) for function in self._functions)
        return 2 * c, 0.5 * f

    def pull(self, c: Tensor | None, f: Tensor | None) -> Tensor:
        """Not needed by any method here."""
        raise NotImplementedError

    def values(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Both values; undefined where the first pixel is above the limit."""
        images = self.generator(latents)
        bad = (images[:, 0, 0, 0] > self.limit).nonzero().flatten().tolist()
        if bad:
            raise Undefined("nothing there", rows=tuple(bad))
        c, f = (function(images) for function in self._functions)
        return c, f


def angle(a: Tensor, b: Tensor) -> float:
    """The largest angle between the spaces that two sets of unit rows ``(k, d)`` span, in radians."""
    Q, R = torch.linalg.qr(a.double().T)[0], torch.linalg.qr(b.double().T)[0]
    return float(torch.linalg.matrix_norm(R - Q @ (Q.T @ R), 2).clamp(max=1).asin())
