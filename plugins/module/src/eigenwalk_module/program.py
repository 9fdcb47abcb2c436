"""Files of torch.export, whose graph we carry out ourselves.

torch's own loader is not used: it evaluates text of the file (sizes go through sympy's parser, guards through exec),
unpickles members, and looks a node's operation up by any dotted name under ``torch``, of which ``torch.os.system`` is
one. Here the graph is data: JSON for nodes, plain numbers for tensors, and an operation is one of ATen's or a sum of
two sizes. Written from the schema that torch documents in ``torch/_export/serde/schema.py``.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError
from eigenwalk_module.archive import members
from eigenwalk_module.opened import RANDOM, Input, Opened

DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
SIZES: dict[str, Callable[..., Any]] = {
    f"_operator.{name}": getattr(operator, name)
    for name in (
        "add",
        "sub",
        "mul",
        "floordiv",
        "mod",
        "neg",
        "getitem",
        "truediv",
        "eq",
        "ne",
        "le",
        "lt",
        "ge",
        "gt",
    )
}
"""What is computed of sizes, or picked from an operation's several outputs."""
REFUSED = frozenset({"from_file", "save", "set_", "_cslt_compress"})
"""ATen's operations that open files, or put another storage under a tensor."""
CHECKS = (
    "_assert_tensor_metadata",
    "_assert_async",
    "_assert_scalar",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
)
"""Operations without a result, which only check what the exporter assumed."""
LITERAL = ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string")


class Program(nn.Module):
    """The graph of a file: nodes carried out one after another.

    What a node makes in float32 is made in this module's dtype, which `to` sets, and on the device of its input.
    """

    def __init__(self, graph: Mapping[str, Any], tensors: Mapping[str, Tensor], takes: list[str], gives: str):
        super().__init__()
        self.nodes = [_node(node) for node in graph["nodes"]]
        self.takes, self.gives, self.held = takes, gives, {}
        for i, (name, tensor) in enumerate(tensors.items()):
            self.register_buffer(f"tensor_{i}", tensor)
            self.held[name] = f"tensor_{i}"

    def forward(self, *given: Tensor) -> Tensor:
        """The graph's first image-like output."""
        values: dict[str, Any] = dict(zip(self.takes, given, strict=True))
        values |= {name: getattr(self, held) for name, held in self.held.items()}
        floats = next((one for one in given if isinstance(one, Tensor) and one.is_floating_point()), given[0])
        for function, node in self.nodes:
            positional, named = [], {}
            for one in node["inputs"]:
                value = _value(one["arg"], values, floats)
                if one.get("kind") == 2:
                    named[one["name"]] = value
                else:
                    positional.append(value)
            _keep(node["outputs"], function(*positional, **named), values)
        return values[self.gives]


def program(path: Path) -> Opened:
    """The exported program in the file at `path`.

    Raises:
        FileError: it is damaged, its tensors are pickled, or it wants what is no operation of ATen's.
    """
    _, held = members(path)
    try:
        models = [name for name in held if name.startswith("models/") and name.endswith(".json")]
        if len(models) != 1:
            raise FileError(f"{path} holds {len(models)} programs, where one was expected: save the generator alone")
        model = models[0].removeprefix("models/").removesuffix(".json")
        described = json.loads(held[models[0]])["graph_module"]
        return _opened(path, described, _stored(path, held, model))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise FileError(f"{path} is no program that torch.export saved, or is damaged ({error!r})") from error


def _opened(path: Path, described: Mapping[str, Any], stored: Mapping[str, Tensor]) -> Opened:
    graph, signature = described["graph"], described["signature"]
    tensors, takes, inputs, batches = {}, [], [], []
    for spec in signature["input_specs"]:
        ((kind, one),) = spec.items()
        named = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
        if kind in named:
            tensors[one["arg"]["name"]] = stored[one[named[kind]]]
        elif kind == "user_input" and "as_tensor" in one["arg"]:
            name = one["arg"]["as_tensor"]["name"]
            takes.append(name)
            meta = graph["tensor_values"][name]
            sizes = [size.get("as_int") for size in meta["sizes"]]
            batches.append(sizes[0] if sizes else None)
            fixed = None if None in sizes[1:] else tuple(sizes[1:])
            inputs.append(Input(name, fixed, not DTYPES[meta["dtype"]].is_floating_point))
        else:
            raise FileError(f"{path} takes a {kind}, and only tensors are known here: export it with tensors alone")
    gives = next(
        (one["user_output"]["arg"]["as_tensor"]["name"] for one in signature["output_specs"] if _is_image(one, graph)),
        None,
    )
    if gives is None:
        raise FileError(f"{path} gives no images: none of its outputs is a tensor of four axes")
    try:
        made = Program(graph, tensors, takes, gives)
    except LookupError as error:
        raise FileError(f"{path} was not opened: {error.args[0]}") from None
    last = next((node["target"].split(".")[3] for node in graph["nodes"] if _gives(node, gives)), "")
    return Opened(made, tuple(inputs), "torch.export program", last, batches[0], len(made.nodes))


