"""Python files of the user, imported, and SHA-256 sums of files. No torch here."""

from __future__ import annotations

import hashlib
import importlib.util
import os.path
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from eigenwalk.errors import FileError, InputError, PluginError, UnknownName
from eigenwalk.names.near import nearest


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of the file at `path`, hexadecimal.

    Raises:
        FileError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class OwnFile:
    """A name in a Python file of the user's: ``./my_feature.py:fn``."""

    path: Path
    name: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return what `text` refers to; the file is not read.

        Raises:
            InputError: no name follows the path.
            FileError: there is no such file.
        """
        path, colon, name = text.rpartition(":")
        if not colon or not path or not all(part.isidentifier() for part in name.split(".")):
            raise InputError(f"file takes a path and the name of a function, such as ./my_feature.py:fn, got {text!r}")
        found = os.path.expanduser(path)
        if not os.path.isfile(found):
            raise FileError(f"there is no file {path[:200]!r} in {Path.cwd()} (named by {text[:200]})")
        return cls(Path(found), name)

    def load(self) -> Any:
        """Import the file and return what the name, dotted or not, stands for in it.

        Raises:
            PluginError: the file raises while it is imported; the message gives the line in it.
            UnknownName: the file has no such name.
        """
        found: Any = (loaded := module(self.path))
        for part in self.name.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                own = (item for item in vars(found).items() if getattr(item[1], "__module__", "") == loaded.__name__)
                names = [known for known, value in own if callable(value) and known[0] != "_"]
                near = nearest(part, names, 3) or names[:8]
                has = f"; it has {', '.join(near)}" if near else ""
                raise UnknownName(f"{self.path} has no {self.name!r}{has}") from None
        return found


def module(path: Path) -> ModuleType:
    """Return the Python file at `path` as a module, imported once for each content of the file.

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
    """Return `` at line 12``, the last line of the file at `path` that `error` went through; or nothing."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.resolve()]
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path.resolve():
        lines.append(error.lineno)
    return f" at line {lines[-1]}" if lines else ""
