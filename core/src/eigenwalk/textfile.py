"""Text files from outside, read within bounds: regular files only, so many bytes, so deep.

    entries = read_toml(Path("recipe.toml"), "recipe")
    answer = read_json(Path("progress/0001.json"), "progress", limit=32 << 20)

A pipe or a device is refused before it is opened, and a small file cannot ask for gigabytes. No torch here.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from eigenwalk.errors import FileError

LARGEST = 4 << 20
"""Bytes of a text file, unless the caller says otherwise."""
DEEPEST = 64
"""How deep tables and lists may lie in each other."""
LONGEST_KEY = 16
"""Parts of a dotted key. tomllib takes memory that grows with their square: 20,000 parts cost 5.6 GB."""
_PART = r"""(?>[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?<![\w.-]){_PART}(?>[ \t]*\.[ \t]*{_PART}){{{LONGEST_KEY}}}")


def read_bytes(path: Path | str, what: str = "file", limit: int = LARGEST) -> bytes:
    """Return the bytes of the regular file at `path`; `what` names it in messages.

    Raises:
        FileError: missing, unreadable, a folder, a pipe or a device, or longer than `limit` bytes.
    """
    path = Path(os.path.expanduser(path))
    try:
        _check_regular(os.stat(path), path, what)
        # Without O_NONBLOCK, a pipe that has taken the file's place since would wait for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            _check_regular(os.fstat(handle), path, what)
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise FileError(f"cannot read the {what} {path!s:.200}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > limit:
        raise FileError(f"the {what} {path} is longer than {limit:,} bytes: it is not read")
    return data


def read_text(path: Path | str, what: str = "file", limit: int = LARGEST) -> str:
    """Return the text, UTF-8, of the file at `path`; raises as `read_bytes`, and where it is no text."""
    try:
        return read_bytes(path, what, limit).decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(f"the {what} {path} is not text in UTF-8") from None


def read_toml(path: Path | str, what: str = "file", limit: int = LARGEST) -> dict[str, Any]:
    """Return the TOML in the file at `path`; raises as `read_text` and `parse_toml`."""
    return parse_toml(read_text(path, what, limit), f"the {what} {path}")


def read_json(path: Path | str, what: str = "file", limit: int = LARGEST) -> Any:
    """Return what the JSON file at `path` holds; raises as `read_text` and `parse_json`."""
    return parse_json(read_text(path, what, limit), f"the {what} {path}", limit)


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Return the entries of TOML `text`; `source` names it in messages.

    Raises:
        FileError: no TOML, nested deeper than `DEEPEST`, or with keys of more than `LONGEST_KEY` parts.
    """
    if len(text) > LARGEST:
        raise FileError(f"{source} is longer than {LARGEST:,} bytes: it is not read")
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise FileError(f"{source}, line {line}: a key may have {LONGEST_KEY} parts, got {found[0]:.40}…")
    try:
        entries = tomllib.loads(text)
    except RecursionError:
        raise FileError(f"{source} is not read: nested too deep, at most {DEEPEST} levels") from None
    except ValueError as error:
        raise FileError(f"{source} is not TOML: {error}") from None
    _check_depth(entries, source)
    return entries


def parse_json(text: str | bytes, source: str, limit: int = LARGEST) -> Any:
    """Return what JSON `text` holds; `source` names it in messages.

    Raises:
        FileError: longer than `limit`, no JSON, or nested deeper than `DEEPEST`.
    """
    if len(text) > limit:
        raise FileError(f"{source} is longer than {limit:,} bytes: it is not read")
    try:
        found = json.loads(text)
    except RecursionError:
        raise FileError(f"{source} is not read: nested too deep, at most {DEEPEST} levels") from None
    except ValueError as error:
        raise FileError(f"{source} is truncated or damaged: no JSON ({error})") from None
    _check_depth(found, source)
    return found


def _check_regular(state: os.stat_result, path: Path, what: str) -> None:
    """Raise FileError unless `state` is a regular file's."""
    if not stat.S_ISREG(state.st_mode):
        is_folder = stat.S_ISDIR(state.st_mode)
        raise FileError(f"cannot read the {what} {path}: it is {'a folder' if is_folder else 'a pipe or a device'}")


def _check_depth(value: Any, source: str) -> None:
    """Raise FileError if lists and tables lie in each other more than `DEEPEST` deep."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise FileError(f"{source} is not read: nested too deep, at most {DEEPEST} levels")
