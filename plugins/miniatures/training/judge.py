"""Judges a miniature's shipped networks, and writes its model card and pictures.

    python -m training.judge rooms --renders DIR --pictures DIR --card FILE

`--renders` is the folder that `training.data` filled; its images are searched for those nearest to
samples. All other renders have seeds that no training run uses.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eigenwalk_miniatures import load
from eigenwalk_miniatures.generator import MiniatureGenerator
from eigenwalk_miniatures.miniature import Miniature, miniature
from training import measures, verify
from training.card import card
from training.data import Renders
from training.store import save_grid

FRESH = 900_000
"""Seed of the renders for judging: the seeds of training lie far below."""


@dataclass(frozen=True)
class Judged:
    """Images of one kind with what the networks read off them."""

    images: Tensor
    masks: Tensor
    shares: Tensor


@torch.no_grad()
def look(world: Miniature, images: Tensor, chunk: int = 250) -> Judged:
    """Masks `(n, parts, height, width)` and factor shares `(n, factors)` found in `images`."""
    segmenter, regressor = load.segmenter(world), load.regressor(world)
    parts = images.split(chunk)
    masks = torch.cat([segmenter.masks(part) for part in parts])
    return Judged(images, masks, torch.cat([regressor(part) for part in parts]))


def rendered(world: Miniature, n: int, chunk: int = 250) -> tuple[Tensor, Tensor, Tensor]:
    """Fresh images, exact masks and factor shares of `n` renders."""
    factors = world.factors.sample(n, FRESH)
    drawn = [world.render(part, 64) for part in factors.split(chunk)]
    return torch.cat([d[0] for d in drawn]), torch.cat([d[1] for d in drawn]), world.factors.share(factors)


@torch.no_grad()
def sampled(generator: MiniatureGenerator, n: int, chunk: int = 250) -> Tensor:
    """`n` samples `(n, 3, height, width)`, not clipped."""
    return torch.cat([generator(z) for z in generator.sample(n, seed=0).split(chunk)])


@torch.no_grad()
def milliseconds(generator: MiniatureGenerator, runs: int = 20) -> float:
    """Median time of the forward pass of one image, in milliseconds."""
    z, times = generator.sample(1, 0), []
    for _ in range(runs):
        start = time.perf_counter()
        generator(z)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def measure(world: Miniature, n: int) -> tuple[dict, Judged, Judged]:
    """The card's figures, and the samples and renders that they were measured on."""
    generator = MiniatureGenerator(load.generator(world))
    images, true_masks, true_shares = rendered(world, n)
    renders = look(world, images)
    samples = look(world, sampled(generator, n).clamp(0, 1))
    rows = [world.parts.index(part) for part in world.subject_parts]
    subject, subject_rendered, subject_true = (m[:, rows].sum(1) for m in (samples.masks, renders.masks, true_masks))
    figures = {
        "judged": n,
        "one_in_samples": measures.share_with_one(subject),
        "one_in_first_100": measures.share_with_one(subject[:100]),
        "one_in_renders": measures.share_with_one(subject_rendered),
        "one_in_exact_masks": measures.share_with_one(subject_true),
        "overlap": dict(zip(world.parts, measures.overlap(renders.masks, true_masks).tolist(), strict=True)),
        "explained": dict(
            zip(world.factors.names, measures.explained(renders.shares, true_shares).tolist(), strict=True)
        ),
        "ks": dict(zip(world.factors.names, measures.distances(samples.shares, renders.shares).tolist(), strict=True)),
        "spread_samples": spread(samples.images),
        "spread_renders": spread(renders.images),
        "milliseconds": milliseconds(generator),
        "parameters": sum(p.numel() for p in generator.network.parameters()),
        "threads": torch.get_num_threads(),
    }
    if world.identity:
        figures |= people(world, generator, n, renders, true_shares)
    return figures, samples, renders


@torch.no_grad()
def people(world: Miniature, generator: MiniatureGenerator, n: int, renders: Judged, shares: Tensor) -> dict:
    """What is judged where the miniature shows people: the embedding, and the second reader of factors."""
    attributes = load.attributes(world)
    read = torch.cat([attributes(part) for part in renders.images.split(250)])
    samples = verify.generated(world, generator, generator.latent_dim)
    return {
        "verification": verify.verification(world, load.embedder(world), samples, n),
        "explained_attributes": dict(zip(world.factors.names, measures.explained(read, shares).tolist(), strict=True)),
    }


def spread(images: Tensor) -> float:
    """Mean RMS pixel distance between different images of a batch."""
    flat = images[:500].flatten(1)
    n = len(flat)
    return float(torch.cdist(flat, flat).sum() / (n * (n - 1)) / flat.shape[1] ** 0.5)


def draw(world: Miniature, samples: Judged, renders: Judged, stored: Renders, folder: Path) -> dict:
    """Write the card's pictures to `folder`; returns the distances to the nearest training images."""
    folder.mkdir(parents=True, exist_ok=True)
    save_grid(folder / f"{world.name}-samples.png", samples.images[:64], columns=8)
    save_grid(folder / f"{world.name}-renders.png", renders.images[:64], columns=8)
    mapped = np.memmap(stored.file, dtype=np.uint8, mode="r", shape=(len(stored), *stored.shape))
    rows, far = measures.nearest(torch.cat([samples.images[:100], renders.images[:100]]), mapped)
    far_samples, far_renders, rows = far[:100], far[100:], rows[:12]
    near = torch.from_numpy(mapped[rows.numpy()]).float() / 255
    save_grid(folder / f"{world.name}-nearest.png", torch.cat([samples.images[:12], near]), columns=12)
    hue = torch.linspace(0, 1, len(world.parts))
    tint = torch.stack([(0.5 + 0.5 * torch.cos(6.283 * (hue + t))) for t in (0, 1 / 3, 2 / 3)], 1)
    painted = torch.einsum("nphw,pc->nchw", samples.masks[:12], tint)
    save_grid(folder / f"{world.name}-parts.png", torch.cat([samples.images[:12], painted]), columns=12)
    return {
        "nearest_samples": far_samples.median().item(),
        "nearest_renders": far_renders.median().item(),
        "nearest_least": far_samples.min().item(),
        "searched": len(stored),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--renders", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    world = miniature(args.miniature)
    figures, samples, renders = measure(world, args.images)
    figures |= draw(world, samples, renders, Renders(args.renders, 64), args.pictures)
    (args.pictures / f"{world.name}-figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    args.card.write_text(card(world, figures))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
