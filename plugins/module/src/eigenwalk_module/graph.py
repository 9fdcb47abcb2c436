"""ONNX files, made into a torch module by onnx2torch, so that images have gradients."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError
from eigenwalk_module.opened import Input, Opened

RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
FLOATS = (1, 10, 11, 16)
"""ONNX's numbers for float, float16, double and bfloat16."""


class Graph(nn.Module):
    """A converted graph: its first image-like output."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *given: Tensor) -> Tensor:
        """What it gives."""
        result = self.module(*given)
        results = result if isinstance(result, (tuple, list)) else (result,)
        return next(one for one in results if isinstance(one, torch.Tensor) and one.ndim == 4)


def graph(path: Path) -> Opened:
    """The ONNX graph in the file at `path` as a module.

    Raises:
        FileError: onnx and onnx2torch are missing, the file is damaged, keeps tensors in other files, or has an
            operation that is not converted.
    """
    try:
        import onnx as library
        from onnx2torch import convert
    except ImportError as error:
        raise FileError(f'{path} needs onnx and onnx2torch: pip install "eigenwalk-module[onnx]" ({error})') from error
    try:
        model = library.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf's own errors have no common class in all its versions
        raise FileError(f"{path} cannot be opened as ONNX, it is truncated or damaged ({error})") from error
    _check(path, model)
    _store_constants(model.graph)
    try:
        with warnings.catch_warnings(action="ignore"):
            module = convert(library.shape_inference.infer_shapes(model)).eval().requires_grad_(False)
    except NotImplementedError as error:
        raise FileError(
            f"{path} has an operation without a torch counterpart here: {error}. Export the network with torch.export "
            "instead, or for another opset (13 has the most)"
        ) from error
    except Exception as error:  # the converter reads attributes as they come
        raise FileError(f"{path} could not be made into a torch module: {error!r}") from error
    stored = {one.name for one in model.graph.initializer}
    taken = [one for one in model.graph.input if one.name not in stored]
    inputs = tuple(_input(one) for one in taken)
    batch = _sizes(taken[0])[0] if taken and _sizes(taken[0]) else None
    last = next((one.op_type for one in model.graph.node if model.graph.output[0].name in one.output), "")
    return Opened(Graph(module), inputs, "ONNX graph", last.lower(), batch, len(model.graph.node))


def _store_constants(graph: Any) -> None:
    """Puts the graph's Constant nodes among its tensors, where the converter looks for weights."""
    nodes = [one for one in graph.node if one.op_type == "Constant"]
    for node in nodes:
        if [one.name for one in node.attribute] != ["value"]:
            continue
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def _check(path: Path, model: Any) -> None:
    """Raises where tensors lie in other files, numbers are drawn, or there is nothing to run."""
    if not model.graph.node or not model.graph.output:
        raise FileError(f"{path} holds an ONNX graph without operations or outputs")
    if any(one.data_location == 1 for one in model.graph.initializer):
        raise FileError(
            f"{path} keeps its tensors in other files, which are not opened: save it as one, "
            "onnx.save(model, …, save_as_external_data=False)"
        )
    drawn = [one.op_type for one in model.graph.node if one.op_type in RANDOM]
    if drawn:
        raise FileError(f"{path} draws random numbers ({drawn[0]}): export it with noise as an input, or as a constant")


def _sizes(value: Any) -> list[int | None]:
    """The sizes of an input; None for one that is free."""
    return [one.dim_value or None for one in value.type.tensor_type.shape.dim]


def _input(value: Any) -> Input:
    sizes = _sizes(value)
    shape = None if not sizes or None in sizes[1:] else tuple(size for size in sizes[1:] if size)
    return Input(value.name, shape, value.type.tensor_type.elem_type not in FLOATS)
