"""The plugin's hook: the command `evaluate`."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec


@hookimpl
def eigenwalk_commands():
    return [
        CommandSpec(
            name="evaluate",
            load="eigenwalk_evaluate.command:evaluate",
            summary="Compare methods on pairs of fixed and varied features.",
        )
    ]
