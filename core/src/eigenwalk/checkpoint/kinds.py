"""What a file is, by its bytes alone."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

ZIP = b"PK\x03\x04"
LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")
"""How a file that `torch.save` wrote before version 1.6 begins: protocol 2 and a magic number of ten bytes."""
PROTOCOLS = b"\x02\x03\x04\x05"
MODEL = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of ONNX's ModelProto and their wire types: 0 a number, 2 bytes of a given length (onnx.proto)."""
GRAPH, OPSETS = 7, 8
FIELDS = 100_000


class Kind(StrEnum):
    """The kinds of files that are told apart. A value is how the kind is called in messages."""

    SAFETENSORS = "a safetensors file"
    TORCH = "a PyTorch file"
    TORCH_LEGACY = "a PyTorch file in the older format"
    PICKLE = "a pickle"
    SCRIPT = "a TorchScript file"
    PROGRAM = "a torch.export file"
    ONNX = "an ONNX file"
    OPENVINO = "an OpenVINO network"
    ARCHIVE = "a zip archive"
    JSON = "a JSON file"
    FOLDER = "a folder"
    OTHER = "a file of no known kind"

    @property
    def holds_tensors(self) -> bool:
        """Whether such a file holds tensors by name: `Checkpoint.tree` can be read."""
        return self in (Kind.SAFETENSORS, Kind.TORCH, Kind.TORCH_LEGACY, Kind.PICKLE)


def kind_of(data: memoryview, members: Iterable[str]) -> Kind:
    """The kind of the file whose bytes are `data`; `members` are the names in an archive, below its one folder."""
    head = bytes(data[:512])
    if head.startswith(ZIP):
        return _kind_of_archive(set(members))
    if head.startswith(LEGACY):
        return Kind.TORCH_LEGACY
    # Before pickles: a header of 0x..02_80 bytes begins as they do. No opcode is called "{".
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 1 << 48:
        return Kind.SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] in PROTOCOLS and len(head) > 1:
        return Kind.PICKLE
    if head[:1] == b"\x08" and is_onnx(data):
        return Kind.ONNX
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"<?xml", b"<net ")) and b"<net " in text:
        return Kind.OPENVINO
    return Kind.JSON if text[:1] in (b"{", b"[") else Kind.OTHER


def _kind_of_archive(names: set[str]) -> Kind:
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return Kind.SCRIPT
    if "archive_format" in names and any(name.startswith("models/") for name in names):
        return Kind.PROGRAM
    return Kind.TORCH if "data.pkl" in names else Kind.ARCHIVE


def is_onnx(data: memoryview) -> bool:
    """Whether `data` is a sequence of ModelProto's fields to its end, a graph and its operator sets among them."""
    place, seen = 0, set()
    try:
        for _ in range(FIELDS):
            if place == len(data):
                break
            tag, place = varint(data, place)
            field, wire = tag >> 3, tag & 7
            if MODEL.get(field) != wire:
                return False
            length, place = varint(data, place)
            if field == 1 and not 1 <= length <= 100:  # the version of the format: 13 at the time of writing
                return False
            if wire == 2:
                place += length
            if place > len(data):
                return False
            seen.add(field)
    except ValueError:
        return False
    return place == len(data) and {1, GRAPH, OPSETS} <= seen


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return protobuf's number at `place`, seven bits in a byte, and the place after it.

    Raises:
        ValueError: the data end inside it, or it has more than 64 bits.
    """
    value = 0
    for shift, byte in enumerate(data[place : place + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, place + shift + 1
    raise ValueError("the file ends inside a number, or the number has more than 64 bits")
