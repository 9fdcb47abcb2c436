"""Consent to code that a recipe or a grid, perhaps a stranger's, would run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from eigenwalk.cli.errors import console
from eigenwalk.errors import InputError
from eigenwalk.names.files import OwnFile
from eigenwalk.names.source import quoted


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
