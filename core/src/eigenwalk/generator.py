"""The contract of an image generator.

>>> import torch
>>> from eigenwalk.generator import FunctionGenerator
>>> flat = FunctionGenerator(lambda z: z[:, :3, None, None].expand(-1, -1, 8, 8), latent_dim=4, resolution=(8, 8))
>>> flat(flat.sample(2, seed=0)).shape
torch.Size([2, 3, 8, 8])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from eigenwalk.shapes import Images, Latents


class Generator(ABC):
    """A map from flat latents ``(batch, latent)`` to images ``(batch, 3, height, width)``.

    Images are float RGB, nominally in [0, 1], never clipped: a generator maps its own range to this one.
    It is deterministic (noise inputs fixed), in eval mode, its parameters frozen, and every image depends
    on its own latent alone.

    Attributes:
        latent_dim: coordinates of one latent.
        resolution: (height, width) of the images.
        space: the name of the space that the latents live in.
        latent_shape: of a latent in files for other tools, where it is not flat: ``(layers, w)`` in w+, and in w,
            where all layers share one.
        facts: what a person may want to know of it, under a word each: ``format``, ``architecture``, ``trained on``,
            ``licence``. Shown by ``eigenwalk describe``; nothing depends on them, and all may be left out.
        notes: what was chosen, or made up for what the file lacks, when it was opened: said before every walk.
        files: the user's files that it opened and that none of its options names; their SHA-256 goes into recipes.
    """

    latent_dim: int
    resolution: tuple[int, int]
    space: str = "z"
    latent_shape: tuple[int, ...] = ()
    facts: Mapping[str, str] = MappingProxyType({})
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @abstractmethod
    def __call__(self, latents: Latents) -> Images:
        """The images ``(batch, 3, height, width)`` of latents ``(batch, latent)``."""

    def sample(self, n: int, seed: int) -> Latents:
        """`n` typical latents ``(n, latent)``, the same for the same seed: by default standard normal.

        Drawn one after another on the CPU, so that the first m of n are the m that a smaller call gives.
        """
        random = torch.Generator().manual_seed(seed)
        # Row by row: torch draws the tail of a tensor again where its size is no multiple of 16.
        rows = [torch.randn(self.latent_dim, generator=random) for _ in range(n)]
        return torch.stack(rows) if rows else torch.empty(0, self.latent_dim)

    def encode(self, images: Images) -> Latents | None:
        """The latents ``(batch, latent)`` of images ``(batch, 3, height, width)`` of its resolution, if it can tell.

        None, by default: it has no encoder.
        """
        return None

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Generator:
        """This generator on `device`, in `dtype`: by default every module among its attributes is moved."""
        for value in vars(self).values():
            if isinstance(value, torch.nn.Module):
                value.to(device, dtype)
        return self


class FunctionGenerator(Generator):
    """A generator made of any function or module from latents to images."""

    def __init__(
        self,
        function: Callable[[Latents], Images],
        latent_dim: int,
        resolution: tuple[int, int],
        sample: Callable[[int, int], Latents] | None = None,
        space: str = "z",
        facts: Mapping[str, str] = MappingProxyType({}),
    ):
        if isinstance(function, torch.nn.Module):
            function.eval().requires_grad_(False)
        height, width = resolution
        self.function, self.latent_dim, self.resolution, self.space = function, latent_dim, (height, width), space
        self._sample, self.facts = sample, facts

    def __call__(self, latents: Latents) -> Images:
        """What the function returns."""
        return self.function(latents)

    def sample(self, n: int, seed: int) -> Latents:
        """`n` latents from the given sampler, or standard normal."""
        return self._sample(n, seed) if self._sample else super().sample(n, seed)
