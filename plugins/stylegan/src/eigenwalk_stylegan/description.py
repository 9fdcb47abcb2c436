"""The result of reading a file of any format: a configuration, tensors under our names, and their source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eigenwalk.checkpoint import fill
from eigenwalk_stylegan import stylegan2, stylegan3
from eigenwalk_stylegan.configuration import Configuration, StyleGAN2

MEAN = "mapping.mean"
MEASURED = 4096
"""Random latents behind the mean w of a file that has none: rosinality's own script takes as many."""
Network = stylegan2.Network | stylegan3.Network


@dataclass(frozen=True)
class Description:
    """A generator as data.

    Attributes:
        configuration: the architecture and its sizes.
        state: tensors by the names of `stylegan2.Network` and `stylegan3.Network`.
        source: what the file is, in words.
        notes: what was chosen, or made up for what the file lacks.
    """

    configuration: Configuration
    state: Mapping[str, Tensor]
    source: str
    notes: list[str] = field(default_factory=list)


def network(description: Description, what: str) -> Network:
    """Return the described network: float32, eval mode, frozen. `what` names the file.

    Raises:
        WeightsError: tensors are missing or left over, or their shapes are not those of the configuration.
        FileError: tensors hold NaN or infinity.
    """
    sizes, state = description.configuration, dict(description.state)
    if measured := MEAN not in state:
        state[MEAN] = torch.zeros(sizes.mapping.w_dim)
        description.notes.append(f"the mean w is measured on {MEASURED} latents: the file has none")
    if _colour(sizes, state):
        description.notes.append("the network is grey: its images are the same in all three channels")
    if _add_noise(sizes, state):
        description.notes.append("noise inputs are drawn from seed 0: the file has none")
    made = fill(lambda: build_network(sizes), state, what)
    if measured:
        made.mapping.mean.copy_(_mean(made))
    return made


def _colour(sizes: Configuration, state: dict[str, Tensor]) -> bool:
    """Repeat the last layers of a grey network for red, green and blue, and return whether it was grey."""
    last = "rgbs." if isinstance(sizes, StyleGAN2) else f"layers.{sizes.layers - 2}."
    ends = re.compile(re.escape(last) + r"(\d+\.)?(weight|bias)")
    grey = [name for name, tensor in state.items() if ends.fullmatch(name) and tensor.shape[0] == 1]
    for name in grey:
        state[name] = state[name].expand(3, *state[name].shape[1:]).clone()
    return bool(grey)


def _add_noise(sizes: Configuration, state: dict[str, Tensor]) -> bool:
    """Draw noise inputs where the network was trained with some and the file has left them out, and return whether."""
    if not isinstance(sizes, StyleGAN2) or not sizes.noise:
        return False
    random, drawn = torch.Generator().manual_seed(0), False
    for i in range(2 * len(sizes.channels) - 1):
        name, k = f"convs.{i}.noise", (i + 1) // 2
        if name not in state and f"convs.{i}.strength" in state:
            state[name], drawn = torch.randn(sizes.start[0] << k, sizes.start[1] << k, generator=random), True
    return drawn


@torch.no_grad()
def _mean(made: Network) -> Tensor:
    """Estimate the mean w ``(w_dim,)`` from random z of a fixed seed."""
    z = torch.randn(MEASURED, made.sizes.mapping.z_dim, generator=torch.Generator().manual_seed(0))
    return made.mapping(z, 0 if made.sizes.mapping.labels else None).mean(0)


def build_network(configuration: Configuration) -> Network:
    """Return the network of a configuration, its tensors not filled."""
    if isinstance(configuration, StyleGAN2):
        return stylegan2.Network(configuration)
    return stylegan3.Network(configuration)
