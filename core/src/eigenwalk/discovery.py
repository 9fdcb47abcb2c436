"""Plugins and the answers of their hooks, each obtained in its own try.

One pluggy broadcast loses every answer when one plugin raises, and pluggy refuses a second plugin of the
same name. So every entry point gets a `pluggy.PluginManager` of its own; what fails is a `Failure`.
"""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from eigenwalk import hookspecs
from eigenwalk.index import normalised
from eigenwalk.spec import API

T = TypeVar("T")
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("eigenwalk_"))
CALLED = (Exception, SystemExit)
"""What a plugin's code may raise without harm to others; an interrupt passes through."""


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
    """Where one plugin comes from; `load` imports it."""

    plugin: str
    distribution: str
    version: str
    load: Callable[[], Any]

    def failure(self, stage: str, error: BaseException | str, names: tuple[str, ...] = ()) -> Failure:
        """The failure of this plugin at `stage`."""
        text = error if isinstance(error, str) else explained(error)
        return Failure(self.plugin, self.distribution, self.version, stage, text, names)


@dataclass(frozen=True)
class Plugin:
    """One imported plugin, alone in a pluggy manager."""

    source: Source
    manager: pluggy.PluginManager = field(repr=False)

    def implements(self, hook: str) -> bool:
        """Whether the plugin answers `hook`."""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())

    def purpose(self, hook: str) -> str:
        """The first line of the docstring of this plugin's `hook`, or nothing."""
        implementations = getattr(self.manager.hook, hook).get_hookimpls()
        lines = (inspect.getdoc(implementations[0].function) or "").splitlines() if implementations else []
        return lines[0].rstrip(".") if lines else ""

    def ask(self, hook: str, **arguments: Any) -> Any:
        """The plugin's answer to `hook`, or None; whatever the plugin raises passes through."""
        answers = getattr(self.manager.hook, hook)(**arguments)
        return answers[0] if answers else None


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
    """Every entry point of group ``eigenwalk``, in the order of distribution and name.

    Distributions are read one by one, so that one with unreadable metadata costs only itself. Where a
    distribution is found twice on the path, the first is the one that Python imports.
    """
    sources: list[Source] = []
    failures: list[Failure] = []
    seen: set[str] = set()
    for distribution in metadata.distributions():
        name, version = "unknown distribution", "unknown"
        try:
            if f"[{hookspecs.GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name, version = distribution.name or name, distribution.version or version
            if normalised(name) in seen:
                continue
            seen.add(normalised(name))
            found = [point for point in distribution.entry_points if point.group == hookspecs.GROUP]
            sources += [Source(point.name, name, version, point.load) for point in found]
        except CALLED as error:
            failures.append(Source(name, name, version, dict).failure("reading its entry points", error))
    return sorted(sources, key=lambda source: (normalised(source.distribution), source.plugin)), failures


def load(source: Source) -> tuple[Plugin | None, list[Failure]]:
    """The plugin of `source`, imported and registered, with the failures met; None where it cannot be used."""
    try:
        module = source.load()
    except CALLED as error:
        return None, [source.failure("import", error)]
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=source.plugin)
    except CALLED as error:
        return None, [source.failure("registration", error)]
    plugin = Plugin(source, manager)
    return plugin, list(_misspelt(plugin, module))


def _misspelt(plugin: Plugin, module: Any) -> Iterator[Failure]:
    marked = set()
    for caller in plugin.manager.get_hookcallers(module) or ():
        for implementation in caller.get_hookimpls():
            marked.add(implementation.function)
            if not caller.has_spec() and not implementation.optionalhook:
                error = f"no hook is called {caller.name!r}{_meant(caller.name)}; the hooks are {', '.join(HOOKS)}"
                yield plugin.source.failure(f"hook {caller.name}", error)
    for name, value in list(vars(module).items()) if hasattr(module, "__dict__") else ():
        near = name.startswith("eigenwalk_") and difflib.get_close_matches(name, HOOKS, 1, 0.8)
        if near and inspect.isfunction(value) and value not in marked:
            error = f"function {name!r} is not marked as a hook: write @hookimpl above it"
            yield plugin.source.failure(f"hook {name}", error if name in HOOKS else error + _meant(name))


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name, HOOKS, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def offered(plugin: Plugin, hook: str, kind: type[T]) -> tuple[list[T], list[Failure]]:
    """The specs of type `kind` that `plugin` returns from `hook`, and a failure for each item that is no such."""
    if not plugin.implements(hook):
        return [], []
    stage, wanted = f"hook {hook}", f"an iterable of {kind.__name__}"
    try:
        answer = plugin.ask(hook)
        if answer is None or isinstance(answer, (str, bytes, Mapping)) or not isinstance(answer, Iterable):
            return [], [plugin.source.failure(stage, f"expected {wanted}, got {answer!r:.80}")]
        items = list(answer)
    except CALLED as error:
        return [], [plugin.source.failure(stage, error)]
    checked = [(item, objection(plugin.source, item, kind)) for item in items]
    failures = [
        plugin.source.failure(stage, error, (item.name,) if isinstance(item, kind) else ())  # type: ignore[attr-defined]
        for item, error in checked
        if error
    ]
    return [item for item, error in checked if not error], failures


def objection(source: Source, item: Any, kind: type) -> str:
    """Why `item` cannot be used as a spec of type `kind`, or nothing."""
    if not isinstance(item, kind):
        return f"expected a {kind.__name__}, got {item!r:.80}"
    api = getattr(item, "api", API)
    if api == API:
        return ""
    newer = isinstance(api, int) and api > API
    return (
        f"{item.name!r} is written for version {api!r} of the contracts, this eigenwalk speaks version {API}: "  # type: ignore[attr-defined]
        f"pip install --upgrade {'eigenwalk' if newer else source.distribution}"
    )
