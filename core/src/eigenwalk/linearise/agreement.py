"""Whether the derivatives of half precision are those of full precision, measured where a walk begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eigenwalk.errors import InputError, WalkError
from eigenwalk.linearise.point import Linearisation

REFUSED = 0.95
"""Below this cosine a derivative of half precision is refused (benchmarks/precision.py)."""


@dataclass(frozen=True)
class Agreement:
    """Cosines between derivatives in half and in full precision: of a pullback, and of the pushforward along it."""

    pullback: float
    pushforward: float

    @property
    def worst(self) -> float:
        """The smaller of the two."""
        return min(self.pullback, self.pushforward)


def agreement(look: Linearisation, latents: Tensor) -> Agreement:
    """The cosines at one of `latents` ``(1, latent)``: of Jᵀ J v for a random v, and of the change along that.

    One power step is near what the walk asks for, large changes. A random cotangent is not: what is left of it after
    most of it cancels is rounding (cosines of 0.73 on `faces`, where the direction's own is 0.999).

    Raises:
        WalkError: as `Linearisation.at`; also where half precision overflows.
    """
    full = replace(look, precision=None).at(latents)
    v = torch.randn(1, 1, latents.shape[1], generator=torch.Generator().manual_seed(0)).to(latents)
    changes = [_unit(change[:, 0]) for change in full.push(v)]
    gradient = full.pull(changes)
    tangent = torch.nn.functional.normalize(gradient, dim=1)[:, None]
    pushed = _flat(full.push(tangent))
    full.forget()
    half = look.at(latents)
    return Agreement(_cosine(half.pull(changes), gradient), _cosine(_flat(half.push(tangent)), pushed))


def agreeing(look: Linearisation, latents: Tensor) -> str:
    """How well the derivatives agree, in words.

    Raises:
        InputError: they do not; it says what to do.
    """
    try:
        found = agreement(look, latents)
    except WalkError as error:
        said = f"they cannot be taken: {error}"
    else:
        said = f"cosines {found.pullback:.4f} of a gradient, {found.pushforward:.4f} of the change along it"
        if found.worst >= REFUSED:
            return f"derivatives in half precision agree with those in full: {said}"
    raise InputError(
        f"this generator's derivatives in half precision are not those in full ({said}; {REFUSED} is asked for): leave "
        "precision out"
    )


def _flat(parts: tuple[Tensor, ...]) -> Tensor:
    """Every feature's change at its own scale, so that none drowns in another's numbers."""
    return torch.cat([_unit(part).flatten() for part in parts])


def _unit(part: Tensor) -> Tensor:
    return part / part.norm().clamp_min(1e-30)


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0))
