"""Tensors whose shape is known and whose numbers stay in the file until they are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip
"""Bytes of one number of each dtype."""
DIMENSIONS = 8
SPREAD = 64 << 20
"""Bytes by which a tensor may be larger than its storage: an expanded one repeats numbers."""


@dataclass(eq=False)
class Storage:
    """Numbers in a row, which one or more tensors are views of; `buffer` is a part of the file."""

    dtype: str
    numel: int
    buffer: Any = None
    swapped: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return SIZES[self.dtype]

    @property
    def nbytes(self) -> int:
        """Bytes that the storage claims."""
        return self.numel * self.itemsize

    @property
    def content(self) -> Any:
        """Its bytes; those of another storage, where it gives that one's another dtype."""
        return self.buffer.content if isinstance(self.buffer, Storage) else self.buffer


@dataclass(frozen=True, eq=False, repr=False)
class LazyTensor:
    """One tensor of a file: its shape and dtype at once, its numbers by `load`.

    Attributes:
        shape: sizes of its axes.
        dtype: as torch calls it, such as ``float32``.

    Raises:
        ValueError: it would not lie within its storage.
    """

    storage: Storage
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0

    def __post_init__(self) -> None:
        sides = (self.offset, *self.shape, *self.stride)
        if len(self.shape) != len(self.stride) or len(self.shape) > DIMENSIONS:
            raise ValueError("a tensor of impossible shape")
        if not all(type(side) is int and 0 <= side < 2**48 for side in sides):
            raise ValueError("a tensor of impossible shape")
        if self.numel and self.offset + self._span > self.storage.numel:
            raise ValueError(f"a tensor of shape {self.shape} in a storage of {self.storage.numel} numbers")

    @property
    def dtype(self) -> str:
        """The dtype of its numbers."""
        return self.storage.dtype

    @property
    def numel(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers once they are loaded."""
        return self.numel * self.storage.itemsize

    @property
    def _span(self) -> int:
        """Numbers of the storage from its first to its last."""
        return 1 + sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))

    def load(self) -> Tensor:
        """The tensor, a copy on the CPU in the dtype of the file."""
        import torch

        kind = getattr(torch, self.dtype)
        if not self.numel:
            return torch.empty(self.shape, dtype=kind)
        if self.nbytes > self.storage.nbytes + SPREAD:
            raise ValueError(f"a tensor of shape {self.shape} in a storage of {self.storage.numel} numbers")
        size = self.storage.itemsize
        part = self.storage.content[self.offset * size : (self.offset + self._span) * size]
        if len(part) != self._span * size:
            raise ValueError("the storage of a tensor is not in the file")
        row = torch.frombuffer(bytearray(part), dtype=torch.uint8)  # a copy: aligned, and the file may change
        if self.storage.swapped:
            row = row.view(-1, size).flip(1).reshape(-1)
        whole = row.view(kind).as_strided(self.shape, self.stride)
        return whole if whole.is_contiguous() else whole.contiguous()

    def __repr__(self) -> str:
        return f"<{self.dtype} {self.shape}>"


def contiguous(shape: tuple[int, ...], fortran: bool = False) -> tuple[int, ...]:
    """The strides of a tensor whose numbers lie in the order of its axes; the first axis is fastest in Fortran's.

    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    steps, step = [], 1
    for side in shape if fortran else shape[::-1]:
        steps.append(step)
        step *= side
    return tuple(steps if fortran else steps[::-1])
