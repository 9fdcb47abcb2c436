"""Consent to code that a recipe, a grid or a run's folder, perhaps a stranger's, would run.

Only the user consents: by typing what names the code, by ``--trust``, or when asked. No text in a file does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from eigenwalk.cli.errors import console
from eigenwalk.errors import InputError
from eigenwalk.names.files import OwnFile
from eigenwalk.names.source import quoted
from eigenwalk.runs.ready import own_files


class Consent:
    """The functions in Python files that the user has agreed to run: at first those that `trees`, typed, name."""

    def __init__(self, *trees: Any):
        self.files = set(own_files(*trees))

    def ask(self, *trees: Any, source: str) -> None:
        """Ask before other functions are run that `trees`, read from `source`, name; raises as `ask_to_run`."""
        new = [one for one in own_files(*trees) if one not in self.files]
        ask_to_run(new, source)
        self.files.update(new)


def ask_to_run(files: Sequence[OwnFile], source: str) -> None:
    """Say which functions in `files` the file `source` runs, and go on only if the user agrees.

    Raises:
        InputError: nobody is there to be asked.
    """
    if not files:
        return
    listed = "".join(f"\n  {quoted(f'{file.path}:{file.name}')}" for file in dict.fromkeys(files))
    text = f"{source} runs code in Python files, and what they import; it may do anything that you may:{listed}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"{text}\nRead it, then add --trust to run it")
    console(stderr=True).print(text)
    typer.confirm("Run it?", abort=True, err=True)
