"""Pickles as trees of data: PyTorch's archives, its older format, and plain pickles with tensors inside.

The machine reads them, so that what is checked is what is read: nothing is handed to another reader afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eigenwalk.checkpoint.known import known, storage_claim
from eigenwalk.checkpoint.lazy import Storage
from eigenwalk.checkpoint.machine import STEPS, Global, Machine

MAGIC = 0x1950A86A20F9469CFC6C
"""The first value of a file that `torch.save` wrote before version 1.6, or inside another pickle."""
LARGEST_PICKLE = 256 << 20
"""Bytes of the pickle inside an archive."""
STEPS_INSIDE = 1000
"""Opcodes in the pickles of one storage inside another pickle at most: they have about 60."""


@dataclass(frozen=True)
class Pickled:
    """What a pickle holds, and the names in it of which nothing is known."""

    tree: Any
    foreign: tuple[str, ...]


def read_archive(members: Mapping[str, memoryview], what: str) -> Pickled:
    """What the PyTorch archive with these `members` holds; `what` names the file.

    Raises:
        FileError: its pickle is not read, or its storages claim more than they have.
    """
    data = members["data.pkl"]
    machine = Machine(data, KNOWN, what, len(data))
    if len(data) > LARGEST_PICKLE:
        machine.refuse(f"its data.pkl has {len(data)} bytes")
    if bytes(members.get("byteorder", b"little")) != b"little":
        machine.refuse("its numbers are stored with the most significant byte first")
    held: dict[str, Storage] = {}

    def take(key: str, storage: Storage) -> Storage:
        buffer = members.get(f"data/{key}")
        if buffer is None or storage.nbytes > len(buffer):
            machine.refuse(f"storage {key[:40]!r} claims {storage.numel} numbers, more than there are")
        return _same(machine, held, key, storage, buffer)

    machine.persistent = _reader(machine, take)
    return Pickled(machine.load(), tuple(machine.foreign))


def read_pickle(data: memoryview, what: str) -> Pickled:
    """What the plain pickle `data` holds.

    Raises:
        FileError: it is not read.
    """
    machine = Machine(data, KNOWN, what, len(data))
    return Pickled(machine.load(), tuple(machine.foreign))


def read_legacy(data: memoryview, what: str, steps: int = STEPS) -> Pickled:
    """What `data`, a file in PyTorch's older format, holds.

    It is five pickles (magic number, version, machine, object, the storages' keys), then each storage: its count of
    numbers in eight bytes, and the numbers.

    Raises:
        FileError: it is not read, or claims more than it has.
    """
    machine = Machine(data, KNOWN, what, len(data), steps)
    held: dict[str, Storage] = {}

    def take(key: str, storage: Storage) -> Storage:
        storage = _same(machine, held, key, storage)
        if storage.nbytes > len(data):
            machine.refuse(f"its storages claim more than the {len(data)} bytes there are")
        return storage

    if machine.load() != MAGIC or machine.load() != 1001 or not isinstance(machine.load(), dict):
        machine.refuse("it is no file of PyTorch")
    machine.persistent = _reader(machine, take)
    tree = machine.load()
    machine.persistent = None
    if sum(one.nbytes for one in held.values()) > len(data):
        machine.refuse(f"its storages claim more than the {len(data)} bytes there are")
    keys = machine.load()
    if not isinstance(keys, list) or len(keys) != len(set(map(machine.key, keys))) or set(keys) != set(held):
        machine.refuse("its list of storages is not that of its tensors")
    for key in keys:
        if machine.unsigned(8) != held[key].numel:
            machine.refuse(f"storage {key[:40]!r} has another size than it claims")
        held[key].buffer = machine.take(held[key].nbytes)
    return Pickled(tree, tuple(machine.foreign))


def _storage_inside(machine: Machine, content: Any) -> Storage:
    """A storage that is saved as a whole file inside another pickle, as ``torch.storage._load_from_bytes`` reads it."""
    if not isinstance(content, memoryview):
        raise TypeError("bytes are expected")
    machine.charge(len(content))  # read no more often than the file holds such bytes
    storage = read_legacy(content, f"a storage inside {machine.what}", STEPS_INSIDE).tree
    if not isinstance(storage, Storage):
        machine.refuse("what should be a storage inside it is none")
    return storage


def _reader(machine: Machine, take: Callable[[str, Storage], Storage]) -> Callable[[Any], Any]:
    """Return what reads a persistent id: a class stays a name, and of a storage's key and claim `take` makes one."""

    def read(identity: Any) -> Any:
        try:
            claim = storage_claim(identity)
        except (TypeError, ValueError, KeyError, IndexError):
            machine.refuse("it refers to another file, where a storage was expected")
        return claim if isinstance(claim, Global) else take(*claim)

    return read


def _same(machine: Machine, held: dict[str, Storage], key: str, storage: Storage, buffer: Any = None) -> Storage:
    """The one storage under `key`, which every mention of it must describe alike."""
    storage.buffer = buffer
    found = held.setdefault(key, storage)
    if (found.dtype, found.numel) != (storage.dtype, storage.numel):
        machine.refuse(f"storage {key[:40]!r} is described in two ways")
    return found


KNOWN = known(_storage_inside)
"""What stands for the names in all pickles."""
