"""Read files of torch.export and run their graph with our own operations.

torch's own loader is not used: it evaluates text of the file (sizes go through sympy's parser, guards through exec),
unpickles members, and looks a node's operation up by any dotted name under ``torch``, of which ``torch.os.system`` is
one. Here the graph is data: JSON for nodes, plain numbers for tensors, and operations from the list in `aten` or sums
of sizes. Written from the schema that torch documents in ``torch/_export/serde/schema.py``.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint, LazyTensor
from eigenwalk.checkpoint.lazy import SIZES as ITEMSIZES
from eigenwalk.checkpoint.lazy import Storage
from eigenwalk.errors import FileError
from eigenwalk_module.aten import CHECKS, check_eval, lookup
from eigenwalk_module.bounds import NODES
from eigenwalk_module.opened import Input, Loader, Opened, Refusal

DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 9: torch.complex32, 10: torch.complex64, 11: torch.complex128, 12: torch.bool,
    13: torch.bfloat16,
}  # fmt: skip
FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
STRIDED = 7
SIGNS = 3_000_000
"""Commas and brackets in the description of a graph: each becomes an object in memory."""
ARITHMETIC: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in (
        "add", "sub", "mul", "floordiv", "mod", "neg", "truediv", "eq", "ne", "le", "lt", "ge", "gt", "and_", "or_",
    )},
    "math.ceil": math.ceil, "math.floor": math.floor, "math.trunc": math.trunc, "torch.sym_float": float,
    "torch.sym_max": max, "torch.sym_min": min, "torch.sym_not": operator.not_,
}  # fmt: skip
"""What is computed of sizes."""
LITERAL = ("as_int", "as_ints", "as_bool", "as_bools", "as_string")
HELD = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
"""Kinds of inputs that lie in the file, and how their entries call the name."""


class Program(nn.Module):
    """The graph of a file: nodes carried out one after another, each value dropped after its last use.

    What a node makes in float32 is made in this module's dtype, which `to` sets, and on the device of its input.
    """

    def __init__(self, graph: Mapping[str, Any], tensors: Mapping[str, Tensor], takes: list[str], gives: str) -> None:
        super().__init__()
        if len(graph["nodes"]) > NODES:
            raise Refusal(f"its graph has more than {NODES:,} operations")
        self.nodes = [(_function(one), one) for one in graph["nodes"] if not _is_check(one["target"])]
        self.takes, self.gives, self.held = takes, gives, {}
        for i, (name, tensor) in enumerate(tensors.items()):
            self.register_buffer(f"tensor_{i}", tensor)
            self.held[name] = f"tensor_{i}"
        last = {name: i for i, (_, node) in enumerate(self.nodes) for name in _names([node["inputs"], node["outputs"]])}
        self.last: list[list[str]] = [[] for _ in self.nodes]
        for name, i in last.items():
            if name != gives:
                self.last[i].append(name)

    def forward(self, *given: Tensor) -> Tensor:
        """Return the graph's first image-like output."""
        values: dict[str, Any] = dict(zip(self.takes, given, strict=True))
        values |= {name: getattr(self, held) for name, held in self.held.items()}
        floats = next((one for one in given if isinstance(one, Tensor) and one.is_floating_point()), given[0])
        del given
        for (function, node), last in zip(self.nodes, self.last, strict=True):
            arguments = [(one, _value(one["arg"], values, floats)) for one in node["inputs"]]
            positional = [value for one, value in arguments if one.get("kind") != 2]
            named = {one["name"]: value for one, value in arguments if one.get("kind") == 2}
            del arguments
            _keep(node["outputs"], function(*positional, **named), values)
            del positional, named
            for name in last:
                values.pop(name, None)
        return values[self.gives]


