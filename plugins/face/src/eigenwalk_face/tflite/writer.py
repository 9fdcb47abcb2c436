"""Writes TensorFlow Lite's files for tests: graphs by their operations, a face mesh that follows the image a little."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eigenwalk_face.parts import PARTS
from eigenwalk_face.tflite.reader import MARK, NAMES

CODES = {name: code for code, name in NAMES.items()}
Fields = dict[int, Any]
"""A table: of each field a pair (code of `struct`, number), a table, a list of tables or integers, bytes or words."""


class Graph:
    """A network to be written: tensors are ``(batch, height, width, channels)`` and known by their numbers."""

    def __init__(self) -> None:
        self.tensors: list[Fields] = []
        self.buffers: list[Fields] = [{}]
        self.codes: list[str] = []
        self.operators: list[Fields] = []

    def tensor(self, *shape: int, kind: int = 0, buffer: int = 0) -> int:
        """Add a tensor that is computed or goes in, and return its number."""
        self.tensors.append({0: list(shape), 1: ("b", kind), 2: ("I", buffer), 3: f"t{len(self.tensors)}"})
        return len(self.tensors) - 1

    def constant(self, numbers: Tensor) -> int:
        """Add a constant of float32, int32, or, as the published files have it, float16 that is then dequantized."""
        kind = {torch.float32: 0, torch.float16: 1, torch.int32: 2}[numbers.dtype]
        self.buffers.append({0: numbers.contiguous().numpy().tobytes()})
        number = self.tensor(*numbers.shape, kind=kind, buffer=len(self.buffers) - 1)
        return self.operation("DEQUANTIZE", [number], numbers.shape) if kind == 1 else number

    def operation(
        self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Fields | None = None, custom: bytes = b""
    ) -> int:
        """Add an operation whose output has `shape`, and return the output's number."""
        if name not in self.codes:
            self.codes.append(name)
        output = self.tensor(*shape)
        operator: Fields = {0: ("I", self.codes.index(name)), 1: list(inputs), 2: [output]}
        if options is not None:
            operator |= {3: ("B", KINDS.get(name, 0)), 4: options}
        self.operators.append(operator | ({5: custom} if custom else {}))
        return output

    def write(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        """Write the file to `path`."""
        codes = [
            {0: ("b", min(CODES[name], 127)), 2: ("i", 1 + (name == "DEQUANTIZE")), 3: ("i", CODES[name])}
            if name in CODES
            else {0: ("b", 32), 1: name, 2: ("i", 1), 3: ("i", 32)}
            for name in self.codes
        ]
        graph = {0: self.tensors, 1: list(inputs), 2: list(outputs), 3: self.operators, 4: "main"}
        model = {0: ("I", 3), 1: codes, 2: [graph], 3: "a test's", 4: self.buffers}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(serialised(model))
        return path


KINDS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5,
    "ADD": 11,
    "RESIZE_BILINEAR": 15,
    "MUL": 21,
}
"""Which table of the schema an operation's options are."""


def serialised(root: Fields) -> bytes:
    """Return the file whose root table is `root`: tables in the order in which they are met, each after its vtable."""
    out = bytearray(struct.pack("<I", 0) + MARK)
    struct.pack_into("<I", out, 0, _put(root, out))
    return bytes(out)


def _align(out: bytearray, to: int, ahead: int = 0) -> None:
    out += bytes(-(len(out) + ahead) % to)


def _put(table: Fields, out: bytearray) -> int:
    fields = range(max(table, default=-1) + 1)
    _align(out, 4)
    vtable = len(out)
    places = {field: 4 + 4 * i for i, field in enumerate(table)}
    out += struct.pack("<HH", 4 + 2 * len(fields), 4 + 4 * len(table))
    out += b"".join(struct.pack("<H", places.get(field, 0)) for field in fields)
    _align(out, 4)
    place = len(out)
    out += struct.pack("<i", place - vtable) + bytes(4 * len(table))
    for field, value in table.items():
        here = place + places[field]
        if isinstance(value, tuple):
            struct.pack_into("<" + value[0], out, here, value[1])
            continue
        target = _put(value, out) if isinstance(value, dict) else _put_vector(value, out)
        struct.pack_into("<I", out, here, target - here)
    return place


