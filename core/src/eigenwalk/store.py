"""Files on disk: written whole or not at all, and the store, the one folder of fetched weights. No torch here.

    store.write_whole(Path("notes.txt"), "whole or not at all")
    path = store.find(Weights(file="identity/vggface2.pt", …), "identity(pretrained=vggface2)")

Nothing here downloads.

Beside ``x.pt`` may lie ``x.pt.checked``, what its SHA-256 was when it was last computed, and ``x.pt.sha256``, the sum
on which somebody trusted a file whose publisher gives none, in the form of ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

import platformdirs

from eigenwalk.errors import OutputError, WeightsError, reason
from eigenwalk.spec import Weights

FOLDER = "EIGENWALK_WEIGHTS"
CHECKED, TRUSTED, PART = ".checked", ".sha256", ".part"
SUM = r"[0-9a-f]{64}"
_NOTED: ContextVar[list[tuple[str, str]] | None] = ContextVar("_NOTED", default=None)


@contextmanager
def open_whole(target: Path) -> Iterator[BinaryIO]:
    """A new binary file that becomes `target` when the block ends without an error; else `target` stays as it was.

    It is written beside `target`, under a name that nobody knows before and through no link, and then renamed: at any
    instant the old file or the new one exists.

    Raises:
        OSError: as the file system gives it, with `target` as its file; nothing else is left behind.
    """
    part = target.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
        os.replace(part, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(part)):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(target: Path, data: bytes | str) -> None:
    """Write `data` to `target`, text as UTF-8; raises as `open_whole`."""
    with open_whole(target) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


def write_output(target: Path, data: bytes | str) -> None:
    """Write `data` whole where a user asked for it; raises OutputError."""
    try:
        write_whole(target, data)
    except OSError as error:
        raise OutputError(f"cannot write {error.filename or target}: {reason(error)}") from error


def cache_folder() -> Path:
    """Return the folder of what can be made or fetched again: `EIGENWALK_CACHE`, else the user's cache folder."""
    if own := os.environ.get("EIGENWALK_CACHE"):
        return Path(own)
    xdg = os.environ.get("XDG_CACHE_HOME")
    earlier = Path(xdg or Path.home() / ".cache") / "eigenwalk"  # on every system, until platformdirs chose the place
    return earlier if xdg or earlier.is_dir() else Path(platformdirs.user_cache_dir("eigenwalk", False))


def folder() -> Path:
    """Where weights lie: `EIGENWALK_WEIGHTS`, else ``weights`` in `cache_folder()`."""
    own = os.environ.get(FOLDER)
    return (Path(own).expanduser() if own else cache_folder() / "weights").absolute()


def place(weights: Weights) -> Path:
    """Where the file of `weights` lies or would lie in the store.

    Raises:
        ValueError: it ships inside its package (it has no `source`).
    """
    if weights.source is None:
        raise ValueError(f"{weights.file} ships inside its package: it has no place in the store")
    return folder().joinpath(*weights.file.split("/"))


def find(weights: Weights, name: str) -> Path:
    """The path of the file of `weights`, whose SHA-256 is the expected one.

    `name` is the expression that wants it, such as ``identity(pretrained=vggface2)``. A file is hashed when it is
    first found, and again when its size, times or inode have changed since.

    Raises:
        WeightsError: the file is absent, damaged or cannot be read; the message says how to get it.
    """
    path = place(weights)
    if not path.is_file():
        raise WeightsError(
            f"{name} needs weights that are not here: {weights.file} ({megabytes(weights.size)}, licence: "
            f"{weights.licence})\n  fetch them:  {command(name)}\n  or copy the file to  {path}\n"
            f"  from  {weights.source}"
        )
    expected = expected_sha256(weights)
    if expected is None:
        raise WeightsError(
            f"{name}: nobody has published the SHA-256 of {path}, and no sum was recorded for it\n"
            f"  give it, or trust the file as it is:  {command(name)} --sha256 HEX  or  {command(name)} --trust"
        )
    found = sha256_of(path)
    if found != expected:
        raise WeightsError(
            f"{name}: {path} is damaged, or another file: SHA-256 {found}, expected {expected}\n"
            f"  fetch it again:  {command(name)}"
        )
    if (noted := _NOTED.get()) is not None:
        noted.append((weights.file, found))
    return path


@contextmanager
def collect_used() -> Iterator[list[tuple[str, str]]]:
    """Files with their SHA-256, one by one as `find` returns them in this context: what a run has used.

    Which file a factory opens may depend on more than one option, and it alone knows.
    """
    noted: list[tuple[str, str]] = []
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)


def command(*names: str) -> str:
    """The shell command that fetches what the expressions `names` need."""
    quoted = (shlex.quote(name) if set(name) & set('"$`\\!') else f'"{name}"' for name in names)
    return f"eigenwalk weights fetch {' '.join(quoted)}"


def megabytes(size: int) -> str:
    """`size` bytes in words: ``107.0 MB``."""
    return f"{size / 1e6:,.1f} MB"


def expected_sha256(weights: Weights) -> str | None:
    """The SHA-256 that the file of `weights` must have: the published one, else the recorded one, else None."""
    if weights.sha256 is not None:
        return weights.sha256
    with suppress(OSError, UnicodeDecodeError):
        told = _beside(place(weights), TRUSTED).read_text(encoding="ascii").split()
        if told and re.fullmatch(SUM, told[0]):
            return told[0]
    return None


def record_sha256(weights: Weights, sha256: str) -> None:
    """Keep `sha256` as the sum that the file of `weights`, which has no published one, must have from now on."""
    path = place(weights)
    write_whole(_beside(path, TRUSTED), f"{sha256}  {path.name}\n")


def sha256_of(path: Path, again: bool = False) -> str:
    """The SHA-256 of the file at `path`: as computed before, unless the file has changed or `again` is asked for.

    Raises:
        WeightsError: the file cannot be read.
    """
    if not again and (told := known_sha256(path)):
        return told
    try:
        before = _state(path)
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if _state(path) == before:
            remember_sha256(path, found)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    return found


def known_sha256(path: Path) -> str | None:
    """The SHA-256 computed before for the file at `path`, if size, times and inode are what they were then."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(_beside(path, CHECKED).read_text(encoding="utf-8"))
        if told["state"] == _state(path) and re.fullmatch(SUM, told["sha256"]):
            return told["sha256"]
    return None


def remember_sha256(path: Path, sha256: str) -> None:
    """Keep `sha256` for the file at `path` as it is now; do nothing in a store that this user cannot write."""
    with suppress(OSError):
        write_whole(_beside(path, CHECKED), json.dumps({"sha256": sha256, "state": _state(path)}))


def part(path: Path) -> Path:
    """Where what has come so far of the file at `path` lies while it is fetched."""
    return _beside(path, PART)


def _state(path: Path) -> list[int]:
    """What changes when the file does: ctime too, which nobody can set back as they can mtime."""
    told = path.stat()
    return [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
