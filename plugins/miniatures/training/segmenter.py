"""Trains the part segmenter of a miniature on renders whose masks are exact.

python -m training.segmenter rooms --out DIR --images 60000 --seed 0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk_miniatures.miniature import Miniature, miniature
from eigenwalk_miniatures.segmenter import Segmenter
from training.fit import Batch, Course, fit, wear


def rendered(world: Miniature, images: int, seed: int, chunk: int = 250) -> tuple[Tensor, Tensor]:
    """Renders `(images, 3, 64, 64)` and masks `(images, parts, 64, 64)`, both uint8."""
    pixels, masks = [], []
    for i in range(-(-images // chunk)):
        image, mask = world.render(world.factors.sample(chunk, seed + i), 64)
        pixels.append((image * 255 + 0.5).to(torch.uint8))
        masks.append((mask * 255 + 0.5).to(torch.uint8))
    return torch.cat(pixels), torch.cat(masks)


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean cross entropy of `logits` against soft `masks`, both `(batch, parts, height, width)`."""
    return -(masks * logits.log_softmax(1)).sum(1).mean()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--renders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    world = miniature(args.miniature)
    pixels, masks = rendered(world, args.renders, seed=500_000)

    def batch(n: int, random: torch.Generator) -> Batch:
        rows = torch.randint(len(pixels), (n,), generator=random)
        return wear(pixels[rows].float() / 255, random), masks[rows].float() / 255

    course = Course(args.images, batch=32, rate=3e-3, seed=args.seed)
    file, notes = args.out / "segmenter.safetensors", {"renders": str(args.renders)}
    fit(Segmenter(len(world.parts)), batch, cross_entropy, course, file, notes=notes)


if __name__ == "__main__":
    main()
