"""The header of a safetensors file: tensors by name, and the file's metadata."""

from __future__ import annotations

from typing import Any

from eigenwalk.checkpoint.lazy import LazyTensor, Storage, contiguous
from eigenwalk.errors import FileError
from eigenwalk.textfile import parse_json

LARGEST_HEADER = 8 << 20
"""Bytes of a header that are read; 10,000 tensors take about a million."""
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip


def read_safetensors(data: memoryview, what: str) -> tuple[dict[str, LazyTensor], dict[str, str]]:
    """The tensors in `data` by name, and the metadata; `what` names the file.

    Raises:
        FileError: truncated, too long, or no header.
    """
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        raise FileError(f"{what} cannot be opened as safetensors, it is truncated: its header is longer than the file")
    if size > LARGEST_HEADER:
        raise FileError(f"{what} was not opened: its header has {size} bytes, at most {LARGEST_HEADER} are read")
    header = parse_json(bytes(data[8 : 8 + size]), what, LARGEST_HEADER)
    numbers = data[8 + size :]
    if not isinstance(header, dict):
        raise FileError(f"{what} cannot be opened as safetensors: its header is no table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FileError(f"{what} cannot be opened as safetensors: its metadata are no words")
    return {name: _tensor(name, one, numbers, what) for name, one in header.items()}, metadata


def _tensor(name: str, described: Any, numbers: memoryview, what: str) -> LazyTensor:
    try:
        shape, (start, end) = tuple(described["shape"]), described["data_offsets"]
        storage = Storage(DTYPES[described["dtype"]], 0, numbers[start:end])
        storage.numel = (end - start) // storage.itemsize
        made = LazyTensor(storage, shape, contiguous(shape))
        if made.nbytes != end - start or not 0 <= start <= end <= len(numbers):
            raise ValueError("a tensor that lies outside the file: truncated")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FileError(
            f"{what} cannot be opened as safetensors, it is truncated or damaged: {name[:80]!r} ({error})"
        ) from error
    return made
