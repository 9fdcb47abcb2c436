"""A small network trained end to end from scratch, for people who have no backbone's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ARCHITECTURE = "resnet10t"
ARGUMENTS = {"channels": [24, 48, 96, 128], "stem_width": 16, "act_layer": "silu"}
"""0.6 million parameters; SiLU, whose gradient, unlike ReLU's, has no jumps for a walk to trip over."""
BATCH = 32
RATE = 4e-3
DECAY = 0.05
MAX_SHIFT = 1 / 32
"""How far an image is moved in training at most, as a share of its side."""


def epochs(n: int) -> int:
    """Passes over `n` images: about 20,000 images in all, at least 10 and at most 60 passes."""
    return min(60, max(10, 20_000 // n))


def train(
    model: nn.Module,
    images: Tensor,
    truth: Tensor,
    binary: Tensor,
    validation: tuple[Tensor, Tensor],
    mirror: bool,
    progress: Callable[[float], None],
) -> nn.Module:
    """Train `model`, and return it as it was after the pass with the lowest loss on `validation`, in eval mode.

    Its outputs are logits where `binary` ``(labels,)``, and standardised values elsewhere. `images` ``(n, 3, h, w)``
    are prepared for it, `truth` is ``(n, labels)``; `progress` is called with the share of passes done. Randomness
    comes from torch's global state.
    """
    passes = epochs(len(images))
    steps = passes * max(1, len(images) // BATCH)
    step = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(step, RATE, total_steps=steps)
    best, kept = torch.inf, copy.deepcopy(model.state_dict())
    for done in range(passes):
        model.train()
        for rows in torch.randperm(len(images))[: max(1, len(images) // BATCH) * BATCH].split(BATCH):
            loss = losses(model(_augment(images[rows].float(), mirror)), truth[rows], binary).mean()
            step.zero_grad()
            loss.backward()
            step.step()
            rate.step()
        model.eval()
        loss = float(losses(outputs(model, validation[0]), validation[1], binary).mean())
        if loss < best:
            best, kept = loss, copy.deepcopy(model.state_dict())
        progress((done + 1) / passes)
    model.load_state_dict(kept)
    return model.eval()


def losses(predicted: Tensor, truth: Tensor, binary: Tensor) -> Tensor:
    """Log-loss of logits, half the squared error of values, ``(n, labels)``."""
    as_logits = F.binary_cross_entropy_with_logits(predicted, truth.clamp(0, 1), reduction="none")
    return torch.where(binary, as_logits, (predicted - truth).square() / 2)


@torch.no_grad()
def outputs(model: nn.Module, images: Tensor, batch: int = 64) -> Tensor:
    """The model's outputs ``(n, labels)`` for prepared images, a batch at a time."""
    return torch.cat([model(part.float()) for part in images.split(batch)])


def _augment(images: Tensor, mirror: bool) -> Tensor:
    """Move images at random by up to `MAX_SHIFT`, borders repeated; with `mirror`, flip half of them."""
    height, width = images.shape[-2:]
    reach = max(1, round(MAX_SHIFT * min(height, width)))
    wide = F.pad(images, (reach,) * 4, mode="replicate")
    y, x = torch.randint(0, 2 * reach + 1, (2, len(images))).tolist()
    moved = torch.stack([one[:, i : i + height, j : j + width] for one, i, j in zip(wide, y, x, strict=True)])
    if mirror:
        turned = torch.rand(len(images)) < 0.5
        moved = torch.where(turned[:, None, None, None], moved.flip(-1), moved)
    return moved
