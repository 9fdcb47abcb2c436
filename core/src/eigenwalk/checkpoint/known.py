"""What the machine knows of the names in pickles, and what of ours stands for each: the whole trust policy.

All of it is data: dictionaries, sets, tensors, arrays, scalars, modules as records. A name that is not here becomes a
`Record` too, so that a discriminator or an optimiser of foreign classes does not matter; nothing is imported for it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eigenwalk.checkpoint.lazy import LazyTensor, Storage, contiguous
from eigenwalk.checkpoint.machine import Global, Items, Machine, Make, Record, shown

STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip
"""torch's kinds of storage, and the dtype of each."""
NUMPY = {
    "b1": "bool", "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
    "i8": "int64", "u8": "uint64", "f2": "float16", "f4": "float32", "f8": "float64",
}  # fmt: skip
"""NumPy's codes of plain numbers: no objects, which would be pickles again, and no text or structures."""
DTYPES = (*STORAGES.values(), "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")
PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"


def _tensor(machine: Machine, arguments: tuple[Any, ...]) -> LazyTensor:
    """``torch._utils._rebuild_tensor_v2``: a view of a storage."""
    held, offset, size, stride = arguments[:4]
    return _view(held, offset, size, stride)


def _tensor_v3(machine: Machine, arguments: tuple[Any, ...]) -> LazyTensor:
    """``torch._utils._rebuild_tensor_v3``: a view of an untyped storage, with the dtype as an argument."""
    held, offset, size, stride, dtype = *arguments[:4], arguments[6]
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES or not isinstance(held, Storage):
        raise ValueError(f"a tensor of dtype {name[:40]}")
    made = Storage(name, 0, held)
    made.numel = held.nbytes // made.itemsize
    return _view(made, offset, size, stride)


def _view(held: Any, offset: Any, size: Any, stride: Any) -> LazyTensor:
    if not isinstance(held, Storage):
        raise TypeError("a tensor without a storage")
    return LazyTensor(held, tuple(size), tuple(stride), offset)