def program(checkpoint: Checkpoint) -> Opened:
    """Return the exported program in the file.

    Raises:
        FileError: it is damaged, its tensors are pickled, or it wants an operation that is not on the list.
    """
    held = checkpoint.members
    try:
        models = [name for name in held if name.startswith("models/") and name.endswith(".json")]
        if len(models) != 1:
            raise Refusal(f"it holds {len(models)} programs, where one was expected: save the generator alone")
        model = models[0].removeprefix("models/").removesuffix(".json")
        described = _json(held[models[0]])["graph_module"]
        return _opened(described, _stored(held, model, Loader(checkpoint.size)))
    except Refusal as error:
        raise FileError(f"{checkpoint} was not opened: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise FileError(
            f"{checkpoint} is no program that torch.export of torch 2.8 or later saved, or is damaged "
            f"({type(error).__name__}: {error})"
        ) from error


def _json(data: memoryview) -> Any:
    text = bytes(data)
    if sum(map(text.count, (b",", b"[", b"{"))) > SIGNS:
        raise Refusal("its description is too long")
    return json.loads(text)


def _opened(described: Mapping[str, Any], stored: Mapping[str, Tensor]) -> Opened:
    graph, signature = described["graph"], described["signature"]
    tensors, takes, inputs, batches = {}, [], [], []
    for spec in signature["input_specs"]:
        ((kind, one),) = spec.items()
        if kind in HELD:
            tensors[one["arg"]["name"]] = stored[one[HELD[kind]]]
        elif kind == "user_input" and "as_tensor" in one["arg"]:
            name = one["arg"]["as_tensor"]["name"]
            takes.append(name)
            meta = graph["tensor_values"][name]
            sizes = [size.get("as_int") for size in meta["sizes"]]
            batches.append(sizes[0] if sizes else None)
            fixed = None if None in sizes[1:] else tuple(sizes[1:])
            inputs.append(Input(name, fixed, not DTYPES[meta["dtype"]].is_floating_point))
        else:
            raise Refusal(f"it takes a {kind}, and only tensors are known here: export it with tensors alone")
    images = (
        one["user_output"]["arg"]["as_tensor"]["name"] for one in signature["output_specs"] if _is_image(one, graph)
    )
    gives = next(images, None)
    if gives is None:
        raise Refusal("it gives no images: none of its outputs is a tensor of four axes")
    made = Program(graph, tensors, takes, gives)
    last = next((node["target"].split(".")[3] for node in graph["nodes"] if _makes(node, gives)), "")
    return Opened(made, tuple(inputs), "torch.export program", last, batches[0], len(made.nodes))


def _is_image(spec: Mapping[str, Any], graph: Mapping[str, Any]) -> bool:
    ((kind, one),) = spec.items()
    if kind not in ("user_output", "token"):
        raise Refusal(f"one of its outputs is a {kind}: export it in eval mode")
    argument = one["arg"].get("as_tensor")
    return bool(argument) and len(graph["tensor_values"][argument["name"]]["sizes"]) == 4


def _makes(node: Mapping[str, Any], name: str) -> bool:
    aten = node["target"].startswith("torch.ops.aten.")
    return aten and any(one.get("as_tensor", {}).get("name") == name for one in node["outputs"])


def _is_check(target: str) -> bool:
    """Whether a node has no result, because it only checks an assumption or marks a part for a profiler."""
    words = target.split(".")
    return words[:3] == ["torch", "ops", "profiler"] or (words[:3] == ["torch", "ops", "aten"] and words[3] in CHECKS)


