"""The plugin's hook: the commands `new`, `publish` and `index check`."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec


@hookimpl
def eigenwalk_commands():
    return [
        CommandSpec(
            name="new",
            load="eigenwalk_author.new:new",
            summary="Make a package of a feature, a generator or a direction.",
        ),
        CommandSpec(
            name="publish",
            load="eigenwalk_author.publish:publish",
            summary="Check, build and try a package, and say how to upload it.",
        ),
        CommandSpec(
            name="index check",
            load="eigenwalk_author.index_check:check",
            summary="Check an index: fields complete, names unique, licences named.",
        ),
    ]
