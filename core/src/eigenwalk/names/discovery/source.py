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
from eigenwalk.names.index import normalised

CALLED = (Exception, SystemExit)
"""What a plugin's code may raise without harm to others; an interrupt passes through."""
WITHOUT = "EIGENWALK_WITHOUT"
"""Names the plugins or distributions to leave out, separated by commas."""
ONLY = "EIGENWALK_PLUGINS"
"""``none``, or the plugins or distributions that alone are used, separated by commas; empty or ``all``: every one."""


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
        """The source of an entry point that is called `plugin` and says `value`."""
        load = metadata.EntryPoint(plugin, value, GROUP).load
        return cls(plugin, distribution, version, load, value, info)

    def failure(self, stage: str, error: BaseException | str, names: tuple[str, ...] = ()) -> Failure:
        """The failure of this plugin at `stage`."""
        text = error if isinstance(error, str) else explained(error) + self._remedy(error)
        return Failure(self.plugin, self.distribution, self.version, stage, text, names)

    def is_called(self, name: str) -> bool:
        """Whether `name` is that of the plugin or of its distribution, however it is spelt."""
        wanted = normalised(name)
        return wanted in (normalised(self.plugin), normalised(self.distribution))

    def _remedy(self, error: BaseException) -> str:
        """What brings a module that is missing: a newer core or plugin, where their versions do not fit."""
        missing = isinstance(error, ImportError) and (error.name or "").partition(".")[0]
        if not missing:
            return ""
        if missing == "eigenwalk":
            return f"; it was written for another version of eigenwalk: {self._fitting()}"
        if missing == self.value.partition(":")[0].partition(".")[0]:
            return f"; its own files are missing: pip install --force-reinstall {self.distribution}"
        return f"; where {self.distribution} asks for it, pip install {self.distribution} brings it"

    def _fitting(self) -> str:
        """Which side to upgrade, as the distribution's requirement of eigenwalk tells."""
        from packaging.requirements import InvalidRequirement, Requirement

        have = metadata.version("eigenwalk")
        try:
            wanted = [Requirement(line) for line in metadata.requires(self.distribution) or ()]
        except (InvalidRequirement, metadata.PackageNotFoundError):
            wanted = []
        for one in wanted:
            if normalised(one.name) == "eigenwalk" and not one.specifier.contains(have, prereleases=True):
                newer = any(part.operator in (">=", ">", "~=") and not part.contains(have) for part in one.specifier)
                upgrade = "eigenwalk" if newer else self.distribution
                return f"it asks for {one}, this is {have}: pip install --upgrade {upgrade}"
        return f"pip install --upgrade eigenwalk {self.distribution}"


def explained(error: BaseException) -> str:
    """The error's type and text, and the file and line that raised it."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SystemExit):
        text = f"it tried to end the process (SystemExit {error.code!r})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if isinstance(error, SyntaxError) or len(frames) < 2:  # a syntax error carries its own place
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def entry_points() -> tuple[list[Source], list[Failure]]:
    """Every entry point of group ``eigenwalk``, in the order of distribution and name; nothing of it is imported.

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
            if normalised(name) in seen:
                continue
            seen.add(normalised(name))
            info = getattr(distribution, "_path", None)  # a distribution in an archive or a database has none
            info = info if isinstance(info, Path) else None
            found = [point for point in distribution.entry_points if point.group == GROUP]
            sources += [Source(point.name, name, version, point.load, point.value, info) for point in found]
        except CALLED as error:
            failures.append(Source(name, name, version, dict).failure("reading its entry points", error))
    return sorted(sources, key=lambda source: (normalised(source.distribution), source.plugin)), failures


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """As the head of its metadata says: to parse the whole, with its README, takes a hundred times as long."""
    head = (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").partition("\n\n")[0]
    found = dict(re.findall(r"^(Name|Version):[ \t]*(\S.*?)[ \t]*$", head, re.MULTILINE))
    return found.get("Name", "unknown distribution"), found.get("Version", "unknown")


def chosen(sources: Iterable[Source]) -> tuple[list[Source], list[Source]]:
    """`sources` that are used, and those that the settings `EIGENWALK_WITHOUT` and `EIGENWALK_PLUGINS` leave out."""
    without = words(os.environ.get(WITHOUT, ""))
    only = words(os.environ.get(ONLY, ""))
    used: list[Source] = []
    left: list[Source] = []
    for source in sources:
        out = any(map(source.is_called, without))
        out |= bool(only) and only != ("all",) and not any(map(source.is_called, only))
        (left if out else used).append(source)
    return used, left


def words(text: str) -> tuple[str, ...]:
    """The names in a setting, which commas or spaces separate."""
    return tuple(text.replace(",", " ").split())
