"""The members of a zip archive of PyTorch's, checked before anything reads them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from eigenwalk.errors import FileError

PACKED = 64 << 20
"""Bytes that compressed members may have together: a network's code has some hundred thousand."""


def members(path: Path) -> tuple[bytes, dict[str, bytes]]:
    """The whole file, and its members by their names below its one folder.

    PyTorch stores members as they are, code apart, which it compresses: what is compressed may be larger than memory.
    Of two members with the same name, two readers may take different ones.

    Raises:
        FileError: unreadable, truncated, too large inside, or with names that stand twice.
    """
    try:
        data = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            names = [one.filename.partition("/")[2].lower() for one in listed]
            if len(set(names)) < len(names):
                raise FileError(f"{path} was not opened: members of it stand twice")
            packed = sum(one.file_size for one in listed if one.compress_type != zipfile.ZIP_STORED)
            stored = sum(one.file_size for one in listed if one.compress_type == zipfile.ZIP_STORED)
            if packed > PACKED or stored > len(data):
                raise FileError(f"{path} was not opened: its members claim more than it has room for")
            return data, {one.filename.partition("/")[2]: archive.read(one) for one in listed}
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise FileError(f"{path} cannot be opened, it is truncated or no archive of PyTorch ({error})") from error
