"""The plugin's hook: the command `check`."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec


@hookimpl
def eigenwalk_commands():
    return [
        CommandSpec(
            name="check",
            load="eigenwalk_testing.command:check",
            summary="Check whether a feature, generator or direction keeps the contract.",
        )
    ]
