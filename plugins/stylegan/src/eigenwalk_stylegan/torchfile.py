"""PyTorch's own files: what they claim is looked at first, then `torch.load(weights_only=True)` opens them.

`weights_only` runs no code of a file, but it allocates what a header claims before it looks for it, unpacks
compressed members and calls ``bytearray`` and ``torch.Tensor`` with any size. So our own machine reads a file's
pickles first, with a list that has none of these, and adds up what the storages claim against the bytes there are.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eigenwalk.errors import FileError
from eigenwalk_stylegan.inert import STEPS, Global, Items, Machine, Make, Record

MAGIC = 0x1950A86A20F9469CFC6C
"""The first value of a file that `torch.save` wrote before version 1.6, or inside another pickle."""
LARGEST_HEAD = 256 << 20
"""Bytes of the pickle inside an archive."""
HEADER = 1000
"""Opcodes in the pickles of one storage at most: they have about 60."""
STORAGES = {
    "FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Bytes of one number in each kind of storage."""


@dataclass(frozen=True)
class Claim:
    """A storage that a file's pickle speaks of: `numel` numbers of `itemsize` bytes under `key`."""

    key: str
    itemsize: int
    numel: int


class Namespace:
    """What a training script was called with, inert: it stands for ``argparse.Namespace``."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.values = dict(state)


def _claim(identity: Any) -> Claim:
    """The claim in a persistent id ``("storage", kind, key, device, numel, …)``."""
    word, kind, key, _, numel, *_ = identity
    sizes = {f"torch.{name}": size for name, size in STORAGES.items()}
    if word != "storage" or not isinstance(kind, Global) or not isinstance(key, str) or numel < 0:
        raise ValueError("a persistent id that is no storage")
    return Claim(key, sizes[str(kind)], int(numel))


def _tensor(machine: Machine, arguments: tuple[Any, ...]) -> Record:
    """A tensor that stays within the storage that it claims."""
    claim, offset, size, stride = arguments[:4]
    fits(size, stride, offset, claim.numel)
    return Record("tensor")


def fits(size: Any, stride: Any, offset: Any, numel: int) -> None:
    """Nothing, where a tensor of these lies within `numel` numbers, none of them twice.

    Raises:
        ValueError: it does not.
    """
    sides = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 8 or not all(type(side) is int and side >= 0 for side in sides):
        raise ValueError("a tensor of impossible shape")
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if math.prod(size) and (math.prod(size) > numel or last >= numel):
        raise ValueError(f"a tensor of shape {tuple(size)} in a storage of {numel} numbers")


TENSORS: dict[str, Make | None] = {
    "collections.OrderedDict": lambda machine, arguments: Items(),
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda machine, arguments: arguments[0],
    "argparse.Namespace": lambda machine, arguments: Record("Namespace"),
    **{f"torch.{name}": None for name in STORAGES},
}
"""What a file of PyTorch may name."""


def opened(path: Path) -> dict[str, Any]:
    """What the PyTorch file at `path` holds, tensors on the CPU; nothing of it is run.

    Raises:
        FileError: it wants to run code, claims more than it has, is compressed, truncated, or no file of PyTorch.
    """
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        else:
            data = path.read_bytes()
            check_legacy(memoryview(data), str(path), len(data))
        with (
            warnings.catch_warnings(action="ignore"),
            torch.serialization.safe_globals([(Namespace, "argparse.Namespace")]),
        ):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileError:
        raise
    except Exception as error:  # a damaged file makes the readers of archives and pickles raise anything
        raise FileError(f"{path} cannot be opened, it is truncated or damaged ({error})") from error
    if not isinstance(found, dict):
        raise FileError(f"{path} holds a {type(found).__name__}, where networks by name were expected")
    return found


def storage(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """The storage in a file of PyTorch inside a pickle, as ``torch.storage._load_from_bytes`` gives it."""
    (content,) = arguments
    if not isinstance(content, memoryview):
        raise TypeError("bytes are expected")
    machine.charge(len(content))
    where = f"a storage inside {machine.what}"
    if not isinstance(check_legacy(content, where, len(content), HEADER), Claim):
        machine.refuse("what should be a storage inside it is none")
    with warnings.catch_warnings(action="ignore"):
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def check_legacy(data: memoryview, what: str, budget: int, steps: int = STEPS) -> Any:
    """The inert value of a file in PyTorch's older format, whose claims are no more than it has.

    It is five pickles (magic number, version, machine, object, the storages' keys), then each storage: its count of
    numbers in eight bytes, and the numbers.

    Raises:
        FileError: it names what is not listed, or claims more than it has.
    """
    claims: dict[str, Claim] = {}
    claimed = 0
    machine = Machine(data, TENSORS, what, budget, steps)

    def persistent(identity: Any) -> Claim:
        nonlocal claimed
        claim = _read(machine, identity)
        if claim.key not in claims:
            claims[claim.key] = claim
            claimed += claim.itemsize * claim.numel
        if claims[claim.key] != claim or claimed > len(data):
            machine.refuse(f"its storages claim more than the {len(data)} bytes there are")
        return claim

    if machine.load() != MAGIC or machine.load() != 1001 or not isinstance(machine.load(), dict):
        machine.refuse("it is no file of PyTorch")
    machine.persistent = persistent
    value = machine.load()
    machine.persistent = None
    keys = machine.load()
    if not isinstance(keys, list) or len(keys) != len(set(map(machine.key, keys))) or set(keys) != set(claims):
        machine.refuse("its list of storages is not that of its tensors")
    for key in keys:
        if machine.unsigned(8) != claims[key].numel:
            machine.refuse(f"storage {key[:40]!r} has another size than it claims")
        machine.take(claims[key].numel * claims[key].itemsize)
    return value


def _check_archive(path: Path) -> None:
    """Nothing, where the archive's pickle is listed and its storages are what they claim."""
    with zipfile.ZipFile(path) as archive:
        members = {one.filename: one for one in archive.infolist()}
        size = path.stat().st_size
        stored = all(one.compress_type == zipfile.ZIP_STORED for one in members.values())
        if not stored or sum(one.file_size for one in members.values()) > size:
            raise FileError(f"{path} was not opened: an archive of PyTorch is not compressed, and no larger inside")
        heads = [name for name in members if name.endswith("/data.pkl")]
        if len(heads) != 1 or len(members) != len(archive.infolist()):
            raise FileError(f"{path} is an archive without one data.pkl: no file that torch.save wrote")
        if members[heads[0]].file_size > LARGEST_HEAD:
            raise FileError(f"{path} was not opened: its data.pkl has {members[heads[0]].file_size} bytes")
        data = archive.read(heads[0])
    folder = heads[0].removesuffix("data.pkl")
    machine = Machine(memoryview(data), TENSORS, str(path), size)

    def persistent(identity: Any) -> Claim:
        claim = _read(machine, identity)
        member = members.get(f"{folder}data/{claim.key}")
        if member is None or claim.numel * claim.itemsize > member.file_size:
            machine.refuse(f"storage {claim.key[:40]!r} claims {claim.numel} numbers, more than there are")
        return claim

    machine.persistent = persistent
    machine.load()


def _read(machine: Machine, identity: Any) -> Claim:
    try:
        return _claim(identity)
    except (TypeError, ValueError, KeyError):
        machine.refuse("it refers to another file, where a storage was expected")


def rebuilt(machine: Machine, arguments: tuple[Any, ...]) -> Tensor:
    """The tensor that ``torch._utils._rebuild_tensor_v2`` would make of a storage."""
    held, offset, size, stride = arguments[:4]
    numbers, made = held._untyped_storage, torch.empty(0, dtype=held.dtype)
    fits(size, stride, offset, numbers.nbytes() // made.element_size())
    return made.set_(numbers, offset, tuple(size), tuple(stride))
