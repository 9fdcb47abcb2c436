"""What both formats are read into: sizes, tensors by our own names, the classes' embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk import checkpoint
from eigenwalk.errors import FileError
from eigenwalk_biggan.configuration import Sizes
from eigenwalk_biggan.network import Network


@dataclass(frozen=True)
class Description:
    """A generator as data.

    Attributes:
        sizes: the architecture and its sizes.
        state: tensors by the names of `Network`.
        table: the classes' embeddings ``(classes, embedding)``.
        source: what the file is, in words.
        truncation: of z, where none is asked for; None: z is standard normal.
    """

    sizes: Sizes
    state: Mapping[str, Tensor]
    table: Tensor
    source: str
    truncation: float | None


def network(description: Description, what: str) -> Network:
    """The described network: float32, eval mode, frozen. `what` names the file.

    Raises:
        WeightsError: tensors are missing or left over, or their shapes are not those of the sizes.
        FileError: the tensors hold NaN or infinity.
    """
    for name, tensor in {**description.state, "the embeddings": description.table}.items():
        if not bool(tensor.isfinite().all()):
            raise FileError(
                f"{what} holds NaN or infinity, or a weight of zeros, in {name}: it was saved after training diverged"
            )
    with torch.device("meta"), warnings.catch_warnings(action="ignore"):
        # First without memory: the sizes may ask for more than the file has tensors for.
        made = checkpoint.into(Network(description.sizes), description.state, what)
    made = checkpoint.into(made.to_empty(device="cpu"), description.state, what)
    return made.eval().requires_grad_(False)
