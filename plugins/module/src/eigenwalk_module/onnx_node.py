"""One node of an ONNX graph, with its attributes and inputs as numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eigenwalk_module.opened import Refusal

DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.uint16, 5: torch.int16, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 10: torch.float16, 11: torch.float64, 12: torch.uint32, 13: torch.uint64, 16: torch.bfloat16,
}  # fmt: skip
SIZES = 64
"""Numbers of a shape, or of axes."""


class Node:
    """One operation of a graph.

    Attributes:
        kind: its name in ONNX.
        inputs, outputs: names of values; an empty one is left out.
        attributes: numbers, texts, lists of them, and tensors.
        opset: version of the operations.
        floats: dtype of the network.
    """

    def __init__(
        self, kind: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any], opset: int
    ) -> None:
        self.kind, self.inputs, self.outputs, self.attributes, self.opset = kind, inputs, outputs, attributes, opset
        self.floats = torch.float32

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def sizes(self, name: str, given: Tensor | None) -> list[int] | None:
        """Axes or sizes, which older versions have as an attribute and newer ones as an input."""
        return self.get(name) if given is None else numbers(given)

    def dtype(self, number: int) -> torch.dtype:
        """Return a dtype by ONNX's number; float32 is that of the network."""
        if number not in DTYPES:
            raise Refusal(f"{self.kind} makes numbers of the kind {number}, which is not known here")
        return self.floats if number == 1 else DTYPES[number]


def numbers(tensor: Tensor) -> list[Any]:
    """Return a short row of numbers, such as a shape."""
    if tensor.numel() > SIZES:
        raise Refusal(f"it has a shape of {tensor.numel()} numbers")
    return tensor.reshape(-1).tolist()
