"""Functions that TorchScript's code may call: ATen's operations, and those on numbers, words and lists."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eigenwalk_module.aten import check_eval, lookup
from eigenwalk_module.opened import Refusal

LONGEST = 100_000
"""Items of a list, and characters of a message."""
DTYPES = (
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64,
    torch.complex32, torch.complex64, torch.complex128, torch.bool, None, None, None, torch.bfloat16,
)  # fmt: skip
"""torch's dtypes by the numbers that code has for them."""
FLOAT32 = 6


@dataclass
class Place:
    """The network's device and dtype, which replace the device and float32 written in a trace."""

    device: torch.device
    dtype: torch.dtype


class Operation:
    """An operation of ATen at one place of the code; its overload is chosen when it is first called."""

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name, self.packet = place, name, lookup(name)
        self.overload: Any = None

    def __call__(self, given: list[Any], named: dict[str, Any]) -> Any:
        """Return its result; `given` and `named` are changed."""
        if not isinstance(self.packet, torch._ops.OpOverloadPacket):
            named.update((key, self._word(key, one)) for key, one in named.items())
            return self.packet(*given, **named)
        if self.overload is None:
            chosen = torch._C._jit_resolve_packet(f"aten::{self.name}", *given, **named)
            self.overload = lookup(self.name, chosen)
            self.kinds = [(one.name, str(one.real_type)) for one in self.overload._schema.arguments]
        for i, (name, kind) in enumerate(self.kinds):
            value = given[i] if i < len(given) else named.get(name)
            if value is None:
                continue
            if name == "training":
                check_eval(self.name, value)
            if kind.endswith(("ScalarType", "ScalarType]", "Device", "Device]")):
                value = self._word("device" if "Device" in kind else "dtype", value)
            elif kind.endswith(("Layout", "Layout]")):
                value = torch.strided
            else:
                continue
            if i < len(given):
                given[i] = value
            else:
                named[name] = value
        return self.overload(*given, **named)

    def _word(self, name: str, value: Any) -> Any:
        """Return a dtype or a device as this network has it."""
        if name == "device":
            return self.place.device
        if name == "layout":
            return torch.strided
        if name != "dtype" or not isinstance(value, int):
            return value
        return self.place.dtype if value == FLOAT32 else DTYPES[value]


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with checks that numbers fit 64 bits and that lists and words are short."""

    def bounded(*given: Any, **named: Any) -> Any:
        result = function(*given)
        if isinstance(result, int) and not -(2**63) <= result < 2**63:
            raise Refusal("its code computes a number of more than 64 bits")
        if isinstance(result, (list, str)) and len(result) > LONGEST:
            raise Refusal(f"its code makes a list of more than {LONGEST:,} items")
        return result

    return bounded


def _add(a: Any, b: Any) -> Any:
    return a + b


def _mul(a: Any, b: Any) -> Any:
    if not all(isinstance(one, (int, float, complex)) for one in (a, b)):
        raise Refusal("its code multiplies what are no numbers")
    return a * b


def _append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _insert(values: Any, key: Any, value: Any) -> Any:
    values[key] = value
    return values


def _format(text: str, *given: Any) -> str:
    parts = text.split("{}")
    words = [str(one)[:200] if isinstance(one, (str, int, float)) else type(one).__name__ for one in given]
    return "".join(part + word for part, word in zip(parts, [*words, *[""] * len(parts)], strict=False))


def _raise(place: Place, message: Any = "", *kind: Any) -> None:
    raise ValueError(str(message)[:300])


def _size(place: Place, x: Tensor, dim: int | None = None) -> Any:
    return list(x.shape) if dim is None else x.shape[dim]


def _tensor(place: Place, value: Any, dtype: int | None = None, *other: Any, **named: Any) -> Tensor:
    kind = (
        place.dtype
        if dtype in (None, FLOAT32) and isinstance(value, float)
        else None
        if dtype is None
        else DTYPES[dtype]
    )
    return torch.as_tensor(value, dtype=kind, device=place.device)


def _dtype(place: Place, x: Tensor) -> int:
    return DTYPES.index(x.dtype)


CONVERSIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("annotate", "unchecked_cast", "uninitialized", "print", "isinstance", "getattr"), id),
    "int": int, "float": float, "bool": bool, "str": str, "complex": complex,
}  # fmt: skip
OWN: dict[str, Callable[..., Any]] = {
    "NumToTensor": lambda place, number: torch.tensor(number),
    "RaiseException": _raise,
    "device": lambda place, *given: place.device,
    "dtype": _dtype,
    "layout": lambda place, x: 0,
    "data": lambda place, x: x.detach(),
    "is_cuda": lambda place, x: x.is_cuda,
    "is_nested": lambda place, x: False,
    "requires_grad": lambda place, x: True,
    "type": lambda place, device: device.type,
    "shape": _size,
    "ndim": lambda place, x: x.dim(),
    "numel": lambda place, x: x.numel(),
    "min": lambda place, *given: min(*given),
    "max": lambda place, *given: max(*given),
    "abs": lambda place, value: abs(value),
    "tensor": _tensor,
    "as_tensor": _tensor,
    "item": lambda place, x: x.item(),
    "unchecked_unwrap_optional": lambda place, value: value,
    "_unwrap_optional": lambda place, value: value,
    "size": _size,
    "dim": lambda place, x: x.dim(),
    "is_floating_point": lambda place, x: x.is_floating_point(),
    "is_complex": lambda place, x: x.is_complex(),
    "is_grad_enabled": lambda place: True,
    "is_autocast_enabled": lambda place, *given: False,
    "is_scripting": lambda place: True,
    "is_contiguous": lambda place, x, *other: x.is_contiguous(),
    "get_device": lambda place, x: x.get_device(),
    "stride": lambda place, x, *dim: x.stride(*dim) if dim else list(x.stride()),
    "cpu": lambda place, x: x.to(place.device),
    "cuda": lambda place, x: x.to(place.device),
    "requires_grad_": lambda place, x, *other: x,
    "__is__": lambda place, a, b: a is b,
    "__isnot__": lambda place, a, b: a is not b,
    "format": lambda place, text, *given: _format(text, *given),
}
"""Operations of the language itself, and questions about a tensor."""
ONLY_PLAIN = frozenset({
    "append", "__getitem__", "__contains__", "__not__", "len", "extend", "pop", "reverse", "list", "keys", "values",
    "items", "_set_item", "floordiv", "truediv", "__range_length", "__derive_index",
})  # fmt: skip
PLAIN: dict[str, Callable[..., Any]] = {
    name: _bounded(function)
    for name, function in {
        "add": _add, "mul": _mul, "sub": operator.sub, "div": operator.truediv, "truediv": operator.truediv,
        "floordiv": operator.floordiv, "floor_divide": operator.floordiv, "remainder": operator.mod,
        "neg": operator.neg, "pow": lambda a, b: float(a) ** float(b), "abs": abs, "sqrt": lambda a: a**0.5,
        "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt,
        "ge": operator.ge, "__and__": operator.and_, "__or__": operator.or_, "__xor__": operator.xor,
        "__not__": operator.not_, "floor": lambda a: int(a // 1), "ceil": lambda a: int(-(-a // 1)), "round": round,
        "log": lambda a: torch.tensor(float(a), dtype=torch.float64).log().item(),
        "log2": lambda a: torch.tensor(float(a), dtype=torch.float64).log2().item(),
        "exp": lambda a: torch.tensor(float(a), dtype=torch.float64).exp().item(),
        "min": min, "max": max, "sum": sum, "all": all, "any": any, "len": len, "list": list,
        "slice": lambda values, start=None, end=None, step=1: values[start:end:step],
        "append": _append, "_set_item": _insert, "__getitem__": operator.getitem,
        "__contains__": operator.contains, "keys": list, "values": lambda values: list(values.values()),
        "items": lambda values: list(values.items()), "pop": lambda values, i=-1: values.pop(i),
        "extend": lambda values, other: values.extend(other), "reverse": lambda values: values.reverse(),
        "__range_length": lambda a, b, step: len(range(a, b, step)), "__derive_index": lambda i, a, step: a + i * step,
    }.items()
}  # fmt: skip
"""Operations of numbers, words, lists and dictionaries."""
TENSOR_IN = {"append": 0, "__getitem__": 0, "__contains__": 0, "insert": 0, "_set_item": 0, "list": 0, "len": 0}
