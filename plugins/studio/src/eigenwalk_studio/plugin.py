"""The plugin's hook: the command `studio`."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec


@hookimpl
def eigenwalk_commands():
    return [
        CommandSpec(
            name="studio",
            load="eigenwalk_studio.command:studio",
            summary="Point at what is to hold, and walk, in the browser.",
        )
    ]
