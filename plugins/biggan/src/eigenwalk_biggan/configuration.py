"""The sizes of a BigGAN, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["plain", "hierarchical", "joint"]


@dataclass(frozen=True)
class Residual:
    """A residual block.

    Attributes:
        inputs, outputs: channels.
        hidden: channels of the bottleneck of BigGAN-deep; None for a block of BigGAN.
        doubles: whether it doubles the image's sides.
    """

    inputs: int
    outputs: int
    hidden: int | None
    doubles: bool


@dataclass(frozen=True)
class Attention:
    """Self-attention over the pixels of an image of `channels`, with `keys` and `values` channels inside."""

    channels: int
    keys: int
    values: int


@dataclass(frozen=True)
class Sizes:
    """A BigGAN or BigGAN-deep (arXiv 1809.11096, appendix B).

    Attributes:
        z_dim: coordinates of z.
        embedding: coordinates of a class's embedding.
        way: where z goes. ``plain``: into the first layer alone; ``hierarchical``: split in equal chunks, of which the
            first layer takes the first and each block the next, beside the embedding; ``joint``: whole, with the
            embedding, into the first layer and every block.
        bottom: pixels of the side of the first layer's image.
        layers: residual blocks and attention, in the order of computation.
    """

    z_dim: int
    embedding: int
    way: Way
    bottom: int
    layers: tuple[Residual | Attention, ...]

    @property
    def blocks(self) -> int:
        """How many residual blocks there are."""
        return sum(isinstance(layer, Residual) for layer in self.layers)

    @property
    def chunk(self) -> int:
        """Coordinates of one chunk of a hierarchical z."""
        return self.z_dim // (self.blocks + 1)

    @property
    def inputs(self) -> int:
        """Coordinates that the first layer takes."""
        return {"plain": self.z_dim, "hierarchical": self.chunk, "joint": self.embedding + self.z_dim}[self.way]

    @property
    def condition(self) -> int:
        """Coordinates that the batch norms of a block take."""
        return self.embedding + {"plain": 0, "hierarchical": self.chunk, "joint": self.z_dim}[self.way]

    @property
    def channels(self) -> tuple[int, int]:
        """Channels before the first block and after the last."""
        blocks = [layer for layer in self.layers if isinstance(layer, Residual)]
        return blocks[0].inputs, blocks[-1].outputs

    @property
    def resolution(self) -> int:
        """Pixels of the images' side."""
        return self.bottom << sum(isinstance(layer, Residual) and layer.doubles for layer in self.layers)
