"""The result of reading a file of any format: a module, its inputs, and the name of its last operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from eigenwalk.checkpoint import LazyTensor

EXTRA = 64 << 20
"""Bytes by which the tensors of a file may be larger than four times the file: several may be views of the same."""


class Refusal(Exception):
    """A request of a file that is refused; its text continues "FILE was not opened: "."""


@dataclass(frozen=True)
class Input:
    """One input: `shape` without the batch, None where the file does not tell; `whole` for integers."""

    name: str
    shape: tuple[int, ...] | None
    whole: bool = False
    scalar: bool = False


@dataclass(frozen=True)
class Opened:
    """A network from a file.

    Attributes:
        module: called with one tensor, or number, for each of `inputs`.
        last: name of the operation that gives its output, where that is known.
        batch: rows that the file was exported with, where that is fixed.
        operations: how many there are, None where that is not known.
    """

    module: nn.Module
    inputs: tuple[Input, ...]
    words: str
    last: str = ""
    batch: int | None = None
    operations: int | None = None


class Loader:
    """Loads the tensors of a file of `size` bytes, each view of the same numbers only once."""

    def __init__(self, size: int) -> None:
        self.left, self.loaded = 4 * size + EXTRA, {}

    def __call__(self, tensor: LazyTensor) -> Tensor:
        """Return the tensor; raises Refusal if many views of a few numbers would take much memory."""
        key = (id(tensor.storage), tensor.shape, tensor.stride, tensor.offset)
        if key not in self.loaded:
            self.left -= tensor.nbytes
            if self.left < 0:
                raise Refusal("its tensors would take more than four times the file's size")
            self.loaded[key] = tensor.load(), tensor.storage  # kept, so that its id is not given to another
        return self.loaded[key][0]


def image_of(result: Any) -> Tensor:
    """Return the first of a network's outputs that has four axes."""
    results = result if isinstance(result, (tuple, list)) else (result,)
    image = next((one for one in results if isinstance(one, Tensor) and one.ndim == 4), None)
    if image is None:
        raise Refusal("it gives no images: none of its outputs is a tensor of four axes")
    return image
