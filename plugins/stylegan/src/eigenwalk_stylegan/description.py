"""What every format is read into: a configuration, tensors by our own names, and where they come from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk import checkpoint
from eigenwalk.errors import FileError
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

    Where the file has no mean w, `network` measures it.
    """

    configuration: Configuration
    state: Mapping[str, Tensor]
    source: str


def network(description: Description, path: Path) -> Network:
    """The described network: float32, eval mode, frozen.

    Raises:
        WeightsError: tensors are missing or left over, or their shapes are not those of the configuration.
        FileError: the tensors have more bytes than the file: one storage serves as many.
    """
    state = {name: tensor.detach() for name, tensor in description.state.items()}
    if measured := MEAN not in state:
        state[MEAN] = torch.zeros(description.configuration.mapping.w_dim)
    if sum(tensor.numel() * tensor.element_size() for tensor in state.values()) > 2 * path.stat().st_size:
        raise FileError(f"{path} was not opened: its tensors are more than the file has room for")
    with torch.device("meta"), warnings.catch_warnings(action="ignore"):
        # First without memory: the configuration may ask for more than the file has tensors for.
        checkpoint.into(built(description.configuration), state, str(path))
    made = checkpoint.into(built(description.configuration), state, str(path))
    if measured:
        made.mapping.mean.copy_(_mean(made))
    for name, tensor in made.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise FileError(f"{path} holds NaN or infinity in {name}: the network was saved after it had diverged")
    return made.eval().requires_grad_(False)


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
