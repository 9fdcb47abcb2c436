"""Checks of dtype and device: values come in those of the inputs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eigenwalk.names.discovery import explain
from eigenwalk_testing.checks import Failed, Inapplicable, fail
from eigenwalk_testing.subject import Subject, apart, dtype_name, normal

HALF = 0.05
"""Largest difference of half-precision values from float32's, as a share of the largest value: bfloat16 has 8 bits."""
TINY = 1e-9


def dtype(s: Subject) -> str:
    """float32 inputs give float32 values, and float64 inputs float64 ones that were computed in float64."""
    remedy = "write constant.to(images), and keep networks as attributes: they are moved before a walk starts"
    if s.reference.dtype != torch.float32:
        fail(f"float32 inputs give {dtype_name(s.reference)} values", remedy)
    with s.precisely(torch.float64):
        inputs = s.inputs.double()
        inputs = inputs + TINY * normal(inputs)  # no float32 number is left among them
        values = s.values(inputs)
    if values.dtype != torch.float64:
        fail(f"float64 inputs give {dtype_name(values)} values", remedy)
    told = values[values != 0]
    if len(told) and torch.equal(told, told.float().double()) and _computes(s):
        s.follows = False
        fail("float64 inputs give values that were computed in float32", remedy)
    return "float32 from float32, float64 from float64"


def _computes(s: Subject) -> bool:
    """Whether values have many digits at all: a count, or a rounded place, is a float32 number by itself."""
    told = s.reference[s.reference != 0]
    return not torch.equal(told, told.bfloat16().float())


def device(s: Subject) -> str:
    """Values are computed on the inputs' device: on an accelerator where there is one, else on torch's meta device."""
    if s.reference.device.type != "cpu":
        fail(f"inputs on the CPU give values on {s.reference.device}", "leave values on the images' device")
    there = _accelerator()
    return _on_meta(s) if there is None else _on_accelerator(s, there)


REMEDY = (
    "make constants where the images are, torch.tensor(…, device=images.device), or keep them as buffers of a module"
)


def _accelerator() -> torch.device | None:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else None


def _on_accelerator(s: Subject, there: torch.device) -> str:
    inputs = s.inputs.to(there)
    s.object.to(there, torch.float32)
    try:
        with torch.no_grad():
            values = s.near(inputs)(inputs)
    except RuntimeError as error:
        fail(f"on {there} it raised {explain(error)}", REMEDY)
    finally:
        s.object.to("cpu", torch.float32)
    if values.device.type != there.type:
        fail(f"inputs on {there} give values on {values.device}", REMEDY)
    return f"values of inputs on {there} are there too, {apart(values.cpu(), s.reference):.1g} from the CPU's"


def _on_meta(s: Subject) -> str:
    """Meta tensors have shape and device and no numbers: what mixes them with the CPU's would fail on a GPU too.

    A feature whose at() asks for the numbers themselves (is the mask empty?) is called without it.
    """
    kept: dict[int, Any] = {}
    copied: Any = copy.deepcopy(s.object, kept)
    inputs, reason = s.inputs.to("meta"), ""
    ways = [lambda: copied.at(inputs)(inputs)] if hasattr(copied, "at") else []
    for way in (*ways, lambda: copied(inputs)):
        try:
            with _only(kept), _Together(), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of modules that torch imports for it
                copied.to("meta", torch.float32)
                values = way()
        except Failed:
            raise
        except Exception as error:  # whatever cannot go on without numbers
            reason = reason or f"{type(error).__name__}: {error}".partition("\n")[0][:90]
            continue
        if isinstance(values, Tensor) and values.device.type != "meta":
            fail(f"inputs on another device give values on {values.device}", REMEDY)
        return "on torch's meta device (there is no accelerator here) values are where the inputs are"
    raise Inapplicable(f"there is no accelerator here, and without numbers it cannot run ({reason})")


@contextmanager
def _only(copies: dict[int, Any]) -> Iterator[None]:
    """Refuse to move modules that are not among `copies`: on the meta device they would lose their numbers."""
    ours = {id(one) for one in copies.values() if isinstance(one, nn.Module)}
    move = nn.Module._apply

    def guarded(module: nn.Module, *given: Any, **named: Any) -> nn.Module:
        if id(module) not in ours:
            raise RuntimeError(f"it moves a network that it does not hold, {type(module).__name__}")
        return move(module, *given, **named)

    with mock.patch.object(nn.Module, "_apply", guarded):
        yield


class _Together(TorchDispatchMode):
    """Fail where an operation mixes meta tensors with the CPU's: some operations let that pass."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        places = {one.device.type for one in tensors if one.ndim}  # a number on the CPU may meet any device
        moves = any(word in function.__name__ for word in ("copy", "index"))
        if len(places) > 1 and not moves:
            fail(f"{function.__name__} is given tensors on the CPU beside those on the images' device", REMEDY)
        return function(*args, **(kwargs or {}))


def half(s: Subject) -> str:
    """Where the spec declares half precision, float16 and bfloat16 inputs give nearly float32's values."""
    specs = [offer.spec for offer in s.offers]
    if len(specs) != 1 or not specs[0].half:
        raise Inapplicable("its spec does not declare half=True")
    told = []
    for kind in (torch.float16, torch.bfloat16):
        inputs = s.inputs.to(kind)
        with s.precisely(kind):
            values = s.values(inputs)
        if values.dtype != kind:
            fail(f"{dtype_name(inputs)} inputs give {dtype_name(values)} values", "return values in the input's dtype")
        difference = apart(values.float(), s.reference)
        if not difference <= HALF:
            fail(
                f"in {dtype_name(inputs)} values differ by {difference:.2g} of the largest, and {HALF:g} is allowed",
                "compute what overflows or cancels in float32 and turn the result back, or declare half=False",
            )
        told.append(f"{difference:.1g} in {dtype_name(inputs)}")
    return f"{', '.join(told)}, {HALF:g} allowed"
