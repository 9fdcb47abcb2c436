"""Read ONNX files and run their graph with our own operations, see `onnx_operations`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint, LazyTensor
from eigenwalk.checkpoint.lazy import Storage, contiguous
from eigenwalk.checkpoint.protobuf import Message
from eigenwalk.errors import FileError
from eigenwalk_module.bounds import NODES
from eigenwalk_module.onnx_node import DTYPES, Node
from eigenwalk_module.onnx_operations import OPERATIONS, RANDOM
from eigenwalk_module.opened import Input, Loader, Opened, Refusal, image_of

FLOATS = (1, 10, 11, 16)
"""ONNX's numbers for float32, float16, float64 and bfloat16."""
OUTSIDE = 1
"""Where a tensor's numbers lie: in another file."""


class Graph(nn.Module):
    """A graph: its nodes run one after another, and each value is dropped after its last use.

    Tensors of floats are buffers, which `to` moves; whole numbers, which are sizes for the most part, stay on the CPU
    and follow where they meet a tensor of another device.
    """

    def __init__(self, nodes: list[Node], tensors: dict[str, Tensor], takes: list[str], gives: list[str]) -> None:
        super().__init__()
        self.nodes, self.takes, self.gives = nodes, takes, gives
        self.held, self.whole = {}, {}
        for i, (name, tensor) in enumerate(tensors.items()):
            if tensor.is_floating_point():
                self.register_buffer(f"tensor_{i}", tensor)
                self.held[name] = f"tensor_{i}"
            else:
                self.whole[name] = tensor
        last = {name: i for i, node in enumerate(nodes) for name in (*node.inputs, *node.outputs)}
        self.last = [[name for name in (*one.inputs, *one.outputs) if last[name] == i] for i, one in enumerate(nodes)]

    def forward(self, *given: Tensor) -> Tensor:
        """Return the graph's first image-like output."""
        values: dict[str, Tensor] = dict(zip(self.takes, given, strict=True)) | self.whole
        values |= {name: getattr(self, held) for name, held in self.held.items()}
        floats = next((one for one in given if one.is_floating_point()), given[0])
        del given
        for node, last in zip(self.nodes, self.last, strict=True):
            node.floats = floats.dtype
            inputs = [values[name] if name else None for name in node.inputs]
            if floats.device.type != "cpu" and any(one is not None and one.device == floats.device for one in inputs):
                inputs = [one if one is None else one.to(floats.device) for one in inputs]
            result = OPERATIONS[node.kind](node, *inputs)
            del inputs
            results = result if isinstance(result, (tuple, list)) else (result,)
            values |= {name: one for name, one in zip(node.outputs, results, strict=False) if name}
            del result, results
            for name in last:
                if name not in self.gives:
                    values.pop(name, None)
        return image_of([values[name] for name in self.gives if name in values])


def graph(checkpoint: Checkpoint) -> Opened:
    """Return the ONNX graph in the file.

    Raises:
        FileError: it is damaged, or has an operation that is not on the list.
    """
    try:
        return _opened(checkpoint, Message(checkpoint.data))
    except Refusal as error:
        raise FileError(f"{checkpoint} was not opened: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileError(
            f"{checkpoint} cannot be opened as ONNX, it is truncated or damaged ({type(error).__name__}: {error})"
        ) from error


def _opened(checkpoint: Checkpoint, model: Message) -> Opened:
    whole = model.message(7)
    if whole is None or 1 not in whole.fields or 12 not in whole.fields:
        raise Refusal("its graph has no operations or no outputs")
    opset = next((one.number(2) for one in model.messages(8) if one.text(1) in ("", "ai.onnx")), 0)
    load = Loader(checkpoint.size)
    tensors = {one.text(8): _tensor(checkpoint, one, load) for one in whole.messages(5)}
    if len(whole.fields[1]) > NODES:
        raise Refusal(f"its graph has more than {NODES:,} operations")
    nodes = []
    for message in whole.messages(1):
        node = read_node(checkpoint, message, opset, load)
        if node.kind == "Constant":
            tensors[node.outputs[0]] = _constant(node)
        else:
            nodes.append(node)
    drawn = next((one.kind for one in nodes if one.kind in RANDOM), None)
    if drawn:
        raise Refusal(f"it draws random numbers ({drawn}): export it with noise as an input, or as a constant")
    strange = sorted({one.kind for one in nodes} - OPERATIONS.keys())
    if strange:
        raise Refusal(
            f"it uses {', '.join(strange[:5])}, which is not carried out here: torch.export.save writes a file that "
            "most networks open from"
        )
    takes = [one for one in whole.messages(11) if one.text(1) not in tensors]
    gives = whole.messages(12)
    sizes = [_sizes(one) for one in takes]
    inputs = tuple(_input(one, side) for one, side in zip(takes, sizes, strict=True))
    made = Graph(nodes, tensors, [one.name for one in inputs], [one.text(1) for one in gives])
    batch = sizes[0][0] if sizes and sizes[0] else None
    return Opened(made, inputs, "ONNX graph", _last(nodes, made.gives[0]), batch, len(nodes))


