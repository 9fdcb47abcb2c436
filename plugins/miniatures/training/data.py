"""Renders the training images of a miniature to a memory map that training can read as it grows.

python -m training.data rooms --out DIR --images 80000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from eigenwalk_miniatures.miniature import Miniature, miniature

SEED = 1000
"""Seed of the training renders."""

CHUNK = 250
"""Images per chunk: chunk i is rendered from seed + i, so a stopped run goes on where it was."""

CACHED = 50
"""Images rendered at once: few enough to stay in a processor's cache, twice as fast as a whole chunk."""


class Renders:
    """Images `(n, 3, resolution, resolution)`, uint8, in `folder/images.u8`; complete up to `len`."""

    def __init__(self, folder: Path, resolution: int) -> None:
        self.file = folder / "images.u8"
        self.shape = (3, resolution, resolution)

    def __len__(self) -> int:
        size = self.file.stat().st_size if self.file.exists() else 0
        return size // int(np.prod(self.shape))

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """The images of `rows (batch,)`, `(batch, 3, height, width)` in [0, 1]."""
        stored = np.memmap(self.file, dtype=np.uint8, mode="r", shape=(len(self), *self.shape))
        return torch.from_numpy(stored[rows.numpy()]).float() / 255


class Labelled:
    """Renders with the factors that they were drawn from, which follow from the seed of each chunk."""

    def __init__(self, folder: Path, world: Miniature, resolution: int, seed: int) -> None:
        self.renders = Renders(folder, resolution)
        chunks = len(self.renders) // CHUNK
        if not chunks:
            raise FileNotFoundError(f"{self.renders.file} holds no renders: run training.data first")
        self.shares = torch.cat([world.factors.share(world.factors.sample(CHUNK, seed + i)) for i in range(chunks)])

    def batch(self, n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` images drawn evenly, `(n, 3, height, width)` in [0, 1], and their shares `(n, factors)`."""
        rows = torch.randint(len(self.shares), (n,), generator=random).sort().values
        return self.renders.images(rows), self.shares[rows]


def render_to(folder: Path, world: Miniature, images: int, resolution: int, seed: int) -> None:
    """Append renders to `folder/images.u8` until it holds `images` of them."""
    folder.mkdir(parents=True, exist_ok=True)
    renders = Renders(folder, resolution)
    size = int(np.prod(renders.shape))
    with open(renders.file, "ab") as out:
        # A chunk cut short by a kill is dropped, so that row i is always the same image.
        out.truncate(len(renders) // CHUNK * CHUNK * size)
        for chunk in range(len(renders) // CHUNK, -(-images // CHUNK)):
            for factors in world.factors.sample(CHUNK, seed + chunk).split(CACHED):
                pixels, _ = world.render(factors, resolution)
                out.write((pixels * 255 + 0.5).to(torch.uint8).numpy().tobytes())
            out.flush()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("miniature")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=80_000)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    render_to(args.out, miniature(args.miniature), args.images, args.resolution, args.seed)


if __name__ == "__main__":
    main()
