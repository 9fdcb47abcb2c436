"""NumPy's arrays, dtypes and scalars in a pickle, read without calling what the pickle names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from eigenwalk_stylegan.inert import Machine, Make, Record, shown

PLAIN = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
"""Types of plain numbers: no objects, which would be pickles again, and no text or structures."""


@dataclass(eq=False)
class Dtype(Record):
    """The type of an array's numbers, from its code and the order of bytes that the state adds."""

    code: str = ""
    order: str = "="

    def build(self, state: Any) -> None:
        """Takes the order of bytes from ``(version, order, …)``."""
        if state[1] not in ("<", ">", "=", "|"):
            raise ValueError(f"order of bytes {shown(state[1])}")
        self.order = state[1]

    @property
    def numpy(self) -> np.dtype:
        """The type itself."""
        return np.dtype(self.code if self.code[0] in "<>=|" else self.order.replace("|", "=") + self.code)


@dataclass(eq=False)
class Array(Record):
    """An array, whose numbers come with its state; they stay a view of the file, read-only."""

    numbers: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Takes ``(version, shape, dtype, in Fortran's order, bytes)``."""
        _, shape, dtype, fortran, content = state
        self.numbers = _array(content, dtype, shape, "F" if fortran else "C")


def _dtype(machine: Machine, arguments: tuple[Any, ...]) -> Dtype:
    code = arguments[0]
    if not isinstance(code, str) or not PLAIN.fullmatch(code):
        raise ValueError(f"type {shown(code)} of an array: plain numbers are expected")
    return Dtype("numpy.dtype", code=code)


def _reconstruct(machine: Machine, arguments: tuple[Any, ...]) -> Array:
    return Array("numpy.ndarray")


def _from_buffer(machine: Machine, arguments: tuple[Any, ...]) -> Array:
    content, dtype, shape, order = arguments
    return Array("numpy.ndarray", numbers=_array(content, dtype, shape, order))


def _scalar(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    dtype, content = arguments
    return _array(content, dtype, (1,), "C")[0].item()


def _array(content: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(dtype, Dtype) or not isinstance(content, (bytes, memoryview)):
        raise ValueError("an array of other things than plain numbers")
    kind, sides = dtype.numpy, tuple(int(side) for side in shape)
    if min(sides, default=0) < 0 or math.prod(sides) * kind.itemsize != len(content):
        raise ValueError(f"an array that claims shape {sides} from {len(content)} bytes")
    numbers = np.frombuffer(content, kind).reshape(sides, order=order)  # type: ignore[call-overload]
    numbers.flags.writeable = False
    return numbers


NUMPY: dict[str, Make | None] = {
    "numpy.dtype": _dtype,
    "numpy.ndarray": None,
    **{
        f"numpy.{core}.{name}": make
        for core in ("core", "_core")  # before and since NumPy 2
        for name, make in (
            ("multiarray._reconstruct", _reconstruct),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _from_buffer),
        )
    },
}
"""What stands for NumPy's globals."""
