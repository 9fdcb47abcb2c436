"""A small network trained from nothing, end to end, for where no backbone's weights are at hand."""

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
SHIFT = 1 / 32
"""The most that an image is moved in training, as a share of its side."""


def epochs(n: int) -> int:
    """Passes over `n` images: some 20,000 images altogether, at least 10 and at most 60 passes."""
    return min(60, max(10, 20_000 // n))


def train(
    model: nn.Module,
    images: Tensor,
    truth: Tensor,
    binary: Tensor,
    validation: tuple[Tensor, Tensor],
    mirror: bool,
    told: Callable[[float], None],
) -> nn.Module:
    """`model` as it was after the pass with the least loss on `validation`, in eval mode.

    Its outputs are logits where `binary` ``(labels,)``, and standardised values elsewhere. `images` ``(n, 3, h, w)``
    are what it sees, `truth` ``(n, labels)``; `told` is called with each pass's share of the whole. Randomness comes
    from torch's global state.
    """
    passes = epochs(len(images))
    steps = passes * max(1, len(images) // BATCH)
    step = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(step, RATE, total_steps=steps)
    best, kept = torch.inf, copy.deepcopy(model.state_dict())
    for done in range(passes):
        model.train()
        for rows in torch.randperm(len(images))[: max(1, len(images) // BATCH) * BATCH].split(BATCH):
            loss = losses(model(_varied(images[rows].float(), mirror)), truth[rows], binary).mean()
            step.zero_grad()
            loss.backward()
            step.step()
            rate.step()
        model.eval()
        found = float(losses(outputs(model, validation[0]), validation[1], binary).mean())
        if found < best:
            best, kept = found, copy.deepcopy(model.state_dict())
        told((done + 1) / passes)
    model.load_state_dict(kept)
    return model.eval()


def losses(found: Tensor, truth: Tensor, binary: Tensor) -> Tensor:
    """Log-loss of the logits, half the squared error of the values, ``(n, labels)``."""
    as_logits = F.binary_cross_entropy_with_logits(found, truth.clamp(0, 1), reduction="none")
    return torch.where(binary, as_logits, (found - truth).square() / 2)


@torch.no_grad()
def outputs(model: nn.Module, images: Tensor, batch: int = 64) -> Tensor:
    """The model's outputs ``(n, labels)`` of what it sees, a batch at a time."""
    return torch.cat([model(part.float()) for part in images.split(batch)])


def _varied(images: Tensor, mirror: bool) -> Tensor:
    """Images moved by up to 1/32 of their side, borders repeated, and mirrored at random where that changes nothing."""
    height, width = images.shape[-2:]
    reach = max(1, round(SHIFT * min(height, width)))
    wide = F.pad(images, (reach,) * 4, mode="replicate")
    y, x = torch.randint(0, 2 * reach + 1, (2, len(images))).tolist()
    moved = torch.stack([one[:, i : i + height, j : j + width] for one, i, j in zip(wide, y, x, strict=True)])
    if mirror:
        turned = torch.rand(len(images)) < 0.5
        moved = torch.where(turned[:, None, None, None], moved.flip(-1), moved)
    return moved
