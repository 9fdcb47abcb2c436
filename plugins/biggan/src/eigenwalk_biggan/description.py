"""What both formats are read into: sizes, tensors by our own names, the classes' embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from eigenwalk.checkpoint import fill
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
        notes: what was chosen when the file was opened.
    """

    sizes: Sizes
    state: Mapping[str, Tensor]
    table: Tensor
    source: str
    truncation: float | None
    notes: tuple[str, ...] = ()


def network(description: Description, what: str) -> Network:
    """Return the described network: float32, eval mode, frozen. `what` names the file.

    Raises:
        WeightsError: tensors are missing or left over, or their shapes are not those of the sizes.
        FileError: tensors hold NaN or infinity, or a normalised weight was all zeros.
    """
    if not bool(description.table.isfinite().all()):
        raise FileError(f"{what} holds NaN or infinity in the embeddings: the network was saved after it had diverged")
    return fill(lambda: Network(description.sizes), description.state, what)
