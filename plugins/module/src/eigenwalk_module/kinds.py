"""What a file is, told by its bytes alone. No torch here."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

PROGRAM, SCRIPT, ONNX = "program", "script", "onnx"
MODEL = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of ONNX's ModelProto and their wire types: 0 a number, 2 bytes of a given length (onnx.proto)."""
GRAPH, OPSETS = 7, 8


def kind(path: Path) -> str | None:
    """`PROGRAM` for a file of torch.export, `SCRIPT` for TorchScript, `ONNX`, None for any other."""
    try:
        with open(path, "rb") as file:
            head = file.read(4)
        if head == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                return _archived(archive.namelist())
        return ONNX if head[:1] == b"\x08" and _is_onnx(path) else None
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None


def _archived(names: list[str]) -> str | None:
    inside = [name.partition("/")[2] for name in names]
    if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
        return SCRIPT
    program = "archive_format" in inside and any(name.startswith("models/") for name in inside)
    return PROGRAM if program else None


def _is_onnx(path: Path) -> bool:
    """Whether the file is a sequence of ModelProto's fields, a graph and its operator sets among them, to its end."""
    size, seen = path.stat().st_size, set()
    with open(path, "rb") as file:
        while file.tell() < size:
            tag = _varint(file)
            field, wire = tag >> 3, tag & 7
            if MODEL.get(field) != wire:
                return False
            length = _varint(file)
            if field == 1 and not 1 <= length <= 100:  # the version of the format: 13 at the time of writing
                return False
            if wire == 2:
                if length > size - file.tell():
                    return False
                file.seek(length, 1)
            seen.add(field)
    return {1, GRAPH, OPSETS} <= seen


def _varint(file: BinaryIO) -> int:
    """The number that begins here, seven bits in a byte."""
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends inside a number")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number of more than 64 bits")