def _is_image(spec: Mapping[str, Any], graph: Mapping[str, Any]) -> bool:
    ((kind, one),) = spec.items()
    if kind not in ("user_output", "token"):
        raise ValueError(f"an output that is a {kind}: export it in eval mode")
    argument = one["arg"].get("as_tensor")
    return bool(argument) and len(graph["tensor_values"][argument["name"]]["sizes"]) == 4


def _gives(node: Mapping[str, Any], name: str) -> bool:
    aten = node["target"].startswith("torch.ops.aten.")
    return aten and any(one.get("as_tensor", {}).get("name") == name for one in node["outputs"])


def _node(node: Mapping[str, Any]) -> tuple[Callable[..., Any], Mapping[str, Any]]:
    """A node and the function that carries it out.

    Raises:
        LookupError: it is no operation of ATen's, or one that opens files, or draws random numbers.
    """
    target = node["target"]
    if target in SIZES:
        return SIZES[target], node
    words = target.split(".")
    if words[:3] != ["torch", "ops", "aten"] or len(words) != 5 or not all(word.isidentifier() for word in words):
        raise LookupError(f"it wants {target[:80]}, and only ATen's operations are carried out")
    if words[3] in REFUSED:
        raise LookupError(f"it wants {target}, which reaches beyond its tensors")
    if words[3] in CHECKS:
        return _nothing, node
    training = any(one["name"] in ("training", "train") and one["arg"].get("as_bool") for one in node["inputs"])
    if training:
        raise LookupError(f"{target} is in training mode: export the network after .eval()")
    dropped = words[3] in ("dropout", "rrelu")  # which do nothing in eval mode
    if words[3].rstrip("_") in RANDOM and not dropped:
        raise LookupError(f"{target} draws random numbers: export it with noise as an input, or as a constant")
    packet = getattr(torch.ops.aten, words[3], None)
    function = getattr(packet, words[4], None)
    if not isinstance(function, torch._ops.OpOverload):
        raise LookupError(f"it wants {target}, which torch {torch.__version__} does not have")
    return function, node


def _nothing(*given: Any, **named: Any) -> None:
    return None


def _value(argument: Mapping[str, Any], values: Mapping[str, Any], floats: Tensor) -> Any:
    """What an argument stands for."""
    ((kind, one),) = argument.items()
    if kind == "as_tensor":
        return values[one["name"]]
    if kind == "as_tensors":
        return [values[each["name"]] for each in one]
    if kind == "as_optional_tensors":
        return [None if "as_none" in each else values[each["as_tensor"]["name"]] for each in one]
    if kind in LITERAL:
        return one
    if kind == "as_none":
        return None
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return values[one["as_name"]] if "as_name" in one else next(iter(one.values()))
    if kind == "as_sym_ints":
        return [values[each["as_name"]] if "as_name" in each else each["as_int"] for each in one]
    if kind == "as_scalar_type":
        dtype = DTYPES[one]
        return floats.dtype if dtype == torch.float32 and floats.is_floating_point() else dtype
    if kind == "as_device":
        return floats.device
    if kind == "as_memory_format":
        return FORMATS[one]
    if kind == "as_layout":
        return torch.strided
    raise FileError(f"a node takes an argument of the kind {kind}, which is not known here")


def _keep(outputs: list[Mapping[str, Any]], result: Any, values: dict[str, Any]) -> None:
    """Puts what a node gave under its names."""
    results = [result] if len(outputs) == 1 else result
    for output, one in zip(outputs, results or (), strict=False):
        ((kind, named),) = output.items()
        if kind == "as_tensors":
            values |= {each["name"]: tensor for each, tensor in zip(named, one, strict=True)}
        elif kind.startswith("as_sym"):
            values[named["as_name"]] = one
        elif kind == "as_tensor":
            values[named["name"]] = one[0] if isinstance(one, (list, tuple)) else one


def _stored(path: Path, held: Mapping[str, bytes], model: str) -> dict[str, Tensor]:
    """The tensors by name, from plain numbers.

    Raises:
        FileError: they are pickled, or lie beyond their member.
    """
    found: dict[str, Tensor] = {}
    for folder in ("weights", "constants"):
        name = f"data/{folder}/{model}_{folder}_config.json"
        for key, one in json.loads(held.get(name, b'{"config": {}}'))["config"].items():
            if one["use_pickle"] or one.get("tensor_meta") is None:
                raise FileError(
                    f"{path} was not opened: {key} is a pickle, which is a program of its own; only plain tensors are "
                    "read. Export the network with tensors of ordinary kinds"
                )
            found[key] = _tensor(held[f"data/{folder}/{one['path_name']}"], one["tensor_meta"], f"{path}: {key}")
    return found


def _tensor(data: bytes, meta: Mapping[str, Any], what: str) -> Tensor:
    sizes = [one["as_int"] for one in meta["sizes"]]
    strides, offset = [one["as_int"] for one in meta["strides"]], meta["storage_offset"]["as_int"]
    dtype = DTYPES[meta["dtype"]]
    numbers = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    good = all(type(one) is int and one >= 0 for one in (*sizes, *strides, offset)) and meta["layout"] == 7
    if not good or (math.prod(sizes) and (last >= len(numbers) or math.prod(sizes) > len(numbers))):
        raise FileError(f"{what} has shape {sizes} and {len(numbers)} numbers: the file is damaged")
    return torch.as_strided(numbers, sizes, strides, offset).clone()
