"""FlatBuffers, the format of TensorFlow Lite's files, read within bounds (flatbuffers.dev, "Internals").

A table begins with the distance back to its vtable, which holds the place of each field in the table, or 0 for a field
that has its default. Every place is checked against the file's length before anything is read there.
"""

from __future__ import annotations

import struct
from typing import NoReturn

from eigenwalk.errors import FileError

MOST = 1 << 16
"""Entries of a vector of tables: the real files have some hundreds."""


class Table:
    """The table at `place` of the file `data`; `source` names the file in messages."""

    def __init__(self, data: memoryview, place: int, source: str) -> None:
        self._data, self._place, self._source = data, place, source
        self._vtable = place - self._number("i", place)
        self._length = self._number("H", self._vtable)

    @classmethod
    def root(cls, data: memoryview, source: str) -> Table:
        """The table in which the file begins."""
        first = cls.__new__(cls)
        first._data, first._source = data, source
        return cls(data, first._number("I", 0), source)

    def number(self, field: int, code: str, default: int) -> int:
        """The number of `field`, of the type that `struct` calls `code`.

        Raises:
            FileError: as every method here: it would lie outside the file.
        """
        place = self._field(field)
        return default if place is None else self._number(code, place)

    def table(self, field: int) -> Table | None:
        """The table that `field` refers to."""
        place = self._target(field)
        return None if place is None else Table(self._data, place, self._source)

    def tables(self, field: int) -> list[Table]:
        """The vector of tables that `field` refers to."""
        start, length = self._vector(field, 4)
        if length > MOST:
            self._refuse()
        places = (start + 4 * i for i in range(length))
        return [Table(self._data, place + self._number("I", place), self._source) for place in places]

    def numbers(self, field: int) -> list[int]:
        """The vector of 32-bit integers that `field` refers to."""
        start, length = self._vector(field, 4)
        return list(struct.unpack_from(f"<{length}i", self._data, start))

    def data(self, field: int) -> memoryview:
        """The bytes that `field` refers to."""
        start, length = self._vector(field, 1)
        return self._data[start : start + length]

    def text(self, field: int) -> str:
        """The text that `field` refers to, the first 80 bytes of it."""
        return bytes(self.data(field)[:80]).decode("utf-8", "replace")

    def _field(self, field: int) -> int | None:
        entry = 4 + 2 * field
        within = self._number("H", self._vtable + entry) if entry + 2 <= self._length else 0
        return self._place + within if within else None

    def _target(self, field: int) -> int | None:
        place = self._field(field)
        return None if place is None else place + self._number("I", place)

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """The place of a vector's first entry, and the number of entries, of `size` bytes each."""
        place = self._target(field)
        if place is None:
            return 0, 0
        length = self._number("I", place)
        if place + 4 + size * length > len(self._data):
            self._refuse()
        return place + 4, length

    def _number(self, code: str, place: int) -> int:
        if not 0 <= place <= len(self._data) - struct.calcsize(code):
            self._refuse()
        return struct.unpack_from("<" + code, self._data, place)[0]

    def _refuse(self) -> NoReturn:
        raise FileError(f"{self._source} is damaged: something in it lies outside the file")