def _put_vector(value: Any, out: bytearray) -> int:
    _align(out, 16, 4)  # of buffers, as the format asks for
    place = len(out)
    out += struct.pack("<I", len(value))
    if isinstance(value, (bytes, str)):
        out += value if isinstance(value, bytes) else value.encode() + b"\0"
    elif value and isinstance(value[0], dict):
        start = len(out)
        out += bytes(4 * len(value))
        for i, table in enumerate(value):
            here = start + 4 * i
            struct.pack_into("<I", out, here, _put(table, out) - here)
    else:
        out += struct.pack(f"<{len(value)}i", *value)
    return place


def write_mesh(path: Path, side: int = 32, presence: float = 5.0) -> Path:
    """Write a face mesh for crops of `side` pixels: a drawn face whose points move a little with the image.

    `presence` is the logit of a face's being there, whatever the image.
    """
    graph, random = Graph(), torch.Generator().manual_seed(0)
    cells = side // 4
    source = graph.tensor(1, side, side, 3)
    pooling = {0: ("b", 1), 1: ("i", 4), 2: ("i", 4), 3: ("i", 4), 4: ("i", 4)}
    small = graph.operation("AVERAGE_POOL_2D", [source], (1, cells, cells, 3), pooling)
    base = torch.cat([drawn_points() * side, torch.zeros(468, 1)], 1).flatten()
    whole = {0: ("b", 1), 1: ("i", 1), 2: ("i", 1)}
    outputs = []
    for start, spread in ((base, side / 100), (torch.tensor([presence]), 0.0)):
        kernel = torch.randn(len(start), cells, cells, 3, generator=random) * spread / math.sqrt(3 * cells**2)
        weights = [graph.constant(kernel.half()), graph.constant(start.half())]
        outputs.append(graph.operation("CONV_2D", [small, *weights], (1, 1, 1, len(start)), whole))
    return graph.write(path, [source], outputs)


def drawn_points() -> Tensor:
    """The 468 points ``(468, 2)`` of a face that looks ahead, in shares of its crop."""
    points = torch.rand(468, 2, generator=torch.Generator().manual_seed(1)) * 0.3 + 0.35
    ellipses = {
        "oval": [(0.5, 0.5, 0.3, 0.36)],
        "nose": [(0.5, 0.55, 0.06, 0.1)],
        "mouth": [(0.5, 0.7, 0.12, 0.05)],
        "eyes": [(0.38, 0.45, 0.06, 0.025), (0.62, 0.45, 0.06, 0.025)],
        "brows": [(0.38, 0.37, 0.08, 0.015), (0.62, 0.37, 0.08, 0.015)],
    }
    for name, places in ellipses.items():
        for polygon, place in zip(PARTS[name].filled, places, strict=True):
            _lay(points, polygon, *place)
    _lay(points, PARTS["lips"].cut[0], 0.5, 0.7, 0.09, 0.02)
    left, right = PARTS["eyes"].filled
    for corner, eye, turns in ((33, left, 0), (263, right, 8)):  # the outer corners lie level
        _lay(points, eye[eye.index(corner) :] + eye[: eye.index(corner)], *ellipses["eyes"][turns // 8], turns + 8)
    return points


def _lay(points: Tensor, polygon: Sequence[int], x: float, y: float, rx: float, ry: float, first: int = 0) -> None:
    """Put the points of `polygon` on an ellipse, in its order."""
    angle = 2 * math.pi * (torch.arange(len(polygon)) + first) / len(polygon)
    points[list(polygon)] = torch.stack([x + rx * angle.cos(), y + ry * angle.sin()], 1)
