"""The hooks that a plugin may implement; entry-point group ``eigenwalk``.

    from eigenwalk.hookspecs import hookimpl
    from eigenwalk.spec import FeatureSpec

    @hookimpl
    def eigenwalk_features():
        return [FeatureSpec(name="hair", load="eigenwalk_hair.feature:Hair", summary="…", unit="logit")]

The module that the entry point names imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from eigenwalk.spec import CommandSpec, DirectionSpec, FeatureSpec, GeneratorSpec

if TYPE_CHECKING:
    from eigenwalk.checkpoint import Checkpoint

GROUP = "eigenwalk"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def eigenwalk_features() -> Iterable[FeatureSpec]:
    """The features that this plugin offers."""
    return ()


@hookspec
def eigenwalk_generators() -> Iterable[GeneratorSpec]:
    """The generators that this plugin offers."""
    return ()


@hookspec
def eigenwalk_directions() -> Iterable[DirectionSpec]:
    """The ways to choose directions that this plugin offers."""
    return ()


@hookspec
def eigenwalk_commands() -> Iterable[CommandSpec]:
    """The shell commands that this plugin adds."""
    return ()


@hookspec
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """The generator in the file or folder at `path`, or None where this plugin does not recognise it.

    `checkpoint` is that file, opened once for all plugins: see `eigenwalk.checkpoint`. A hook may take `path` alone.
    The spec's factory is called with ``path=`` and the options that the user wrote; where the hook takes `checkpoint`,
    its factory's ``path`` is that checkpoint.

    Raises:
        FileError: the plugin knows the file and cannot open it; people read why, if no other plugin opens it.
    """
    return None
