"""The command ``eigenwalk``: arguments -> api. Every command is a module of its own, imported when it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from eigenwalk.cli.terminal import clean_output

TRACEBACK = "EIGENWALK_TRACEBACK"
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, or the `exit_code` of the error, or 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Allowed anywhere in the line, since it is added to a command that has just failed.
    traceback = "--traceback" in words or os.environ.get(TRACEBACK, "") not in ("", "0")
    words = [word for word in words if word != "--traceback"]
    words, without = _split_without(words)
    with clean_output():
        try:
            _run_without(without, words, traceback) if without else _run(words, traceback)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def _run(words: list[str], traceback: bool) -> None:
    # Typer imports pydantic for any command line that it reads, which takes longer than finding all names.
    light = {
        "features": "features",
        "generators": "generators",
        "weights list": "weights",
        "weights list --json": "weights_json",
    }
    if " ".join(words) in light:
        from eigenwalk.cli import catalogue

        return catalogue.print_quietly(getattr(catalogue, light[" ".join(words)]))
    from eigenwalk.cli.app import command

    command()(args=words, prog_name="eigenwalk", obj={"traceback": traceback})


def _split_without(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take every ``--without NAME,NAME`` out of `words`, up to a lone ``--``; return the rest and the names."""
    kept: list[str] = []
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*kept, word, *rest], names
        if word.startswith("--without="):
            names += word.partition("=")[2].split(",")
        elif word == "--without":
            names += next(rest, "").split(",")
        else:
            kept.append(word)
    return kept, names


def _run_without(names: list[str], words: list[str], traceback: bool) -> None:
    """Run the command `words` without the plugins or distributions called `names`."""
    from eigenwalk.names.discovery import entry_points
    from eigenwalk.names.discovery.source import WITHOUT

    sources = entry_points()[0]
    unknown = [name for name in names if not any(source.is_called(name) for source in sources)]
    if unknown:
        from eigenwalk.cli.errors import show
        from eigenwalk.errors import InputError

        have = ", ".join(dict.fromkeys(source.plugin for source in sources)) or "none"
        error = InputError(f"--without {unknown[0]!r}: no such plugin or distribution is installed; there are: {have}")
        show(error, traceback)
        sys.exit(error.exit_code)
    before = os.environ.get(WITHOUT, "")
    os.environ[WITHOUT] = ",".join([before, *names])
    try:
        _run(words, traceback)
    finally:
        os.environ[WITHOUT] = before
