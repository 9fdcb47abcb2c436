"""TensorFlow Lite's files (schema version 3), read into modules of PyTorch.

The file is plain data: tables of tensors and of operations. It says which operation follows which; what each one does
is written in `layers`. An operation, a type or a layout that is not known here is refused, and so is a file whose
tensors do not have the shapes that it declares.
"""

from __future__ import annotations

import copy
import math
import os
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk_face.tflite.layers import Convolution, Function, Tiles, WithConstant, hard_swish, prelu
from eigenwalk_face.tflite.tables import Table

MARK = b"TFL3"
DTYPES = {0: torch.float32, 1: torch.float16, 2: torch.int32}
LARGEST = 1 << 24
"""Numbers in one tensor of a network, for one image: the real ones have a million."""
NAMES = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    23: "RESIZE_BILINEAR",
    32: "CUSTOM",
    34: "PAD",
    54: "PRELU",
    117: "HARD_SWISH",
}


class Network(nn.Module):
    """A network of one input ``(batch, channels, height, width)``, whose `size` is (height, width).

    `source` and `outputs` are the numbers, in the file, of the tensors that go in and come out.

    Called, it gives a tuple of tensors ``(batch, channels, height, width)``, one for each of its outputs.
    """

    def __init__(self, size: tuple[int, int], source: int, outputs: Sequence[int]) -> None:
        super().__init__()
        self.size, self.source, self.outputs = size, source, tuple(outputs)
        self.layers = nn.ModuleList()
        self._wires: list[tuple[tuple[int, ...], int]] = []

    def append(self, layer: nn.Module, inputs: Sequence[int], output: int) -> None:
        """Append a layer that takes the tensors numbered `inputs` and gives the one numbered `output`."""
        self.layers.append(layer)
        self._wires.append((tuple(inputs), output))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The outputs for `images`."""
        known = self.all_tensors(images)
        return tuple(known[number] for number in self.outputs)

    def all_tensors(self, images: Tensor) -> dict[int, Tensor]:
        """Every tensor of the network for `images`, by its number."""
        known = {self.source: images}
        for layer, (inputs, output) in zip(self.layers, self._wires, strict=True):
            known[output] = layer(*(known[number] for number in inputs))
        return known


def load(path: str | os.PathLike[str]) -> Network:
    """Read the network in the .tflite file at `path`, in float32, frozen.

    Raises:
        FileError: missing, damaged, no such file, or a network with something that is not known here.
    """
    file = Checkpoint.of(path)
    if file.is_folder or bytes(file.data[4:8]) != MARK:
        raise FileError(f"{file} is {file.kind}, where a TensorFlow Lite network (.tflite) was expected")
    reader = _Reader(Table.root(file.data, str(file)), str(file))
    network = reader.network()
    reader.check(network)
    return network.eval().requires_grad_(False)


class _Reader:
    """Reads one model; the fields are numbered as in TensorFlow Lite's schema."""

    def __init__(self, model: Table, source: str) -> None:
        self.source = source
        graphs = model.tables(2)
        if len(graphs) != 1:
            raise FileError(f"{source} has {len(graphs)} graphs, where one was expected")
        self.graph, self.codes, self.buffers = graphs[0], model.tables(1), model.tables(4)
        self.tensors = self.graph.tables(0)
        self.shapes = [tensor.numbers(0) for tensor in self.tensors]
        for shape in self.shapes:
            if min(shape, default=1) < 1 or math.prod(shape) > LARGEST:
                raise FileError(f"{source} declares a tensor of shape {shape}, which is empty or too large")
        self.constants: dict[int, Tensor] = {}

    def network(self) -> Network:
        """Build the network, with its weights."""
        (start,) = self._valid(self.graph.numbers(1), 1)
        shape = self.shapes[start]
        if len(shape) != 4:
            raise FileError(f"{self.source} takes a tensor of shape {shape}, where one batch of images was expected")
        network = Network((shape[1], shape[2]), start, self._valid(self.graph.numbers(2)))
        for operator in self.graph.tables(3):
            name = self._name(operator)
            inputs, (output,) = self._valid(operator.numbers(1)), self._valid(operator.numbers(2), 1)
            if name == "DEQUANTIZE":
                (source,) = self._valid(inputs, 1)
                self.constants[output] = self._constant(source)
                continue
            try:
                layer, inputs = self._layer(name, operator, inputs)
            except (RuntimeError, ValueError, IndexError, struct.error) as error:  # torch's, of shapes that do not fit
                raise FileError(f"{self.source}: {name} does not fit its tensors: {error}") from None
            network.append(layer, inputs, output)
        return network

    def check(self, network: Network) -> None:
        """Raise FileError unless all tensors get the shapes that the file declares; nothing is computed."""
        height, width = network.size
        source = torch.empty(1, self.shapes[network.source][3], height, width, device="meta")
        try:
            found = copy.deepcopy(network).to("meta").all_tensors(source)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise FileError(f"{self.source}: its operations do not fit each other: {error}") from None
        for number, tensor in found.items():
            if [tensor.shape[i] for i in (0, 2, 3, 1)] != self.shapes[number]:
                raise FileError(
                    f"{self.source} declares {self.shapes[number]} for tensor {number}, and its operations give "
                    f"{list(tensor.shape)}"
                )

    def _name(self, operator: Table) -> str:
        index = operator.number(0, "I", 0)
        if index >= len(self.codes):
            raise FileError(f"{self.source} is damaged: it has no operation {index}")
        code = self.codes[index]
        number = max(code.number(0, "b", 0), code.number(3, "i", 0))  # the first, of a byte, is the older field
        name = NAMES.get(number, f"operation {number} of TensorFlow Lite's schema")
        name = code.text(1) if name == "CUSTOM" else name
        if name not in LAYERS and name != "DEQUANTIZE":
            raise FileError(f"{self.source} uses {name!r}, which is not known here: only {', '.join(LAYERS)} are")
        return name

    def _layer(self, name: str, operator: Table, inputs: list[int]) -> tuple[nn.Module, list[int]]:
        """The layer of an operation, and the numbers of the tensors that it takes when it is called."""
        options = operator.table(4)
        fixed = {i: self._constant(i) for i in inputs if i in self.constants or self._is_constant(i)}
        layer = LAYERS[name](options, [fixed.get(i) for i in inputs], operator.data(5))
        return layer, [i for i in inputs if i not in fixed]

    def _valid(self, numbers: list[int], count: int | None = None) -> list[int]:
        """`numbers` of tensors, where they are `count` and all of them exist; -1, an absent one, is left out."""
        numbers = [number for number in numbers if number != -1]
        if (count is not None and len(numbers) != count) or not all(0 <= i < len(self.tensors) for i in numbers):
            raise FileError(f"{self.source}: an operation refers to tensors {numbers}, which it cannot have")
        return numbers

    def _is_constant(self, number: int) -> bool:
        buffer = self.tensors[number].number(2, "I", 0)
        return 0 < buffer < len(self.buffers) and len(self.buffers[buffer].data(0)) > 0

    def _constant(self, number: int) -> Tensor:
        """The numbers of a constant tensor, in the file's layout."""
        if number in self.constants:
            return self.constants[number]
        if not self._is_constant(number):
            raise FileError(f"{self.source}: only constants are dequantized here, and tensor {number} is none")
        tensor, shape = self.tensors[number], self.shapes[number]
        kind = tensor.number(1, "b", 0)
        data = self.buffers[tensor.number(2, "I", 0)].data(0)
        if kind not in DTYPES:
            raise FileError(f"{self.source} has a tensor of type {kind}: only float32, float16 and int32 are known")
        if len(data) != math.prod(shape) * DTYPES[kind].itemsize:
            raise FileError(f"{self.source}: tensor {number} of shape {shape} has {len(data)} bytes")
        numbers = torch.frombuffer(bytearray(data), dtype=DTYPES[kind]).view(shape)
        return numbers.float() if numbers.is_floating_point() else numbers