def _function(node: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the function that carries out a node.

    Raises:
        Refusal: it is not on the lists of operations.
    """
    target = node["target"]
    words = target.split(".")
    if target == "_operator.getitem":
        return operator.getitem
    if target in ARITHMETIC:
        return _bounded(ARITHMETIC[target])
    if words[:3] != ["torch", "ops", "aten"] or len(words) != 5:
        raise Refusal(f"it wants {target[:80]}, and only ATen's operations are carried out")
    for one in node["inputs"]:
        if one["name"] in ("training", "train"):
            check_eval(words[3], one["arg"].get("as_bool"))
    return lookup(words[3], words[4])


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with a check that sizes fit 64 bits."""

    def bounded(*sizes: Any) -> Any:
        if any(not isinstance(one, (int, float)) or abs(one) >= 2**63 for one in sizes):
            raise Refusal("it computes sizes of what is no size")
        return function(*sizes)

    return bounded


def _names(node: Any) -> Iterator[str]:
    """The names of all values in a part of a node."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("name", "as_name") and isinstance(value, str):
                yield value
            elif isinstance(value, (dict, list)):
                yield from _names(value)
    elif isinstance(node, list):
        for one in node:
            yield from _names(one)


def _value(argument: Mapping[str, Any], values: Mapping[str, Any], floats: Tensor) -> Any:
    """Return the value that an argument stands for."""
    ((kind, one),) = argument.items()
    if kind == "as_tensor":
        return values[one["name"]]
    if kind == "as_tensors":
        return [values[each["name"]] for each in one]
    if kind == "as_optional_tensors":
        return [None if "as_none" in each else values[each["as_tensor"]["name"]] for each in one]
    if kind in ("as_float", "as_floats"):  # infinities are written as words
        return float(one) if kind == "as_float" else [float(each) for each in one]
    if kind in LITERAL:
        return one
    if kind == "as_none":
        return None
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return values[one["as_name"]] if "as_name" in one else next(iter(one.values()))
    if kind in ("as_sym_ints", "as_sym_floats"):
        return [values[each["as_name"]] if "as_name" in each else next(iter(each.values())) for each in one]
    if kind == "as_scalar_type":
        dtype = DTYPES[one]
        return floats.dtype if dtype == torch.float32 and floats.is_floating_point() else dtype
    if kind == "as_device":
        return floats.device
    if kind == "as_memory_format":
        return FORMATS[one]
    if kind == "as_layout":
        return torch.strided
    raise Refusal(f"a node takes an argument of the kind {kind}, which is not known here")


def _keep(outputs: list[Mapping[str, Any]], result: Any, values: dict[str, Any]) -> None:
    """Store the results of a node under their names."""
    results = [result] if len(outputs) == 1 else result
    for output, one in zip(outputs, results or (), strict=False):
        ((kind, named),) = output.items()
        if kind == "as_tensors":
            values |= {each["name"]: tensor for each, tensor in zip(named, one, strict=True)}
        elif kind.startswith("as_sym"):
            values[named["as_name"]] = one
        elif kind == "as_tensor":
            values[named["name"]] = one[0] if isinstance(one, (list, tuple)) else one


def _stored(held: Mapping[str, memoryview], model: str, load: Loader) -> dict[str, Tensor]:
    """Return the tensors by name, from plain numbers.

    Raises:
        Refusal: they are pickled, or lie beyond their member.
    """
    found: dict[str, Tensor] = {}
    storages: dict[tuple[str, str], Storage] = {}
    for folder in ("weights", "constants"):
        name = f"data/{folder}/{model}_{folder}_config.json"
        for key, one in (_json(held[name])["config"] if name in held else {}).items():
            meta = one.get("tensor_meta")
            if one["use_pickle"] or meta is None:
                raise Refusal(
                    f"{key[:80]} is a pickle, which is a program of its own; only plain tensors are read. Export the "
                    "network with tensors of ordinary kinds"
                )
            member, dtype = f"data/{folder}/{one['path_name']}", str(DTYPES[meta["dtype"]]).removeprefix("torch.")
            data = held[member]
            storage = storages.setdefault((member, dtype), Storage(dtype, len(data) // ITEMSIZES[dtype], data))
            sizes, strides = ([side["as_int"] for side in meta[word]] for word in ("sizes", "strides"))
            try:
                found[key] = load(LazyTensor(storage, tuple(sizes), tuple(strides), meta["storage_offset"]["as_int"]))
            except ValueError as error:
                raise Refusal(f"{key[:80]} is {error}: the file is damaged") from error
            if meta["layout"] != STRIDED:
                raise Refusal(f"{key[:80]} is no plain tensor")
    return found
