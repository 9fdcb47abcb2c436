"""Trains a miniature's generator adversarially on its renders; a stopped run goes on where it was.

    python -m training.data rooms --out DIR --images 80000
    python -m training.gan  rooms --out DIR --images 300000 --seed 0

At first the generator alone learns to draw a render at the latent that `Pairing` gives it (mean absolute plus twice the
mean squared difference). Then it plays against the discriminator, which judges unpaired samples, while the paired
difference stays in the loss with falling weight (as in Isola et al. 2017, arXiv 1611.07004, equation 4). Adversarial
loss: non-saturating logistic (Goodfellow et al. 2014) with R1 on renders (Mescheder et al. 2018, arXiv 1801.04406,
equation 9), every 16 steps and weighted 16-fold (arXiv 1912.04958, section 3.1).
`DIR` then holds `gan.pt` (all state), `generator.safetensors` (averaged weights), `log.csv` and
sample grids.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_miniatures.miniature import Miniature, miniature
from eigenwalk_miniatures.network import Generator, Shape
from training.data import SEED, Labelled
from training.discriminator import Discriminator
from training.pairing import Pairing
from training.store import save_grid, save_network, save_state

Loss = tuple[Tensor, dict[str, Tensor]]
"""A scalar to descend, and what was measured on the way."""


@dataclass(frozen=True)
class Options:
    """What one training run is."""

    images: int = 300_000
    batch: int = 16
    rate: float = 2e-3
    rate_warm: float = 6e-3
    mapping_share: float = 0.1
    warm: int = 96_000
    anchor: float = 100.0
    anchor_end: float = 10.0
    anneal_from: float = 0.85
    rate_end: float = 0.1
    r1: float = 0.5
    r1_every: int = 16
    average_images: float = 10_000
    seed: int = 0
    workers: int = 2

    def rate_at(self, seen: int) -> float:
        """The learning rate after `seen` images.

        Falls from `rate_warm` to `rate` by half a cosine while the generator warms; then constant, and
        from `anneal_from` of all images on linear to `rate_end` of itself.
        """
        if seen < self.warm:
            return self.rate + (self.rate_warm - self.rate) * 0.5 * (1 + math.cos(math.pi * seen / self.warm))
        start = self.anneal_from * self.images
        share = min(max((seen - start) / (self.images - start), 0.0), 1.0)
        return self.rate * (1 - share * (1 - self.rate_end))

    def coarser_at(self, seen: int) -> int:
        """How many of the finest resolutions the warming generator leaves out after `seen` images.

        Where things stand is learnt at a quarter of the resolution, at a fifth of the cost (growing as in
        Karras et al. 2018, arXiv 1710.10196, section 2).
        """
        share = seen / max(self.warm, 1)
        return 2 if share < 0.4 else 1 if share < 0.7 else 0

    def anchor_at(self, seen: int) -> float:
        """The weight of the paired difference after `seen` images: falls linearly to the anneal's start."""
        share = (seen - self.warm) / max(self.anneal_from * self.images - self.warm, 1)
        return self.anchor + min(max(share, 0.0), 1.0) * (self.anchor_end - self.anchor)


