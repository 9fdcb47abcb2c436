"""ONNX's messages, read as data.

A reader of our own, as the usual one makes objects of everything at once: a file of two-byte messages takes a hundred
times its size. Here a message is split when it is looked at, numbers of tensors stay in the file, and the fields that
one file may have are counted. Written from ``onnx.proto`` and the encoding that protobuf.dev describes.
"""

from __future__ import annotations

import struct
from typing import Any

from eigenwalk.checkpoint.kinds import varint

FIELDS = 2_000_000
"""Fields of all messages of one file."""


class Message:
    """A protobuf message: the values of its fields by their numbers.

    Raises:
        ValueError: it ends inside a field, or the file has more than `FIELDS`.
    """

    def __init__(self, data: memoryview, left: list[int] | None = None) -> None:
        self.left = [FIELDS] if left is None else left
        self.fields: dict[int, list[Any]] = {}
        place = 0
        while place < len(data):
            tag, place = self._varint(data, place)
            wire = tag & 7
            if wire == 0:
                value, place = self._varint(data, place)
            elif wire in (1, 2, 5):
                size, place = self._varint(data, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)
                if size > len(data) - place:
                    raise ValueError("a field ends after its message")
                value, place = data[place : place + size], place + size
            else:
                raise ValueError(f"a field of the kind {wire}")
            self.fields.setdefault(tag >> 3, []).append(value)

    def _varint(self, data: memoryview, place: int) -> tuple[int, int]:
        """Read a number as `varint` does; numbers are counted, as every field has one."""
        self.left[0] -= 1
        if self.left[0] < 0:
            raise ValueError(f"more than {FIELDS:,} fields")
        return varint(data, place)

    def number(self, field: int, default: int = 0) -> int:
        """A whole number."""
        values = self.fields.get(field)
        return _signed(values[-1]) if values and isinstance(values[-1], int) else default

    def numbers(self, field: int) -> list[int]:
        """Whole numbers, one by one or packed."""
        found: list[int] = []
        for value in self.fields.get(field, ()):
            if isinstance(value, int):
                found.append(_signed(value))
                continue
            place = 0
            while place < len(value):
                one, place = self._varint(value, place)
                found.append(_signed(one))
        return found

    def floats(self, field: int) -> list[float]:
        """Numbers of four bytes, one by one or packed."""
        return [one for value in self.fields.get(field, ()) for (one,) in struct.iter_unpack("<f", value)]

    def content(self, field: int) -> memoryview:
        """Bytes; none where the field is missing."""
        values = self.fields.get(field)
        return values[-1] if values and isinstance(values[-1], memoryview) else memoryview(b"")

    def text(self, field: int) -> str:
        """Text, which may be empty."""
        return str(self.content(field), "utf-8", "replace")

    def texts(self, field: int) -> list[str]:
        """Several texts."""
        return [str(value, "utf-8", "replace") for value in self.fields.get(field, ()) if isinstance(value, memoryview)]

    def message(self, field: int) -> Message | None:
        """The message inside; None where there is none."""
        return Message(self.content(field), self.left) if field in self.fields else None

    def messages(self, field: int) -> list[Message]:
        """Several messages."""
        return [Message(value, self.left) for value in self.fields.get(field, ()) if isinstance(value, memoryview)]


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
