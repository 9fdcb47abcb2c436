"""The members of a zip archive, checked before anything reads them."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from eigenwalk.errors import FileError

PACKED = 64 << 20
"""Bytes that compressed members may have together: a network's code has some hundred thousand."""
LARGEST_DIRECTORY = 8 << 20
"""Bytes of an archive's table of contents: that of 10,000 members has about a million."""


class Members(Mapping[str, memoryview]):
    """The members of the archive `data` by their names below its one folder; stored ones are views of it.

    PyTorch stores members as they are, code apart, which it compresses: what is compressed may be larger than memory,
    so that all of it together is bounded. Of two members with the same name, two readers may take different ones.

    Raises:
        FileError: truncated, too large inside, encrypted, or with names that stand twice.
    """

    def __init__(self, file: BinaryIO, data: memoryview, what: str) -> None:
        self._data, self._file, self._what = data, file, what
        try:
            if _directory_size(data) > LARGEST_DIRECTORY:
                raise FileError(f"{what} was not opened: its table of contents is too long")
            with zipfile.ZipFile(file) as archive:
                if any(archive.infolist()) and min(one.header_offset for one in archive.infolist()):
                    raise FileError(f"{what} was not opened: another file stands before the members of its archive")
                listed = [one for one in archive.infolist() if not one.is_dir()]
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
            raise FileError(
                f"{what} is truncated or damaged: it begins as an archive, and its end is missing ({error})"
            ) from error
        self._listed = {_below(one.filename): one for one in listed}
        if len({name.lower() for name in self._listed}) < len(listed):
            raise FileError(f"{what} was not opened: members of it stand twice")
        packed = sum(one.file_size for one in listed if one.compress_type != zipfile.ZIP_STORED)
        stored = sum(one.file_size for one in listed if one.compress_type == zipfile.ZIP_STORED)
        if packed > PACKED or stored > len(data):
            raise FileError(f"{what} was not opened: its members claim more than the file has room for")
        self._read: dict[str, memoryview] = {}

    def __getitem__(self, name: str) -> memoryview:
        if name not in self._read:
            self._read[name] = self._content(self._listed[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def _content(self, member: zipfile.ZipInfo) -> memoryview:
        start = member.header_offset
        head = self._data[start : start + 30]
        if len(head) < 30 or head[:4] != b"PK\x03\x04" or member.flag_bits & 1:
            raise FileError(f"{self._what} is damaged, or encrypted: its member {member.filename[:80]!r} is not there")
        if member.compress_type == zipfile.ZIP_STORED:
            lengths = struct.unpack("<HH", head[26:30])
            start += 30 + sum(lengths)
            if start + member.file_size > len(self._data):
                raise FileError(f"{self._what} is truncated: its member {member.filename[:80]!r} ends after the file")
            return self._data[start : start + member.file_size]
        try:
            with zipfile.ZipFile(self._file) as archive, archive.open(member) as packed:
                return memoryview(packed.read(member.file_size))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError, zlib.error) as error:
            raise FileError(f"{self._what} is damaged: {error}") from error


def _below(name: str) -> str:
    """The name without the archive's one folder."""
    return name.partition("/")[2] or name


def _directory_size(data: memoryview) -> int:
    """Bytes of the table of contents, as the record at the archive's end says (APPNOTE.TXT, 4.3.14 to 4.3.16)."""
    tail = bytes(data[-(22 + (1 << 16)) :])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise ValueError("no table of contents")
    (size,) = struct.unpack("<I", tail[at + 12 : at + 16])
    if size == 0xFFFFFFFF:
        (place,) = struct.unpack("<Q", tail[at - 12 : at - 4])
        (size,) = struct.unpack("<Q", bytes(data[place + 40 : place + 48]))
    return size
