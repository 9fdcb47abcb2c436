"""Make a package from the template that ships here, with copier. No torch here."""

from __future__ import annotations

import getpass
import subprocess
import warnings
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from importlib import metadata
from pathlib import Path

from eigenwalk.errors import FileError, InputError, reason
from eigenwalk.spec import API
from eigenwalk_author.naming import Naming

TEMPLATE = Path(__file__).parent / "templates" / "plugin"


def make(kind: str, named: Naming, folder: Path, answers: Mapping[str, str], ask: bool) -> tuple[Path, ...]:
    """Write the package of `kind` called `named` into `folder`, and return its files, relative to `folder`.

    Args:
        kind: feature, generator or direction.
        answers: those of summary, author, licence and homepage that are known.
        ask: whether to ask for the others at the terminal; otherwise they get their defaults.

    Raises:
        FileError: the folder has files in it, or cannot be written.
        InputError: an answer is not valid.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder} exists already, and nothing is overwritten: name another folder with --folder")
    from copier import run_copy
    from copier.errors import CopierAnswersInterrupt, CopierError

    known = {
        "kind": kind,
        "distribution": named.distribution,
        "package": named.package,
        "name": named.name,
        "class_name": named.class_name,
        "core": _oldest_core(),
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
        raise FileError(f"{folder} cannot be written: {reason(error)}") from error
    return tuple(sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file()))


def author() -> str:
    """Return who probably holds the copyright: git's user, else the machine's."""
    with suppress(OSError):
        name = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False).stdout
        if name.strip():
            return name.strip()
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "the authors"


def _oldest_core() -> str:
    """Return the oldest core that a new package asks for: this one's version without its last number."""
    return ".".join(metadata.version("eigenwalk").split(".")[:2])