class Adversaries:
    """Both networks, their optimisers, the averaged generator, and how far they are."""

    def __init__(self, shape: Shape, options: Options, factors: int) -> None:
        torch.manual_seed(options.seed)
        self.options, self.seen, self.seconds = options, 0, 0.0
        self.generator = Generator(shape).to(memory_format=torch.channels_last)
        self.discriminator = Discriminator(shape).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        mapping = list(self.generator.mapping.parameters())
        others = [p for name, p in self.generator.named_parameters() if not name.startswith("mapping.")]
        self.generator_adam = torch.optim.Adam([{"params": others}, {"params": mapping}])
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters())
        self.random = torch.Generator().manual_seed(options.seed)
        self.pairing = Pairing(factors, shape.latent_dim)
        self.threads = ThreadPoolExecutor(options.workers, initializer=torch.set_num_threads, initargs=(1,))

    def state(self) -> dict:
        """Everything a later run needs to go on, tensors and numbers only."""
        holders = ("generator", "discriminator", "average", "generator_adam", "discriminator_adam")
        return {name: getattr(self, name).state_dict() for name in holders} | {
            "seen": self.seen,
            "seconds": self.seconds,
            "random": self.random.get_state(),
        }

    def load(self, state: dict) -> None:
        """Take up what `state` returned."""
        for name in ("generator", "discriminator", "average", "generator_adam", "discriminator_adam"):
            getattr(self, name).load_state_dict(state[name])
        self.seen, self.seconds = state["seen"], state["seconds"]
        self.random.set_state(state["random"])

    def latents(self) -> Tensor:
        """`(batch, latent_dim)`, normal."""
        return torch.randn(self.options.batch, self.generator.shape.latent_dim, generator=self.random)

    def step(self, renders: Labelled) -> dict[str, float]:
        """One step of both networks, or of the warming generator; returns what it measured."""
        self._set_rates()
        real, shares = renders.batch(self.options.batch, self.random)
        real = real.contiguous(memory_format=torch.channels_last) * 2 - 1
        noise = torch.randn(len(real), self.pairing.planes, generator=self.random)
        paired = self.pairing.latents(shares, noise)
        cut = [tensor.chunk(self.options.workers) for tensor in (real, paired)]
        if self.seen < self.options.warm:
            measured = self._descend(self.generator, self.generator_adam, self._pair, *cut)
        else:
            measured = self._play(*cut)
        self._average()
        self.seen += self.options.batch
        return measured

    def _set_rates(self) -> None:
        warm, rate = self.seen < self.options.warm, self.options.rate_at(self.seen)
        # Momentum speeds up the paired fit, and unsettles the game (1710.10196, appendix A.2 has none).
        betas = (0.9 if warm else 0.0, 0.99)
        for adam in (self.generator_adam, self.discriminator_adam):
            for group, share in zip(
                adam.param_groups, (1.0, 1.0 if warm else self.options.mapping_share), strict=False
            ):
                group.update(lr=rate * share, betas=betas)

    def _play(self, real: Sequence[Tensor], paired: Sequence[Tensor]) -> dict[str, float]:
        latents = self.latents().chunk(self.options.workers)
        measured = self._descend(self.discriminator, self.discriminator_adam, self._discriminate, real, latents)
        if (self.seen // self.options.batch) % self.options.r1_every == 0:
            measured |= self._descend(self.discriminator, self.discriminator_adam, self._penalise, real)
        self.discriminator.requires_grad_(False)
        measured |= self._descend(self.generator, self.generator_adam, self._generate, real, paired)
        self.discriminator.requires_grad_(True)
        return measured

    def _discriminate(self, real: Tensor, z: Tensor) -> Loss:
        with torch.no_grad():
            fake = self.generator(z)
        said_real, said_fake = self.discriminator(real).float(), self.discriminator(fake).float()
        loss = F.softplus(-said_real).mean() + F.softplus(said_fake).mean()
        return loss, {"discriminator": loss, "real": said_real.mean(), "fake": said_fake.mean()}

    def _penalise(self, real: Tensor) -> Loss:
        real = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(real).float().sum(), real, create_graph=True)
        squared = slope.float().square().sum((1, 2, 3)).mean()
        return squared * (self.options.r1 / 2 * self.options.r1_every), {"r1": squared}

    def _pair(self, real: Tensor, z: Tensor) -> Loss:
        coarser = self.options.coarser_at(self.seen)
        levels = len(self.generator.shape.channels) - coarser
        drawn = self.generator.synthesise(self.generator.map(z), levels)
        loss, apart = _apart(drawn, F.avg_pool2d(real, 2**coarser))
        return loss, {"apart": apart}

    def _generate(self, real: Tensor, z: Tensor) -> Loss:
        drawn = self.generator(z)
        loss, apart = _apart(drawn, real)
        fooled = F.softplus(-self.discriminator(drawn).float()).mean()
        return fooled + self.options.anchor_at(self.seen) * loss, {"generator": fooled, "apart": apart}

    def _descend(
        self, network: nn.Module, adam: torch.optim.Adam, loss: Callable[..., Loss], *halves: Sequence[Tensor]
    ) -> dict[str, float]:
        """One step of `adam` down the mean of `loss` over the slices of a batch; what `loss` measured.

        Each slice runs in a thread of its own: two threads that meet once a step share two cores
        better than one whose every operation is split, most of all when others use the cores too.
        """
        parameters = list(network.parameters())

        def slope(*tensors: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
                value, measured = loss(*tensors)
            return torch.autograd.grad(value, parameters, materialize_grads=True), {
                k: v.detach() for k, v in measured.items()
            }

        parts = list(self.threads.map(slope, *halves))
        for row, p in enumerate(parameters):
            # bf16 can overflow once in a long run; one bad step must not spoil all weights.
            p.grad = torch.nan_to_num(torch.stack([grads[row] for grads, _ in parts]).mean(0), 0.0, 0.0, 0.0)
        adam.step()
        return {k: sum(measured[k].item() for _, measured in parts) / len(parts) for k in parts[0][1]}

    @torch.no_grad()
    def _average(self) -> None:
        # A short memory at first, so that the average forgets the untrained weights.
        span = min(self.options.average_images, 0.05 * self.seen + 1)
        keep = 0.5 ** (self.options.batch / span)
        for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        self.average.w_mean.lerp_(self.average.map(self.latents()).mean(0), 0.02)


def _apart(drawn: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The paired loss and, of it, the mean absolute difference.

    Squares pull on what is far off, where the absolute difference would settle for a median without
    the small things; the absolute difference keeps edges sharp.
    """
    difference = drawn.float() - real
    absolute = difference.abs().mean()
    return absolute + 2 * difference.square().mean(), absolute


def train(
    folder: Path, world: Miniature, options: Options, shape: Shape, every: int = 8_000, until: int | None = None
) -> Adversaries:
    """Both networks after `options.images` images (or `until`), saved to `folder` every `every`."""
    end = options.images if until is None else min(until, options.images)
    renders = Labelled(folder, world, shape.resolution, SEED)
    pair = Adversaries(shape, options, len(world.factors))
    if (folder / "gan.pt").exists():
        pair.load(torch.load(folder / "gan.pt", weights_only=True))
    last = time.perf_counter()
    while pair.seen < end:
        measured = pair.step(renders)
        now = time.perf_counter()
        pair.seconds, last = pair.seconds + now - last, now
        if (pair.seen // options.batch - 1) % options.r1_every == 0:
            with open(folder / "log.csv", "a") as log:
                fields = ",".join(f"{key}={value:.4f}" for key, value in measured.items())
                log.write(f"{pair.seen},{pair.seconds:.0f},{fields}\n")
        if pair.seen % every < options.batch or pair.seen >= end:
            save_state(folder / "gan.pt", pair.state())
            _export(folder, pair)
    return pair


def _export(folder: Path, pair: Adversaries) -> None:
    about = {
        "images": str(pair.seen),
        "warm": str(pair.options.warm),
        "seconds": f"{pair.seconds:.0f}",
        "seed": str(pair.options.seed),
    }
    save_network(folder / "generator.safetensors", pair.average, about)
    z = torch.randn(64, pair.generator.shape.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        save_grid(folder / f"samples-{pair.seen:07d}.png", (pair.average(z) + 1) / 2, columns=8)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=Options.images)
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--warm", type=int, default=Options.warm, help="images before the discriminator joins")
    parser.add_argument("--r1", type=float, default=Options.r1)
    parser.add_argument("--rate", type=float, default=Options.rate)
    parser.add_argument("--workers", type=int, default=Options.workers, help="threads, a slice of the batch each")
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = Options(
        images=args.images, warm=args.warm, seed=args.seed, r1=args.r1, rate=args.rate, workers=args.workers
    )
    train(args.out, miniature(args.miniature), options, Shape())


if __name__ == "__main__":
    main()
