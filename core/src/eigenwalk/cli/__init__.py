"""The command ``eigenwalk``: arguments -> api. Every command is a module of its own, imported when it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

TRACEBACK = "EIGENWALK_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0, or the `exit_code` of the error, or 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Allowed anywhere in the line, since it is added to a command that has just failed.
    traceback = "--traceback" in words or os.environ.get(TRACEBACK, "") not in ("", "0")
    words = [word for word in words if word != "--traceback"]
    # Typer imports pydantic for any command line that it reads, which takes longer than finding all names.
    if words in (["features"], ["generators"]):
        from eigenwalk.cli import catalogue

        return catalogue.quietly(catalogue.features if words == ["features"] else catalogue.generators)
    if words[:2] == ["weights", "list"] and words[2:] in ([], ["--json"]):
        from eigenwalk.cli import catalogue, inventory

        return catalogue.quietly(inventory.as_json if words[2:] else inventory.listed)
    from eigenwalk.cli.app import command

    command()(args=words, prog_name="eigenwalk", obj={"traceback": traceback})
