"""How well derivatives in half precision agree with those in full precision, measured where a walk begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.errors import InputError, PluginError, WalkError
from eigenwalk.maths.linearise.point import Linearisation

REFUSED = 0.95
"""Refuse half precision below this cosine of gradients: in benchmarks/precision.py none was below 0.99."""

SEED = 20221023
"""Of v. A generator that normalises its latents does not change along one, so v must be the sample of no start."""


@dataclass(frozen=True)
class Agreement:
    """Cosines between derivatives in half and in full precision.

    Attributes:
        gradient: of Jᵀ J v for a random v.
        change: of the change along that gradient, the worst feature's. It is least exact for a feature that hardly
            changes, which for a fixed one does no harm: its drift is measured on images in full precision.
    """

    gradient: float
    change: float


def measure_agreement(look: Linearisation, latents: Tensor) -> Agreement:
    """Measure the cosines at latents ``(1, latent)``, after one power step: walks ask for directions of large change.

    Raises:
        WalkError: as `Linearisation.at`; also where half precision overflows.
    """
    full = replace(look, precision=None).at(latents)
    v = torch.randn(1, 1, latents.shape[1], generator=torch.Generator().manual_seed(SEED)).to(latents)
    changes = [_unit(change[:, 0]) for change in full.push(v)]
    gradient = full.pull(changes)
    tangent = torch.nn.functional.normalize(gradient, dim=1)[:, None]
    pushed = full.push(tangent)
    full.forget()
    half = look.at(latents)
    pairs = zip(half.push(tangent), pushed, strict=True)
    return Agreement(_cosine(half.pull(changes), gradient), min(_cosine(a, b) for a, b in pairs))


def describe_agreement(look: Linearisation, latents: Tensor) -> str:
    """Say in words how well the derivatives agree.

    Raises:
        InputError: they do not, or they cannot be computed; the message has the remedy.
    """
    if look.differences is not None:
        raise InputError("finite differences are of images, which are made in full precision: leave precision out")
    try:
        found = measure_agreement(look, latents)
    except (PluginError, WalkError) as error:  # an operation of its own that knows one dtype, or an overflow
        said = f"they cannot be taken: {error}"
    else:
        said = f"cosines of {found.gradient:.4f} for a gradient and {found.change:.4f} for the change along it"
        if found.gradient >= REFUSED:
            return f"derivatives in half precision against full: {said}"
    raise InputError(
        f"this generator's derivatives in half precision are not those in full ({said}; {REFUSED} is asked for of the "
        "gradient): leave precision out"
    )


def _unit(part: Tensor) -> Tensor:
    return part / part.norm().clamp_min(1e-30)


def _cosine(a: Tensor, b: Tensor) -> float:
    a, b = (x.flatten().cpu().double() for x in (a, b))  # on the CPU: not every device has float64
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0, eps=1e-60))
