"""The tensors of a file, taken one by one: a missing one raises, and so does one that is left over."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import WeightsError


class Tensors:
    """The tensors of the file that is called `what`."""

    def __init__(self, held: Mapping[str, Tensor], what: str) -> None:
        self.held = held
        self.what = what
        self.taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.held

    def take(self, name: str) -> Tensor:
        """Return the tensor `name` in float64; raises WeightsError where there is none."""
        if name not in self.held:
            raise WeightsError(f"{self.what} has no tensor {name}: it is truncated, or another network than it seems")
        self.taken.add(name)
        return self.held[name].detach().double()

    def sides(self, name: str) -> tuple[int, ...]:
        """The shape of the tensor `name`; raises WeightsError where there is none, or it has less than two sides."""
        shape = tuple(self.take(name).shape)
        if len(shape) < 2 or not all(shape):
            raise WeightsError(f"{self.what} has {name} of shape {shape}: it is another network than it seems")
        return shape

    def check_all_taken(self, ignored: str) -> None:
        """Raise WeightsError if a tensor is left over whose name does not end with the regular expression `ignored`."""
        left = [name for name in self.held if name not in self.taken and not re.search(f"({ignored})$", name)]
        if left:
            few = ", ".join(left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")
            raise WeightsError(f"{self.what} holds tensors that no BigGAN has: {few}")


def count_layers(tensors: Tensors, pattern: str) -> int:
    """Return how many layers there are, whose numbers are the first group of `pattern`: 0, 1, … without a gap."""
    found = {int(match[1]) for name in tensors.held if (match := re.match(pattern, name))}
    if not found or found != set(range(len(found))):
        raise WeightsError(f"{tensors.what} has its layers numbered {sorted(found)[:12]}: 0, 1, 2, … are expected")
    return len(found)


def spectral_norm(weight: Tensor, u: Tensor) -> Tensor:
    """The largest singular value of `weight` ``(outputs, …)``, estimated by one step of the power method from `u`.

    Miyato et al. 2018 (arXiv 1802.05957), algorithm 1: v = Wᵀu / |Wᵀu|, u = Wv / |Wv|, σ = uᵀWv.
    """
    matrix = weight.flatten(1)
    v = F.normalize(u.flatten() @ matrix, dim=0)
    return F.normalize(matrix @ v, dim=0) @ matrix @ v


def statistics(mean: Tensor, variance: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale ``(channels,)`` of a batch norm."""
    return mean, torch.rsqrt(variance + eps)
