"""The generator that this package offers to eigenwalk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from eigenwalk import store
from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import OptionError
from eigenwalk.feature import move_like
from eigenwalk.generator import Generator
from eigenwalk_mobilestylegan.ir import load_mapping, load_synthesis
from eigenwalk_mobilestylegan.network import Mapping, Synthesis
from eigenwalk_mobilestylegan.plugin import MAPPING, SYNTHESIS

SAMPLES = 4096
"""Latents of which the mean w is taken."""


class MobileStyleGAN(Generator):
    """Latents to images ``(batch, 3, size, size)``, nominally in [0, 1].

    A latent ``(batch, 512)`` is a z or a w; in the space ``w+`` it is one w for each layer, side by side,
    ``(batch, 23 512)``.

    `truncation` draws every w towards the mean one, ``w' = mean + truncation (w - mean)``: in the space z as part of
    the map from latent to image, in the others as part of `sample`, so that a walk may leave it.
    """

    def __init__(
        self, mapping: Mapping, synthesis: Synthesis, space: str = "z", truncation: float = 0.7, size: int | None = None
    ):
        side = synthesis.side
        sizes = [side >> n for n in range(8) if side >> n >= 8]
        if size is not None and size not in sizes:
            raise OptionError(f"size must be one of {', '.join(map(str, sizes))}, got {size}")
        if not 0 <= truncation <= 2:
            raise OptionError(f"truncation must be from 0 to 2, got {truncation}")
        self.mapping, self.synthesis = mapping.eval(), synthesis.eval().to(memory_format=torch.channels_last)
        self.space, self.truncation, self.size = space, truncation, size or side
        self.resolution = (self.size, self.size)
        with torch.no_grad():
            z = torch.randn(SAMPLES, mapping.layers[0].in_features, generator=torch.Generator().manual_seed(0))
            self.mean = mapping(z).mean(0)
        self.latent_dim = self.mean.numel() * (synthesis.depth if space == "w+" else 1)
        self.latent_shape = () if space == "z" else (synthesis.depth, self.mean.numel())

    def __call__(self, latents: Tensor) -> Tensor:
        """Return images ``(batch, 3, size, size)`` of latents ``(batch, latent)``."""
        w = latents.unflatten(1, (self.synthesis.depth, -1)) if self.space == "w+" else latents
        if self.space == "z":
            w = self._truncated(move_like(self.mapping, latents)(latents))
        return move_like(self.synthesis, latents)(w, self.size) / 2 + 0.5

    def sample(self, n: int, seed: int) -> Tensor:
        """Return `n` latents of the space, float32."""
        random, width = torch.Generator().manual_seed(seed), self.mean.numel()
        z = torch.stack([torch.randn(width, generator=random) for _ in range(n)]) if n else torch.empty(0, width)
        if self.space == "z":
            return z
        mapping = move_like(self.mapping, z)
        with torch.no_grad():  # row by row: a product over more rows may round the first ones differently
            w = torch.cat([self._truncated(mapping(row[None])) for row in z]) if n else z
        return w.repeat(1, self.synthesis.depth) if self.space == "w+" else w

    def _truncated(self, w: Tensor) -> Tensor:
        mean = self.mean.to(w)
        return mean + self.truncation * (w - mean)


def mobilestylegan(
    space: str = "z",
    truncation: float = 0.7,
    size: int | None = None,
    model: str = "ffhq",
    file: Path | None = None,
) -> MobileStyleGAN:
    """Return the generator of FFHQ's faces from the weights in the store, or that of a `file` of the user's."""
    if file is not None:
        return opened(file, space, truncation, size)
    name = f"mobilestylegan(model={model})"
    files = {weights.file: store.find(weights, name) for weights in (*MAPPING, *SYNTHESIS)}
    mapping, synthesis = (Checkpoint.of(files[pair[0].file]) for pair in (MAPPING, SYNTHESIS))
    return build(mapping, synthesis, space, truncation, size)


def opened(path: Path, space: str = "z", truncation: float = 0.7, size: int | None = None) -> MobileStyleGAN:
    """Return the generator in the ``.xml`` of a synthesis, whose mapping lies beside it."""
    synthesis = Checkpoint.of(path)
    mapping = Checkpoint.of(Path(synthesis).with_name("MappingNetwork.xml"))
    return build(mapping, synthesis, space, truncation, size)


def build(
    mapping: Checkpoint, synthesis: Checkpoint, space: str, truncation: float, size: int | None
) -> MobileStyleGAN:
    """Return the generator of two OpenVINO networks."""
    built = MobileStyleGAN(load_mapping(mapping), load_synthesis(synthesis), space, truncation, size)
    built.facts = {
        "architecture": "MobileStyleGAN: StyleGAN2 distilled into depthwise-separable convolutions and Haar transforms",
        "trained on": "samples of StyleGAN2, which was trained on FFHQ",
    }
    return built