def _last(nodes: list[Node], name: str) -> str:
    """Return the operation that computes the value `name`; operations that only copy are skipped."""
    made_by = {one: node for node in nodes for one in node.outputs}
    for _ in range(10):
        node = made_by.get(name)
        if node is None or node.kind not in ("Identity", "Cast"):
            return node.kind.lower() if node else ""
        name = node.inputs[0]
    return ""


def read_node(checkpoint: Checkpoint, message: Message, opset: int, load: Loader) -> Node:
    """Return the node in `message`, its attributes read; `opset` is the version of its operation."""
    attributes = {one.text(1): _attribute(checkpoint, one, load) for one in message.messages(5)}
    kind, space = message.text(4), message.text(7)
    if space not in ("", "ai.onnx"):
        raise Refusal(f"it uses {space[:40]}::{kind[:40]}: only ONNX's own operations are carried out")
    return Node(kind, message.texts(1), message.texts(2), attributes, opset)


def _attribute(checkpoint: Checkpoint, message: Message, load: Loader) -> Any:
    """Return the value of an attribute, by its type (AttributeProto.AttributeType)."""
    kind = message.number(20)
    if kind == 1:
        return message.floats(2)[-1]
    if kind in (2, 0):
        return message.number(3)
    if kind == 3:
        return message.text(4)
    if kind == 4:
        tensor = message.message(5)
        return None if tensor is None else _tensor(checkpoint, tensor, load)
    if kind in (6, 7, 8):
        return message.floats(7) if kind == 6 else message.numbers(8) if kind == 7 else message.texts(9)
    return None  # graphs within graphs: operations that have them are not on the list


def _constant(node: Node) -> Tensor:
    ((name, value),) = node.attributes.items()
    if name == "value":
        return value
    if name in ("value_int", "value_ints"):
        return torch.tensor(value, dtype=torch.int64)
    if name in ("value_float", "value_floats"):
        return torch.tensor(value, dtype=torch.float32)
    raise Refusal(f"it has a constant that is a {name[:40]}, which is not known here")


def _sizes(value: Message) -> list[int | None]:
    """Return the sizes of an input; None for a free size."""
    kind = value.message(2)
    tensor = kind.message(1) if kind else None
    shape = tensor.message(2) if tensor else None
    return [one.number(1) or None for one in shape.messages(1)] if shape else []


def _input(value: Message, sizes: list[int | None]) -> Input:
    kind = value.message(2)
    tensor = kind.message(1) if kind else None
    shape = None if not sizes or None in sizes[1:] else tuple(size for size in sizes[1:] if size)
    return Input(value.text(1), shape, tensor is not None and tensor.number(1) not in FLOATS)


def _tensor(checkpoint: Checkpoint, message: Message, load: Loader) -> Tensor:
    """Return a tensor, whose numbers are in the file or in another one beside it."""
    number, shape = message.number(2), tuple(message.numbers(1))
    if number not in DTYPES:
        raise Refusal(f"its tensor {message.text(8)[:80]!r} has numbers of the kind {number}, which is not known here")
    dtype = str(DTYPES[number]).removeprefix("torch.")
    if message.number(14) == OUTSIDE:
        data = _outside(checkpoint, message)
    elif 9 in message.fields:
        data = message.content(9)
    else:
        return _typed(message, number).reshape(shape)
    storage = Storage(dtype, len(data) // torch.empty(0, dtype=DTYPES[number]).element_size(), data)
    return load(LazyTensor(storage, shape, contiguous(shape)))


def _typed(message: Message, number: int) -> Tensor:
    """Return a tensor whose numbers are listed one by one."""
    if number == 1:
        return torch.tensor(message.floats(4), dtype=torch.float32)
    if number == 11:
        return torch.frombuffer(bytearray(message.content(10)) or bytearray(8), dtype=torch.float64)
    values = message.numbers(7 if number == 7 else 11 if number in (12, 13) else 5)
    if number in (10, 16):  # as the bits of whole numbers
        return torch.tensor(values, dtype=torch.int32).to(torch.int16).view(DTYPES[number])
    return torch.tensor(values, dtype=DTYPES[number])


def _outside(checkpoint: Checkpoint, message: Message) -> memoryview:
    """Return the bytes of a tensor in another file of the same folder."""
    words = {one.text(1): one.text(2) for one in message.messages(13)}
    name = words.get("location", "")
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise Refusal(f"its tensors lie in {name[:80]!r}: only a file beside it is opened")
    place = checkpoint.path.parent / name
    if not place.is_file():
        raise Refusal(f"its tensors lie in {name[:80]}, which is not beside it: copy that file to {place.parent}")
    data = Checkpoint.of(place).data
    start = int(words.get("offset", 0))
    end = start + int(words.get("length", len(data) - start))
    if not 0 <= start <= end <= len(data):
        raise Refusal(f"its tensors end after {name[:80]}, which is truncated: copy it again")
    return data[start:end]
