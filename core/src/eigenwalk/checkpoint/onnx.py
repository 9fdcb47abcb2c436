"""The numbers in an ONNX file, by name, without its graph."""

from __future__ import annotations

from collections.abc import Mapping

from eigenwalk.checkpoint.checkpoint import Checkpoint
from eigenwalk.checkpoint.kinds import GRAPH, Kind
from eigenwalk.checkpoint.lazy import LazyTensor, Storage, contiguous
from eigenwalk.checkpoint.protobuf import Message
from eigenwalk.errors import FileError

INITIALISERS, SIZES, KIND, NAME, RAW = 5, 1, 2, 8, 9
"""Fields of GraphProto and TensorProto (onnx.proto)."""
FLOAT = 1


def initialisers(file: Checkpoint) -> Mapping[str, LazyTensor]:
    """Return the float32 tensors that lie in `file` itself, by name and in its order.

    Raises:
        FileError: it is no ONNX file, or damaged.
    """
    if file.kind is not Kind.ONNX:
        raise FileError(f"{file} is {file.kind}, where an ONNX file was expected")
    try:
        graph = Message(file.data).message(GRAPH)
        found = {} if graph is None else {one.text(NAME): one for one in graph.messages(INITIALISERS)}
        return {name: _tensor(one) for name, one in found.items() if one.number(KIND) == FLOAT and RAW in one.fields}
    except (TypeError, ValueError, AttributeError) as error:
        raise FileError(f"{file} is a truncated or damaged ONNX file: {error}") from error


def _tensor(message: Message) -> LazyTensor:
    data, shape = message.content(RAW), tuple(message.numbers(SIZES))
    return LazyTensor(Storage("float32", len(data) // 4, data), shape, contiguous(shape))
