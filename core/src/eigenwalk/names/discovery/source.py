"""Where plugins come from: entry points of group ``eigenwalk``, those left out, and what went wrong with one."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from eigenwalk.hookspecs import GROUP
from eigenwalk.names.index import normal_name

CALLED = (Exception, SystemExit, GeneratorExit)
"""What calling a plugin's code may raise without harm to others; an interrupt passes through."""
WITHOUT = "EIGENWALK_WITHOUT"
"""Names the plugins or distributions to leave out, separated by commas."""
ONLY = "EIGENWALK_PLUGINS"
"""``none``, or the plugins or distributions that alone are used, separated by commas; empty or ``all``: every one."""
SHOWN = 80
"""Characters of a foreign value that a message shows."""


@dataclass(frozen=True)
class Failure:
    """What went wrong in one plugin: at which `stage`, with which `error`, and the `names` it costs."""

    plugin: str
    distribution: str
    version: str
    stage: str
    error: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} ({self.distribution} {self.version}) failed at {self.stage}: {self.error}"


@dataclass(frozen=True)
class Source:
    """Where one plugin comes from; `load` imports it.

    `value` is what its entry point says, `info` the folder of its distribution's metadata; a plugin that is not
    installed has neither.
    """

    plugin: str
    distribution: str
    version: str
    load: Callable[[], Any]
    value: str = ""
    info: Path | None = None

    @classmethod
    def of(cls, plugin: str, value: str, distribution: str, version: str, info: Path | None) -> Source:
        """Return the source of the entry point called `plugin` that says `value`."""
        load = metadata.EntryPoint(plugin, value, GROUP).load
        return cls(plugin, distribution, version, load, value, info)

    def failure(self, stage: str, error: BaseException | str, names: tuple[str, ...] = ()) -> Failure:
        """Return the failure of this plugin at `stage`."""
        text = error if isinstance(error, str) else explain(error) + self._remedy(error)
        return Failure(self.plugin, self.distribution, self.version, stage, text, names)

    def is_called(self, name: str) -> bool:
        """Whether `name` is that of the plugin or of its distribution, however it is spelt."""
        return normal_name(name) in (normal_name(self.plugin), normal_name(self.distribution))

    def _remedy(self, error: BaseException) -> str:
        """What brings a missing module: a newer core or plugin where their versions do not fit."""
        missing = isinstance(error, ImportError) and (error.name or "").partition(".")[0]
        if not missing:
            return ""
        if missing == "eigenwalk":
            return f"; it was written for another version of eigenwalk: {self._upgrade()}"
        if missing == self.value.partition(":")[0].partition(".")[0]:
            return f"; its own files are missing: pip install --force-reinstall {self.distribution}"
        return f"; if {self.distribution} requires it, installing {self.distribution} again brings it"

    def _upgrade(self) -> str:
        """Which side to upgrade, by the distribution's requirement of eigenwalk."""
        from packaging.requirements import InvalidRequirement, Requirement

        have = metadata.version("eigenwalk")
        try:
            wanted = [Requirement(line) for line in metadata.requires(self.distribution) or ()]
        except (InvalidRequirement, metadata.PackageNotFoundError):
            wanted = []
        for one in wanted:
            if normal_name(one.name) == "eigenwalk" and not one.specifier.contains(have, prereleases=True):
                newer = any(part.operator in (">=", ">", "~=") and not part.contains(have) for part in one.specifier)
                upgrade = "eigenwalk" if newer else self.distribution
                return f"it asks for {one}, this is {have}: pip install --upgrade {upgrade}"
        return f"pip install --upgrade eigenwalk {self.distribution}"


def show_value(value: Any) -> str:
    """Return the start of the `repr` of a foreign value, or its type where that raises."""
    try:
        return f"{value!r:.{SHOWN}}"
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"


def explain(error: BaseException) -> str:
    """Return the error's type and text, and the file and line that raised it."""
    try:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception:
        text = f"{type(error).__name__} with a text that cannot be shown"
    if isinstance(error, SystemExit):
        text = f"it tried to end the process (SystemExit {show_value(error.code)})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if isinstance(error, SyntaxError) or len(frames) < 2:  # a syntax error carries its own place
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def entry_points() -> tuple[list[Source], list[Failure]]:
    """Return every entry point of group ``eigenwalk``, by distribution and name; none is imported.

    Distributions are read one by one, so that one with unreadable metadata costs only itself. Where a
    distribution is found twice on the path, the first is the one that Python imports.
    """
    sources: list[Source] = []
    failures: list[Failure] = []
    seen: set[str] = set()
    for distribution in metadata.distributions():
        name, version = "unknown distribution", "unknown"
        try:
            if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name, version = _name_and_version(distribution)
            if normal_name(name) in seen:
                continue
            seen.add(normal_name(name))
            info = getattr(distribution, "_path", None)  # a distribution in an archive or a database has none
            info = info if isinstance(info, Path) else None
            points = [point for point in distribution.entry_points if point.group == GROUP]
            sources += [Source(point.name, name, version, point.load, point.value, info) for point in points]
        except CALLED as error:
            failures.append(Source(name, name, version, dict).failure("reading its entry points", error))
    return sorted(sources, key=lambda source: (normal_name(source.distribution), source.plugin)), failures


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Read the head of the metadata: parsing the whole, with its README, takes a hundred times as long."""
    head = (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").partition("\n\n")[0]
    fields = dict(re.findall(r"^(Name|Version):[ \t]*(\S.*?)[ \t]*$", head, re.MULTILINE))
    return fields.get("Name", "unknown distribution"), fields.get("Version", "unknown")


def select(sources: Iterable[Source]) -> tuple[list[Source], list[Source]]:
    """Split `sources` into those used and those that `EIGENWALK_WITHOUT` and `EIGENWALK_PLUGINS` leave out."""
    without, only = (os.environ.get(name, "").replace(",", " ").split() for name in (WITHOUT, ONLY))
    used: list[Source] = []
    left_out: list[Source] = []
    for source in sources:
        out = any(map(source.is_called, without))
        out |= bool(only) and only != ["all"] and not any(map(source.is_called, only))
        (left_out if out else used).append(source)
    return used, left_out