def _rebuild_from_type(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """``torch._tensor._rebuild_from_type_v2``: a tensor with attributes, which are left out."""
    function, _, inner = arguments[:3]
    return machine.call(function, inner)


def _first(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    return arguments[0]


def _items(machine: Machine, arguments: tuple[Any, ...]) -> Items:
    """A dictionary; Python 2 wrote the items of an ordered one as an argument."""
    (pairs,) = arguments or ((),)
    machine.charge(8 * len(pairs) if isinstance(pairs, list) else 0)
    return Items((machine.key(key), value) for key, value in pairs) if isinstance(pairs, list) else Items()


def _set(machine: Machine, arguments: tuple[Any, ...]) -> set[Any]:
    (values,) = arguments or ((),)
    machine.charge(8 * len(values))
    return {machine.key(value) for value in values}


def _encode(machine: Machine, arguments: tuple[Any, ...]) -> memoryview:
    """Bytes, which older protocols write as text."""
    text, code = arguments
    if code != "latin1":
        raise ValueError("another code than latin1")
    machine.charge(len(text))
    return memoryview(text.encode("latin1"))


def _persistent(machine: Machine, arguments: tuple[Any, ...]) -> Record:
    """A module of NVIDIA's: name and state of its class. The source that comes with it is neither run nor kept."""
    (saved,) = arguments
    return Record(shown(saved["class_name"]), saved["state"])


@dataclass(eq=False)
class Dtype(Record):
    """The type of an array's numbers, from its code and the order of bytes that the state adds."""

    code: str = ""
    order: str = "="

    def build(self, state: Any) -> None:
        """Take the order of bytes from ``(version, order, …)``."""
        if state[1] not in ("<", ">", "=", "|"):
            raise ValueError(f"order of bytes {shown(state[1])}")
        self.order = state[1]

    @property
    def swapped(self) -> bool:
        """Whether the most significant byte stands first."""
        return (self.code[0] if self.code[0] in "<>=|" else self.order) == ">"


@dataclass(eq=False)
class Array(Record):
    """An array, whose numbers come with its state."""

    numbers: LazyTensor | None = None

    def build(self, state: Any) -> None:
        """Take ``(version, shape, dtype, in Fortran's order, bytes)``."""
        _, shape, dtype, fortran, content = state
        self.numbers = _array(content, dtype, shape, bool(fortran))


def _dtype(machine: Machine, arguments: tuple[Any, ...]) -> Dtype:
    code = arguments[0]
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?..", code) or code[-2:] not in NUMPY:
        raise ValueError(f"type {shown(code)} of an array: plain numbers are expected")
    return Dtype("numpy.dtype", code=code)


def _from_buffer(machine: Machine, arguments: tuple[Any, ...]) -> Array:
    content, dtype, shape, order = arguments
    return Array("numpy.ndarray", numbers=_array(content, dtype, shape, order == "F"))


def _scalar(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    dtype, content = arguments
    held = _array(content, dtype, (1,), False)
    code = {"f2": "e", "f4": "f", "f8": "d", "b1": "?"}.get(dtype.code[-2:])
    order = ">" if held.storage.swapped else "<"
    if code is None:
        kind = {"1": "b", "2": "h", "4": "i", "8": "q"}[dtype.code[-1]]
        code = kind.upper() if dtype.code[-2] == "u" else kind
    return struct.unpack(order + code, bytes(content))[0]


def _array(content: Any, dtype: Any, shape: Any, fortran: bool) -> LazyTensor:
    if not isinstance(dtype, Dtype) or not isinstance(content, (bytes, memoryview)):
        raise ValueError("an array of other things than plain numbers")
    sides = tuple(int(side) for side in shape)
    held = Storage(NUMPY[dtype.code[-2:]], 0, content, dtype.swapped)
    held.numel = len(content) // held.itemsize
    made = LazyTensor(held, sides, contiguous(sides, fortran))
    if made.nbytes != len(content):
        raise ValueError(f"an array that claims shape {sides} from {len(content)} bytes")
    return made


def known(storage_in: Callable[[Machine, Any], Any]) -> dict[str, Make | None]:
    """What stands for the call of each global; `storage_in` reads a storage that is saved inside another pickle."""
    return {
        **{f"torch.{name}": None for name in (*STORAGES, *DTYPES)},
        **{f"torch.storage.{name}": None for name in STORAGES},
        "torch.Size": _first,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _tensor_v3,
        "torch._utils._rebuild_parameter": _first,
        "torch._utils._rebuild_parameter_with_state": _first,
        "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
        "torch.storage._load_from_bytes": lambda machine, arguments: storage_in(machine, *arguments),
        "collections.OrderedDict": _items,
        "collections.defaultdict": lambda machine, arguments: Items(),
        "dnnlib.util.EasyDict": lambda machine, arguments: _items(machine, ()),
        "builtins.set": _set,
        "__builtin__.set": _set,
        "_codecs.encode": _encode,
        PERSISTENT: _persistent,
        "numpy.dtype": _dtype,
        "numpy.ndarray": None,
        **{
            f"numpy.{core}.{name}": make
            for core in ("core", "_core")  # before and since NumPy 2
            for name, make in (
                ("multiarray._reconstruct", lambda machine, arguments: Array("numpy.ndarray")),
                ("multiarray.scalar", _scalar),
                ("numeric._frombuffer", _from_buffer),
            )
        },
    }


def storage_claim(identity: Any) -> tuple[str, Storage] | Global:
    """Key and storage of a persistent id ``("storage", kind, key, device, numel, …)``, or the class of a module's.

    Raises:
        TypeError, ValueError, KeyError: it is neither.
    """
    word, kind, key, _, *rest = identity
    if word == "module" and isinstance(kind, Global):  # a class with its source, as older files have it
        return kind
    if word != "storage" or not isinstance(kind, Global) or not isinstance(key, str):
        raise ValueError("a persistent id that is no storage")
    numel = rest[0]
    if type(numel) is not int or not 0 <= numel < 2**48 or kind.module not in ("torch", "torch.storage"):
        raise ValueError("a storage of impossible size")
    return key, Storage(STORAGES[kind.name], numel)
