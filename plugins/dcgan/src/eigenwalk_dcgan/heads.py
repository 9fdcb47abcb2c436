"""Names and shapes of the tensors in a file, read without running or unpacking anything. No torch here.

A pickle is a program; here its opcodes are only looked at (`pickletools`), and what they would build is a tree of
dictionaries in which every tensor is its shape. Nothing that a file names is imported or called.
"""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
from pathlib import Path
from typing import Any

HEAD = 8 << 20
"""Bytes that are looked at: the names of some tens of thousands of tensors."""
OPCODES = 400_000
LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")
"""The beginning of a file that `torch.save` wrote before version 1.6, or with its old format since."""


class Shape(tuple[int, ...]):
    """The shape of one tensor."""


class _Mark:
    """Where a list of values begins on the stack."""


def shapes(path: Path) -> dict[str, Any] | None:
    """The file's dictionaries with a `Shape` for each tensor; None where it is no file of tensors."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if head[:4] == b"PK\x03\x04":
            found = _archive(path)
        elif head.startswith(LEGACY):
            found = _legacy(head)
        else:
            return _safetensors(head)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, NotImplementedError):
        return None
    return found if isinstance(found, dict) else None


def _safetensors(head: bytes) -> dict[str, Any] | None:
    """The header of a safetensors file: eight bytes of length, then JSON."""
    size = int.from_bytes(head[:8], "little")
    if not 2 <= size <= len(head) - 8 or head[8:9] != b"{":
        return None
    try:
        described = json.loads(head[8 : 8 + size])
    except (ValueError, RecursionError):
        return None
    metadata = described.pop("__metadata__", {})
    # Another plugin's format, which says so: eigenwalk-stylegan writes that it is one.
    if isinstance(metadata, dict) and str(metadata.get("format", "pt")).startswith("eigenwalk"):
        return None
    return {name: Shape(one["shape"]) for name, one in described.items()}


def _archive(path: Path) -> Any:
    """The pickle inside an archive of PyTorch's, unless it is a TorchScript module, whose code is beside it."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        heads = [one for one in archive.infolist() if one.filename.endswith("/data.pkl")]
        if len(heads) != 1 or any(name.endswith("/constants.pkl") for name in names):
            return None
        if heads[0].compress_type != zipfile.ZIP_STORED:
            return None
        with archive.open(heads[0]) as file:
            return _built(io.BytesIO(file.read(HEAD)))


def _legacy(head: bytes) -> Any:
    """The fourth pickle of a file in the older format: magic number, version and machine stand before it."""
    stream = io.BytesIO(head)
    for _ in range(3):
        for opcode, _, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                break
    return _built(stream)


def _built(stream: io.BytesIO) -> Any:
    """What the pickle at `stream` would build, calls left out."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for steps, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name == "STOP" or steps > OPCODES:
            break
        _step(opcode.name, argument, stack, memo)
    return stack[-1]


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """One opcode done to the stack."""
    if name == "MARK":
        stack.append(_Mark)
    elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET"):
        stack.append({"D": dict, "L": list, "T": tuple, "S": set}[name[6]]())
    elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
        memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET", "GET"):
        stack.append(memo[int(argument)])
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        stack[-int(name[5]) :] = [tuple(stack[-int(name[5]) :])]
    elif name == "TUPLE":
        stack.append(tuple(_popped(stack)))
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        _set(stack[-1], [key, value])
    elif name == "SETITEMS":
        items = _popped(stack)
        _set(stack[-1], items)
    elif name in ("APPEND", "APPENDS"):
        items = [stack.pop()] if name == "APPEND" else _popped(stack)
        if isinstance(stack[-1], list):
            stack[-1].extend(items)
    elif name == "BUILD":  # an object's attributes hold no networks
        stack.pop()
    elif name == "ADDITEMS":
        _popped(stack)
    elif name == "GLOBAL":
        stack.append(str(argument).replace(" ", "."))
    elif name == "STACK_GLOBAL":
        last, first = stack.pop(), stack.pop()
        stack.append(f"{first}.{last}")
    elif name in ("REDUCE", "NEWOBJ"):
        given, called = stack.pop(), stack.pop()
        stack.append(_called(called, given))
    elif name == "BINPERSID":
        stack[-1] = "storage"
    elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
        stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
    elif name == "POP":
        stack.pop()
    elif argument is not None and name not in ("PROTO", "FRAME"):
        stack.append(argument)


def _popped(stack: list[Any]) -> list[Any]:
    """What stands above the last mark, which goes with it."""
    at = len(stack) - 1 - stack[::-1].index(_Mark)
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _set(onto: Any, items: list[Any]) -> None:
    if isinstance(onto, dict):
        onto.update(zip(items[::2], items[1::2], strict=True))


def _called(called: Any, given: Any) -> Any:
    """What stands for a call: a shape for a tensor, an empty dictionary for an ordered one."""
    if called in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"):
        return Shape(given[2])
    if called == "torch._utils._rebuild_parameter":
        return given[0]
    if called == "collections.OrderedDict":  # Python 2 wrote its items as an argument
        return dict(given[0]) if given else {}
    return None
