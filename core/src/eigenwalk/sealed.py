"""Saved files that say whether they are what was written: JSON with its own sum, tensors with theirs.

write_whole(file, json_text(seal({"tensors": sum_of(tensors)})))
document = open_sealed(file)
arrays = read_tensors(file.with_suffix(".safetensors"), document["tensors"])
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load

from eigenwalk.errors import FileError
from eigenwalk.textfile import LARGEST, parse_json, read_bytes

FORMAT = 2
"""Of saved files: 2 has sums, and null for what is not a number; 1, which had neither, is still read."""


def seal(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return `entries` with our format's number, and under ``sum`` the SHA-256 of all of it."""
    document = {"format": FORMAT, **entries}
    return {"sum": _content_sum(document), **document}


def json_text(document: Mapping[str, Any]) -> str:
    """Return `document` as JSON that people can read and every reader of JSON takes."""
    return json.dumps(document, indent=1, allow_nan=False)


def open_sealed(file: Path) -> dict[str, Any]:
    """Return what `seal` made and was written to `file`; earlier versions gave no sum (None).

    Raises:
        FileError: it is no JSON of ours, or not what was written.
    """
    return unseal(read_whole(file), str(file), _limit(file))


def unseal(text: bytes, source: str, limit: int = LARGEST) -> dict[str, Any]:
    """Return what `seal` made and `text` holds, as `open_sealed`; `source` names it in messages."""
    document = parse_json(text, source, limit)
    if not isinstance(document, dict) or document.get("format", 1) not in (1, FORMAT):
        raise FileError(f"{source} is of another kind, or of a later version")
    has = document.pop("sum", None)
    if (has is not None or document.get("format", 1) != 1) and has != _content_sum(document):
        raise FileError(f"{source} is damaged: its SHA-256 differs from the one saved with it")
    return {"sum": has, **document}


def read_whole(file: Path) -> bytes:
    """Return the bytes of the regular file `file`; raises FileError if it cannot be read."""
    return read_bytes(file, "file", _limit(file))


def read_checked(file: Path, expected: str | None) -> bytes:
    """Return the bytes of `file`, whose SHA-256 must be `expected`.

    Raises:
        FileError: it cannot be read, or is not what was written.
    """
    data = read_whole(file)
    if sum_of(data) != expected:
        raise FileError(f"{file} is damaged: its SHA-256 differs from the one saved with it")
    return data


def read_tensors(file: Path, expected: str | None) -> dict[str, NDArray[Any]]:
    """Return the tensors in `file`, read as `read_checked` does; unchecked where an earlier version wrote no sum."""
    return load(read_whole(file) if expected is None else read_checked(file, expected))


def sum_of(data: bytes) -> str:
    """Return the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _limit(file: Path) -> int:
    return max(LARGEST, file.stat().st_size if file.is_file() else 0)


def _content_sum(document: Mapping[str, Any]) -> str:
    return sum_of(json.dumps(document, sort_keys=True).encode())
