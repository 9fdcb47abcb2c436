"""Fits a network to endless batches of renders; resumes, logs, anneals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.store import save_network, save_state

Batch = tuple[Tensor, Tensor]
"""Images `(batch, 3, height, width)` in [0, 1] and their targets."""


@dataclass(frozen=True)
class Course:
    """Length and learning rate of a fit."""

    images: int
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def rate_at(self, seen: int) -> float:
        """The learning rate: a rise over the first 3 %, then half a cosine to 0."""
        share = min(1.0, seen / self.images)
        return self.rate * min(1.0, share / 0.03 + 0.03) * 0.5 * (1 + math.cos(math.pi * share))


def fit(
    network: nn.Module,
    batch: Callable[[int, torch.Generator], Batch],
    loss: Callable[[Tensor, Tensor], Tensor],
    course: Course,
    file: Path,
    until: int | None = None,
    notes: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Fit `network` over `course` (or `until` so many images) and save it to `file`, safetensors.

    Returns what is noted in it: `notes` and how it was trained. `file` with the suffix `.pt` holds what resuming needs.
    """
    torch.manual_seed(course.seed)
    random = torch.Generator().manual_seed(course.seed)
    network.to(memory_format=torch.channels_last).train()
    adam = torch.optim.AdamW(network.parameters(), lr=course.rate, weight_decay=course.weight_decay)
    seen, seconds, kept = 0, 0.0, file.with_suffix(".pt")
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        network.load_state_dict(state["network"])
        adam.load_state_dict(state["adam"])
        random.set_state(state["random"])
        seen, seconds = state["seen"], state["seconds"]
    end = course.images if until is None else min(until, course.images)
    last, steps = time.perf_counter(), 0
    while seen < end:
        adam.param_groups[0]["lr"] = course.rate_at(seen)
        images, target = batch(course.batch, random)
        with torch.autocast("cpu", torch.bfloat16):
            said = network(images.contiguous(memory_format=torch.channels_last))
        value = loss(said.float(), target)
        adam.zero_grad(set_to_none=True)
        value.backward()
        adam.step()
        seen, steps = seen + course.batch, steps + 1
        now = time.perf_counter()
        seconds, last = seconds + now - last, now
        if steps % 100 == 0 or seen >= end:
            print(f"{seen} images, {seconds:.0f} s, loss {value.item():.5f}", flush=True)
            state = {"network": network.state_dict(), "adam": adam.state_dict()}
            save_state(kept, state | {"random": random.get_state(), "seen": seen, "seconds": seconds})
    about = {**notes, "images": str(seen), "seconds": f"{seconds:.0f}", "seed": str(course.seed)}
    save_network(file, network.eval(), about)
    return about


def wear(images: Tensor, random: torch.Generator) -> Tensor:
    """Blur images and add noise, each by its own random amount, as a generator might.

    `images (batch, 3, height, width)` in [0, 1]; the result keeps shape and range.
    """
    n, _, h, w = images.shape
    share = torch.rand(n, 1, 1, 1, generator=random)
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    coarse = F.interpolate(F.avg_pool2d(images, 2), (h, w), mode="bilinear", align_corners=False)
    blur = torch.where(torch.rand(n, 1, 1, 1, generator=random) < 0.5, soft, coarse)
    images = images + share * (torch.rand(n, 1, 1, 1, generator=random) < 0.6) * (blur - images)
    fine = torch.randn(n, 3, h, w, generator=random)
    patchy = F.interpolate(torch.randn(n, 3, h // 4, w // 4, generator=random), (h, w), mode="bilinear")
    amount = 0.04 * torch.rand(n, 2, 1, 1, 1, generator=random)
    return (images + amount[:, 0] * fine + amount[:, 1] * patchy).clamp(0, 1)
