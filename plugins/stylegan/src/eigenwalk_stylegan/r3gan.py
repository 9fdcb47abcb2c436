"""The generator of R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv 2501.05441, section 3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk.errors import OptionError
from eigenwalk.generator import Generator
from eigenwalk_stylegan.resample import enlarge

BOTTOM = 4
"""Pixels of the first stage's side; each stage has twice those of the one before."""
SLOPE = 0.2


@dataclass(frozen=True)
class Stage:
    """The stage of one resolution: features of `width`, in `blocks` of `hidden` channels inside, in `groups`."""

    width: int
    hidden: int
    groups: int
    blocks: int


@dataclass(frozen=True)
class R3GAN:
    """A generator of R3GAN.

    Attributes:
        z_dim: coordinates of z.
        classes: of a conditional model; 0: it has none.
        embedding: coordinates of a class's embedding, put after z.
        stages: at 4, 8, 16, … pixels.
        filter: taps of the low-pass filter of every enlargement, in each direction.
    """

    z_dim: int
    classes: int
    embedding: int
    stages: tuple[Stage, ...]
    filter: tuple[float, ...]

    @property
    def resolution(self) -> int:
        """Pixels of the images' side."""
        return BOTTOM << (len(self.stages) - 1)


class Residual(nn.Module):
    """``x + W3 φ(W2 φ(W1 x + b1) + b2)``: an inverted bottleneck with a grouped 3 x 3 convolution, no normalisation."""

    def __init__(self, sizes: Stage) -> None:
        super().__init__()
        self.expand = nn.Conv2d(sizes.width, sizes.hidden, 1, bias=False)
        self.mix = nn.Conv2d(sizes.hidden, sizes.hidden, 3, padding=1, groups=sizes.groups, bias=False)
        self.contract = nn.Conv2d(sizes.hidden, sizes.width, 1, bias=False)
        self.before, self.after = nn.Parameter(torch.empty(sizes.hidden)), nn.Parameter(torch.empty(sizes.hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the shape of `x` ``(batch, width, height, width)``."""
        y = self.mix(F.leaky_relu(self.expand(x) + self.before[:, None, None], SLOPE))
        return x + self.contract(F.leaky_relu(y + self.after[:, None, None], SLOPE))


class Network(nn.Module):
    """z ``(batch, z_dim)`` to images ``(batch, 3, side, side)``, nominally in [-1, 1], not clipped."""

    def __init__(self, sizes: R3GAN) -> None:
        super().__init__()
        self.sizes = sizes
        widths = [stage.width for stage in sizes.stages]
        self.embed = nn.Linear(sizes.classes, sizes.embedding, bias=False) if sizes.classes else None
        self.first = nn.Linear(sizes.z_dim + sizes.embedding, widths[0], bias=False)
        self.basis = nn.Parameter(torch.empty(widths[0], BOTTOM, BOTTOM))
        self.stages = nn.ModuleList(nn.ModuleList(Residual(one) for _ in range(one.blocks)) for one in sizes.stages)
        self.entries = nn.ModuleList(
            nn.Identity() if a == b else nn.Conv2d(a, b, 1, bias=False) for a, b in itertools.pairwise(widths)
        )
        self.rgb = nn.Conv2d(widths[-1], 3, 1, bias=False)
        taps = torch.tensor(sizes.filter, device="cpu")  # on the meta device, "/" would load torch._dynamo
        self.taps: Tensor
        self.register_buffer("taps", taps / taps.sum(), persistent=False)

    def forward(self, z: Tensor, label: int | None) -> Tensor:
        """Return images of latents at a class, from 0; None where there are no classes."""
        if self.embed is not None:
            assert label is not None
            z = torch.cat([z, self.embed.weight[:, label].expand(len(z), -1)], 1)
        x = self.basis * self.first(z)[:, :, None, None]
        for k, blocks in enumerate(self.stages):
            x = x if k == 0 else enlarge(self.entries[k - 1](x), 2 * self.taps)
            for block in blocks:  # type: ignore[union-attr]
                x = block(x)
        return self.rgb(x)


class R3GANGenerator(Generator):
    """Standard normal latents ``(batch, z_dim)`` to images ``(batch, 3, side, side)``, nominally in [0, 1].

    Stages that were trained in bfloat16 are computed in float32 too, or float64.
    """

    def __init__(self, network: Network, label: int | None = None) -> None:
        classes = network.sizes.classes
        if not classes and label is not None:
            raise OptionError(f"label must be left out: the model has no classes, got {label}")
        if classes and (label is None or not 0 <= label < classes):
            raise OptionError(f"label must be a class of the model, from 0 to {classes - 1}, got {label}")
        self.network, self.label, self.latent_dim = network, label, network.sizes.z_dim
        self.resolution = (network.sizes.resolution, network.sizes.resolution)

    def __call__(self, latents: Tensor) -> Tensor:
        """Return images ``(batch, 3, side, side)`` of latents ``(batch, z_dim)``, in their dtype."""
        images = self.network(latents.to(self.network.basis.dtype), self.label)
        return (images * 0.5 + 0.5).to(latents.dtype)

    def __repr__(self) -> str:
        side = self.resolution[0]
        return f"<R3GAN, {side} x {side} pixels, space z of {self.latent_dim} coordinates>"
