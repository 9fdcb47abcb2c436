"""What the user's own files hold: Python functions, and generators' checkpoints. No torch here."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
import traceback
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

from eigenwalk.errors import FileError, InputError, PluginError, UnknownName

_NOT_WEIGHTS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself: run git lfs pull",
    b"<!doctype html": "is a web page, not a checkpoint: the download went to a page instead of the file",
    b"<html": "is a web page, not a checkpoint: the download went to a page instead of the file",
}


def sha256(path: Path | str) -> str:
    """The SHA-256 of the file at `path`, hexadecimal.

    Raises:
        FileError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error


def reference(text: str) -> tuple[Path, str]:
    """The file and the name in it that ``path.py:name`` stands for.

    Raises:
        InputError: no name follows the path.
        FileError: there is no such file.
    """
    path, colon, attribute = text.rpartition(":")
    if not colon or not path or not all(part.isidentifier() for part in attribute.split(".")):
        raise InputError(f"file takes a path and the name of a function, such as ./my_feature.py:fn, got {text!r}")
    found = Path(path).expanduser()
    if not found.is_file():
        raise FileError(f"there is no file {path!r} in {Path.cwd()} (named by {text})")
    return found, attribute


def attribute(path: Path, name: str) -> Any:
    """What `name`, dotted or not, is in the Python file at `path`.

    Raises:
        PluginError: the file raises while it is imported; the message gives the line in it.
        UnknownName: the file has no such name.
    """
    found: Any = (loaded := module(path))
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            own = (item for item in vars(found).items() if getattr(item[1], "__module__", "") == loaded.__name__)
            names = [known for known, value in own if callable(value) and known[0] != "_"]
            near = difflib.get_close_matches(part, names, 3) or names[:8]
            has = f"; it has {', '.join(near)}" if near else ""
            raise UnknownName(f"{path} has no {name!r}{has}") from None
    return found


def module(path: Path) -> ModuleType:
    """The Python file at `path` as a module, imported once for each content of the file.

    Its folder is on `sys.path` while it is imported, so that it can import files beside it.
    """
    path = path.resolve()
    name = f"eigenwalk_file_{path.stem}_{hashlib.sha256(f'{path}:{sha256(path)}'.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file: its name must end in .py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # dataclasses and pickle look their module up there
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(loaded)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"{path} failed{where(path, error)}: {type(error).__name__}: {error}") from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    return loaded


def where(path: Path, error: BaseException) -> str:
    """`` at line 12``: the last line of the file at `path` that `error` went through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.resolve()]
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path.resolve():
        lines.append(error.lineno)
    return f" at line {lines[-1]}" if lines else ""


def check_checkpoint(path: Path) -> None:
    """Nothing, where the file at `path` may be a generator's; the bytes alone are looked at.

    Raises:
        FileError: missing, empty, truncated, or plainly something else.
    """
    if path.is_dir():
        return
    if not path.is_file():
        raise FileError(f"there is no file {str(path)!r} in {Path.cwd()}")
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if not size:
        raise FileError(f"{path} is empty: copy or download it again")
    for start, what in _NOT_WEIGHTS.items():
        if head.lstrip().lower().startswith(start):
            raise FileError(f"{path} {what}")
    if head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        raise FileError(f"{path} is truncated: it begins as a PyTorch archive and its end is missing; copy it again")
    if path.suffix == ".safetensors" and 8 + int.from_bytes(head[:8], "little") > size:
        raise FileError(f"{path} is truncated: its header is longer than the file; copy it again")
