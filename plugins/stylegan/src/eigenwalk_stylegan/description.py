"""What every format is read into: a configuration, tensors by our own names, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eigenwalk.checkpoint import StateDict, fill
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
        facts: what else is known of it, by label.

    What the file lacks is made up for: a mean w is measured, noise inputs are drawn, and `facts` says so.
    """

    configuration: Configuration
    state: Mapping[str, Tensor]
    source: str
    facts: dict[str, str] = field(default_factory=dict)


def facts_of(found: StateDict) -> dict[str, str]:
    """Which copy of the weights was taken, where there are several."""
    return {"weights": found.choice} if found.choice else {}


def network(description: Description, what: str) -> Network:
    """The described network: float32, eval mode, frozen. `what` names the file.

    Raises:
        WeightsError: tensors are missing or left over, or their shapes are not those of the configuration.
        FileError: tensors hold NaN or infinity.
    """
    sizes, state = description.configuration, dict(description.state)
    if measured := MEAN not in state:
        state[MEAN] = torch.zeros(sizes.mapping.w_dim)
        description.facts["mean w"] = f"of {MEASURED} latents, as the file has none"
    _colour(sizes, state, description.facts)
    _add_noise(sizes, state, description.facts)
    made = fill(lambda: built(sizes), state, what)
    if measured:
        made.mapping.mean.copy_(_mean(made))
    return made


def _colour(sizes: Configuration, state: dict[str, Tensor], facts: dict[str, str]) -> None:
    """Repeat the last layers of a grey network for red, green and blue."""
    last = "rgbs" if isinstance(sizes, StyleGAN2) else f"layers.{sizes.layers - 2}"
    for name, tensor in state.items():
        end = name.rpartition(".")[2]
        if name.startswith(f"{last}.") and ".style." not in name and end in ("weight", "bias") and tensor.shape[0] == 1:
            state[name] = tensor.expand(3, *tensor.shape[1:]).clone()
            facts["images"] = "grey, the same in all three channels"


def _add_noise(sizes: Configuration, state: dict[str, Tensor], facts: dict[str, str]) -> None:
    """Draw the noise inputs of a network that was trained with some, from a file that has left them out."""
    if not isinstance(sizes, StyleGAN2) or not sizes.noise:
        return
    random = torch.Generator().manual_seed(0)
    for i in range(2 * len(sizes.channels) - 1):
        name, k = f"convs.{i}.noise", (i + 1) // 2
        if name not in state and f"convs.{i}.strength" in state:
            state[name] = torch.randn(sizes.start[0] << k, sizes.start[1] << k, generator=random)
            facts["noise"] = "drawn from seed 0, as the file has none"


@torch.no_grad()
def _mean(made: Network) -> Tensor:
    """The mean w ``(w_dim,)`` of the same random z each time."""
    z = torch.randn(MEASURED, made.sizes.mapping.z_dim, generator=torch.Generator().manual_seed(0))
    return made.mapping(z, 0 if made.sizes.mapping.labels else None).mean(0)


def built(configuration: Configuration) -> Network:
    """The network of a configuration, its tensors not filled."""
    if isinstance(configuration, StyleGAN2):
        return stylegan2.Network(configuration)
    return stylegan3.Network(configuration)
