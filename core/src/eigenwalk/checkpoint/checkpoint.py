"""One file or folder, opened once."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

from eigenwalk.checkpoint.archive import Members
from eigenwalk.checkpoint.kinds import ZIP, Kind, kind_of
from eigenwalk.checkpoint.lazy import LazyTensor
from eigenwalk.checkpoint.machine import Record
from eigenwalk.checkpoint.safetensors import read_safetensors
from eigenwalk.checkpoint.selection import StateDict, copies, flatten, select
from eigenwalk.checkpoint.torchfile import Pickled, read_archive, read_legacy, read_pickle
from eigenwalk.errors import FileError
from eigenwalk.textfile import parse_json

NOT_WEIGHTS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself: run git lfs pull",
    b"<!doctype html": "is a web page, not a checkpoint: the download went to a page instead of the file",
    b"<html": "is a web page, not a checkpoint: the download went to a page instead of the file",
}
LARGEST_JSON = 8 << 20
_SHARED: ContextVar[dict[Path, Checkpoint] | None] = ContextVar("_SHARED", default=None)


class Checkpoint(os.PathLike[str]):
    """The file or folder at `path`, opened and not yet read: see the package's docstring for what can be asked of it.

    `key` is where the user says that the network stands, such as ``netG``; `state_dict` looks there.

    Raises:
        FileError: missing, empty, unreadable, no regular file or folder, or plainly something else.
    """

    def __init__(self, path: str | os.PathLike[str], key: str | None = None) -> None:
        self.path, self.key = Path(os.path.expanduser(path)), key
        self.is_folder = os.path.isdir(self.path)
        self.size = 0
        if self.is_folder:
            return
        self._file = _open_regular(self.path)
        self._state = os.fstat(self._file.fileno())
        self.size = self._state.st_size
        if not self.size:
            raise FileError(f"{self.path} is empty: copy or download it again")
        self.data = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        head = bytes(self.data[:64]).lstrip().lower()
        for start, what in NOT_WEIGHTS.items():
            if head.startswith(start):
                raise FileError(f"{self.path} {what}")
        if self.data[:4] == ZIP:
            self.members  # noqa: B018 - a truncated archive is refused at once

    @classmethod
    def of(cls, path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
        """`path` itself where it is a Checkpoint, else the one of this path, which `sharing` keeps."""
        if isinstance(path, Checkpoint):
            return path
        shared, place = _SHARED.get(), Path(os.path.expanduser(path)).absolute()
        if shared is None:
            return cls(path, key)
        found = shared.get(place)
        if found is None or found.key != key or found.is_stale:
            found = shared[place] = cls(path, key)
        return found

    @cached_property
    def kind(self) -> Kind:
        """What it is, by its bytes."""
        return Kind.FOLDER if self.is_folder else kind_of(self.data, self.members)

    @cached_property
    def members(self) -> Mapping[str, memoryview]:
        """The contents of an archive by name, its one folder taken off; empty for other files. See `Members`."""
        if self.is_folder or self.data[:4] != ZIP:
            return {}
        return Members(self._file, self.data, str(self))

    @cached_property
    def sha256(self) -> str:
        """Its SHA-256, hexadecimal, of the bytes that were read.

        Raises:
            FileError: it has changed since it was opened.
        """
        found = hashlib.sha256(self.data).hexdigest()
        if self.is_stale:
            raise FileError(f"{self} has changed while it was read: open it again once it is written")
        return found

    @property
    def is_stale(self) -> bool:
        """Whether the file has changed since it was opened."""
        try:
            return not self.is_folder and _stamp(os.stat(self.path)) != _stamp(self._state)
        except OSError:
            return True

    @property
    def tree(self) -> Any:
        """What it holds: dictionaries, lists, numbers, words, `LazyTensor`s and inert `Record`s.

        Raises:
            FileError: it is no file of tensors, or is not opened; the message says why.
        """
        return self._pickled.tree

    @property
    def foreign(self) -> tuple[str, ...]:
        """Classes and functions that a pickle names and of which nothing is known; nothing of them was run."""
        return self._pickled.foreign

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """The metadata of a safetensors file; empty for others."""
        return self._safetensors[1] if self.kind is Kind.SAFETENSORS else {}

    @cached_property
    def trouble(self) -> str:
        """Why its tensors cannot be read, or nothing."""
        try:
            self.tensors  # noqa: B018 - read once, and kept
        except FileError as error:
            return str(error)
        return ""

    @cached_property
    def tensors(self) -> Mapping[str, LazyTensor]:
        """All tensors by dotted names; raises as `tree`."""
        return flatten(self.tree, str(self))

    def has_all(self, *names: str) -> bool:
        """Whether tensors of these names stand there under one prefix; False for what cannot be read."""
        if not self.kind.holds_tensors or self.trouble:
            return False
        return bool(copies(self.tensors, names))

    def state_dict(self, *has: str, key: str | None = None) -> StateDict | None:
        """The copy of a network that has tensors of the names `has`, its prefix taken off; None where there is none.

        Averaged weights are preferred; `StateDict.choice` says what was chosen. Without names, the generator's copy by
        the words that training code uses. `key` says where it stands, by default what the user wrote.

        Raises:
            FileError: as `tree`.
            OptionError: nothing stands under `key`, or several networks fit and nothing says which.
        """
        return select(self.tensors, has, key or self.key, str(self), self.size)

    def inside(self, name: str) -> Checkpoint | None:
        """The file `name` of this folder; None where there is none."""
        place = self.path / name
        return self.of(place) if self.is_folder and place.is_file() else None

    def json(self) -> Any:
        """What this JSON file holds; raises FileError where it is too long, too deep, or none."""
        return parse_json(bytes(self.data[: LARGEST_JSON + 1]), str(self), LARGEST_JSON)

    @cached_property
    def words(self) -> str:
        """What it is and holds, for people: ``a PyTorch file with g_ema (120 tensors), g, d and args``."""
        if not self.kind.holds_tensors:
            return str(self.kind)
        if self.trouble:
            return f"{self.kind} that is not opened: {self.trouble}"
        tree = self.tree
        if isinstance(tree, Record):
            return f"{self.kind} of one object of class {tree.kind}"
        if not isinstance(tree, dict):
            return f"{self.kind} that holds a {type(tree).__name__}"
        counts = Counter(name.split(".")[0] for name in self.tensors)
        tops = list(dict.fromkeys([*counts, *map(str, tree)])) if len(counts) < 40 else list(counts)
        listed = [f"{top} ({counts[top]} tensors)" if counts[top] > 1 else top for top in tops[:6]]
        more = f" and {len(tops) - 6} more" if len(tops) > 6 else ""
        return f"{self.kind} with {', '.join(listed)}{more}" if listed else f"{self.kind} that holds nothing"

    @cached_property
    def _pickled(self) -> Pickled:
        if self.kind is Kind.SAFETENSORS:
            return Pickled(dict(self._safetensors[0]), ())
        if self.kind is Kind.TORCH:
            return read_archive(self.members, str(self))
        if self.kind is Kind.TORCH_LEGACY:
            return read_legacy(self.data, str(self))
        if self.kind is Kind.PICKLE:
            return read_pickle(self.data, str(self))
        if self.kind is Kind.OTHER:
            raise FileError(f"{self} cannot be opened as weights: it is truncated, or no PyTorch file or safetensors")
        raise FileError(f"{self} is {self.kind}, not a file of tensors")

    @cached_property
    def _safetensors(self) -> tuple[dict[str, LazyTensor], dict[str, str]]:
        return read_safetensors(self.data, str(self))

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path}>"


@contextmanager
def sharing() -> Iterator[dict[Path, Checkpoint]]:
    """Let `Checkpoint.of` return the same object for the same path in this context; the files opened, by path."""
    shared = _SHARED.get()
    if shared is not None:
        yield shared
        return
    token = _SHARED.set(made := {})
    try:
        yield made
    finally:
        _SHARED.reset(token)


def _open_regular(path: Path) -> Any:
    """The file at `path`, opened for reading; a pipe or a device, which may never end, is refused unopened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise FileError(f"{path} is no regular file: a pipe or a device is not opened")
        nonblocking = getattr(os, "O_NONBLOCK", 0)
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | nonblocking))  # noqa: SIM115 - kept
    except FileNotFoundError:
        raise FileError(f"there is no file {str(path)[:200]!r} in {Path.cwd()}") from None
    except OSError as error:
        reason = "its name is too long" if error.errno == errno.ENAMETOOLONG else error.strerror
        raise FileError(f"{str(path)[:200]} cannot be read: {reason}") from error
    except ValueError as error:  # a null character in the name
        raise FileError(f"{str(path)[:200]!r} cannot be read: {error}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileError(f"{path} is no regular file: a pipe or a device is not opened")
    return file


def _stamp(state: os.stat_result) -> tuple[int, ...]:
    return (state.st_size, state.st_mtime_ns, state.st_ino)
