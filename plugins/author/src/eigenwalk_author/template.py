"""A package from the template that ships with eigenwalk, made by copier; no torch here."""

from __future__ import annotations

import getpass
import subprocess
import warnings
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from importlib import metadata
from pathlib import Path

from eigenwalk.errors import FileError, InputError
from eigenwalk.spec import API
from eigenwalk_author.naming import Naming

TEMPLATE = Path(__file__).parent / "templates" / "plugin"


def make(kind: str, named: Naming, folder: Path, answers: Mapping[str, str], ask: bool) -> tuple[Path, ...]:
    """The files, relative to `folder`, of the package of `kind` called `named`, written into `folder`.

    Args:
        kind: feature, generator or direction.
        answers: what is known of summary, author, licence and homepage.
        ask: whether the others are asked for, at the terminal; otherwise they have their defaults.

    Raises:
        FileError: the folder has files in it, or cannot be written.
        InputError: copier is not installed, or an answer is none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder} exists already, and nothing is overwritten: name another folder with --folder")
    try:
        from copier import run_copy
        from copier.errors import CopierAnswersInterrupt, CopierError
    except ImportError as error:
        raise InputError(
            f"eigenwalk new makes packages with copier, which is not here ({error}): pip install 'eigenwalk[author]'"
        ) from error
    known = {
        "kind": kind,
        "distribution": named.distribution,
        "package": named.package,
        "name": named.name,
        "class_name": named.class_name,
        "core": _core(),
        "api": str(API),
        "year": str(date.today().year),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of copier, about a template that is in no repository
            run_copy(
                str(TEMPLATE),
                folder,
                data=known | dict(answers),
                user_defaults={"author": author()},
                defaults=not ask,
                quiet=True,
            )
    except CopierAnswersInterrupt:
        raise KeyboardInterrupt from None
    except (CopierError, ValueError) as error:
        raise InputError(f"{error}; nothing was written") from error
    except OSError as error:
        raise FileError(f"{folder} cannot be written: {error.strerror or error}") from error
    return tuple(sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file()))


def author() -> str:
    """Who is likely to hold the copyright: git's user, else the machine's."""
    with suppress(OSError):
        said = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False).stdout
        if said.strip():
            return said.strip()
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "the authors"


def _core() -> str:
    """The version of the core without its last number: the oldest that a new package asks for."""
    return ".".join(metadata.version("eigenwalk").split(".")[:2])
