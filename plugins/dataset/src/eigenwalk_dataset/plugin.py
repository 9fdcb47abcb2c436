"""The plugin's hook: the command `dataset`."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec


@hookimpl
def eigenwalk_commands():
    return [
        CommandSpec(
            name="dataset",
            load="eigenwalk_dataset.command:dataset",
            summary="Walk from many seeds and write a data set, in shards.",
        )
    ]