def _plain(options: Table | None, field: int) -> None:
    """Refuse an activation that is fused into an operation: none of the known networks has any."""
    if options is not None and options.number(field, "b", 0):
        raise ValueError("an activation is fused into it, which is not known here")


def _stride(options: Table, first: int) -> tuple[int, int]:
    across, down = options.number(first, "i", 0), options.number(first + 1, "i", 0)
    if min(across, down) < 1:
        raise ValueError(f"its stride is {down, across}")
    return down, across


def _convolution(deep: bool, options: Table | None, inputs: list[Tensor | None], custom: memoryview) -> nn.Module:
    """Conv2DOptions and DepthwiseConv2DOptions; kernels ``(out, h, w, in)`` and ``(1, h, w, channels)``."""
    _, weight, bias = [*inputs, None][:3]
    if options is None or weight is None or weight.ndim != 4:
        raise ValueError("it has no options, or no constant kernel")
    shift = int(deep)  # the number of outputs a channel stands among the options
    _plain(options, 3 + shift)
    if {options.number(4 + shift, "i", 1), options.number(5 + shift, "i", 1)} != {1}:
        raise ValueError("it is dilated, which is not known here")
    kernel = weight.permute(3, 0, 1, 2) if deep else weight.permute(0, 3, 1, 2)
    each = options.number(3, "i", 1) if deep else kernel.shape[0]  # outputs of one group
    if each < 1 or kernel.shape[0] % each:
        raise ValueError(f"its {kernel.shape[0]} channels are not {each} for each of the input's")
    same = options.number(0, "b", 0) == 0
    return Convolution(kernel.contiguous(), bias, _stride(options, 1), same, kernel.shape[0] // each)


def _pool(function: Callable[..., Tensor], options: Table | None, inputs: list[Tensor | None], custom: memoryview):
    """Pool2DOptions, without padding."""
    if options is None or options.number(0, "b", 0) != 1:
        raise ValueError("it pads, which is not known here")
    _plain(options, 5)
    kernel = options.number(4, "i", 0), options.number(3, "i", 0)
    return Function(partial(function, kernel_size=kernel, stride=_stride(options, 1)))


def _resize(options: Table | None, inputs: list[Tensor | None], custom: memoryview) -> nn.Module:
    """ResizeBilinearOptions; the size is a constant."""
    size = inputs[1]
    corners, half = (bool(options.number(field, "b", 0)) if options else False for field in (2, 3))
    if size is None or size.numel() != 2 or corners == half:
        raise ValueError("only a constant size, with half-pixel centres or aligned corners, is known")
    sides = [int(side) for side in size]
    if not 0 < max(sides) <= LARGEST:
        raise ValueError(f"its size is {sides}")
    return Function(partial(F.interpolate, size=sides, mode="bilinear", align_corners=corners))


def _pad(options: Table | None, inputs: list[Tensor | None], custom: memoryview) -> nn.Module:
    """Constant numbers of zeros before and after each axis ``(4, 2)``."""
    if inputs[1] is None or inputs[1].shape != (4, 2):
        raise ValueError("only a constant padding of four axes is known")
    batch, height, width, channels = inputs[1].tolist()
    if any(batch) or not all(0 <= zeros <= LARGEST for axis in (height, width, channels) for zeros in axis):
        raise ValueError(f"its padding is {inputs[1].tolist()}")
    return Function(partial(F.pad, pad=(*width, *height, *channels)))


def _binary(function: Callable[..., Tensor], options: Table | None, inputs: list[Tensor | None], custom: memoryview):
    """A function of two tensors, of which at most one is constant."""
    first, second = inputs
    _plain(options, 0)
    constant = first if second is None else second
    return Function(function) if constant is None else WithConstant(function, _channels_first(constant))


def _prelu(options: Table | None, inputs: list[Tensor | None], custom: memoryview) -> nn.Module:
    if inputs[0] is not None or inputs[1] is None:
        raise ValueError("only constant slopes are known")
    return WithConstant(prelu, _channels_first(inputs[1]))


def _tiles(options: Table | None, inputs: list[Tensor | None], custom: memoryview) -> nn.Module:
    """MediaPipe's Convolution2DTransposeBias: its options are three int32, padding and the stride across and down."""
    _, weight, bias = [*inputs, None][:3]
    across, down = struct.unpack_from("<ii", custom, 4)
    if weight is None or weight.shape[1:3] != (down, across):
        raise ValueError("only a constant kernel as large as the stride is known")
    return Tiles(weight.permute(3, 0, 1, 2).contiguous(), bias)


def _function(function: Callable[..., Tensor], options: Table | None, inputs: list[Tensor | None], custom: memoryview):
    return Function(function)


def _channels_first(constant: Tensor) -> Tensor:
    """A constant ``(..., height, width, channels)`` of up to four axes, as ``(1, channels, height, width)``."""
    return constant.reshape((1,) * (4 - constant.ndim) + tuple(constant.shape)).permute(0, 3, 1, 2).contiguous()


LAYERS: dict[str, Callable[[Table | None, list[Tensor | None], memoryview], Any]] = {
    "ADD": partial(_binary, torch.add),
    "AVERAGE_POOL_2D": partial(_pool, F.avg_pool2d),
    "CONV_2D": partial(_convolution, False),
    "DEPTHWISE_CONV_2D": partial(_convolution, True),
    "HARD_SWISH": partial(_function, hard_swish),
    "LOGISTIC": partial(_function, torch.sigmoid),
    "MAX_POOL_2D": partial(_pool, F.max_pool2d),
    "MUL": partial(_binary, torch.mul),
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": partial(_function, torch.relu),
    "RESIZE_BILINEAR": _resize,
    "Convolution2DTransposeBias": _tiles,
}
