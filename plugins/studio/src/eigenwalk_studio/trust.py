"""What a visitor may open: files in one folder, code only where the host allows it, pictures within bounds. No torch.

A page in the browser is no shell: whoever reaches it may type expressions and paths. The core opens files without
running what they hold; this module says which files, and that expressions name no functions in Python files.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eigenwalk.errors import FileError, InputError
from eigenwalk.names.tree import Call, Chain, Complement, Held, Open, Weighted, calls
from eigenwalk.runs.ready import own_files

LOCAL = ("127.0.0.1", "localhost", "::1")
UPLOAD = 20 << 20
"""Bytes of a picture or a history that is sent to the page."""


@dataclass(frozen=True)
class Trust:
    """What visitors may do.

    Attributes:
        folder: files that they name lie in it; links in it that lead elsewhere are not followed.
        allow_code: whether they may name functions in Python files, which then run.
        password: that they must know; "" for none.
        own: the folder in which the studio itself saves what visitors make; they may open that too.
    """

    folder: Path
    allow_code: bool = False
    password: str = ""
    own: Path | None = None

    def check_path(self, text: str) -> Path:
        """Return the file that `text` names.

        Raises:
            FileError: it lies outside the folder.
        """
        try:
            path = Path(text).expanduser()
            whole = (path if path.is_absolute() else Path.cwd() / path).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, a loop of links, no such ~user
            raise FileError(f"{text!s:.200} is no path: {error}") from None
        if not any(whole.is_relative_to(one.resolve()) for one in (self.folder, self.own) if one):
            raise FileError(
                f"{text!s:.200} lies outside {self.folder}, the folder that this studio opens files from: move it "
                "there, or start the studio with --folder"
            )
        try:
            whole.exists()
        except OSError as error:  # a name that is too long
            raise FileError(f"{text!s:.200} cannot be read: {error.strerror}") from None
        return whole

    def check(self, tree: Any) -> None:
        """Raise unless every file that a tree names lies in the folder, and none of them is code.

        Before a tree is resolved, this says which files may be looked for; afterwards, also what a word, or a folder
        that is opened as a generator, has turned out to name.

        Raises:
            InputError: it names a function in a Python file.
            FileError: as `check_path`.
        """
        named = [str(call.args[0]).rpartition(":")[0] for call in calls(tree) if call.name == "file"]
        if isinstance(tree, Open):
            self.check_path(tree.path)
        code = [*named, *(str(file.path) for file in own_files(tree))]
        if code and not self.allow_code:
            raise InputError(f"{tree} runs code in a Python file: start the studio with --allow-code")
        for file in code:
            self.check_path(file)
        for word in _words(tree):
            # An option of any type may end as a path: model= takes a folder too.
            if any(mark in word for mark in "/\\~\0") or len(word) > 255 or Path(word).exists():
                self.check_path(word)

    def check_password(self, user: str, password: str) -> bool:
        """Whether `password` is the one; any name of a user will do."""
        return hmac.compare_digest(password.encode(), self.password.encode())


def short(file: Path) -> str:
    """Return a path as one would type it here."""
    whole, here = file.resolve(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.as_posix()


def new_token() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(18)


def is_local(host: str) -> bool:
    """Whether nobody but this machine reaches `host`."""
    return host in LOCAL


def _words(tree: Any) -> Iterator[str]:
    """Yield every text among the options of a tree, but for the path of a function, which is looked at by itself."""
    if isinstance(tree, (Held, Weighted, Complement)):
        yield from _words(tree.inner)
    elif isinstance(tree, Chain):
        for part in tree.parts:
            yield from _words(part)
    elif isinstance(tree, (Call, Open)):
        args = () if isinstance(tree, Open) else tree.args[1:] if tree.name == "file" else tree.args
        for value in (*args, *(value for _, value in tree.options)):
            yield from _words(value)
    elif isinstance(tree, tuple):
        for value in tree:
            yield from _words(value)
    elif isinstance(tree, str):
        yield tree
