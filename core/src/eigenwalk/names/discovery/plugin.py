"""One plugin: imported in its own try, alone in a pluggy manager, and what it answers."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pluggy

from eigenwalk import hookspecs
from eigenwalk.errors import PluginError
from eigenwalk.names.discovery.source import CALLED, Failure, Source
from eigenwalk.spec import API, CommandSpec, DirectionSpec, FeatureSpec, GeneratorSpec

T = TypeVar("T")
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("eigenwalk_"))
OFFERED: Mapping[str, type] = {
    "eigenwalk_features": FeatureSpec,
    "eigenwalk_generators": GeneratorSpec,
    "eigenwalk_directions": DirectionSpec,
    "eigenwalk_commands": CommandSpec,
}
"""The hooks that return specs, and of which type."""
OLDEST = 1
"""The oldest version of the contracts that this core still accepts; the policy is in ``docs/plugins.md``."""


@dataclass(frozen=True)
class Answers:
    """What a plugin answered: its specs by hook, and the purpose of every hook that it implements."""

    specs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    purposes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plugin:
    """One plugin whose answers are known; it is imported where a hook is asked that takes arguments."""

    source: Source
    answers: Answers = field(repr=False)

    def implements(self, hook: str) -> bool:
        """Whether the plugin answers `hook`."""
        return hook in self.answers.purposes

    def purpose(self, hook: str) -> str:
        """The first line of the docstring of this plugin's `hook`, or nothing."""
        return self.answers.purposes.get(hook, "")

    def arguments(self, hook: str) -> tuple[str, ...]:
        """The names of what this plugin's `hook` takes."""
        manager, _ = load(self.source)
        return tuple(name for one in getattr(manager.hook, hook).get_hookimpls() for name in one.argnames)

    def ask(self, hook: str, **arguments: Any) -> Any:
        """The plugin's answer to `hook`, or None; whatever the plugin raises passes through."""
        manager, failures = load(self.source)
        if manager is None:
            raise PluginError("; ".join(map(str, failures)))
        return _ask(manager, hook, **arguments)


def asked(source: Source) -> tuple[Plugin | None, list[Failure]]:
    """The plugin of `source`, imported now and asked for all it offers, with the failures met."""
    manager, failures = load(source)
    if manager is None:
        return None, failures
    specs = {}
    for hook, kind in OFFERED.items():
        specs[hook], met = _offered(source, manager, hook, kind)
        failures += met
    purposes = {}
    for hook in HOOKS:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            lines = (inspect.getdoc(implementation.function) or "").splitlines()
            purposes[hook] = lines[0].rstrip(".") if lines else ""
    return Plugin(source, Answers(specs, purposes)), failures


def load(source: Source) -> tuple[pluggy.PluginManager | None, list[Failure]]:
    """A manager that holds the plugin of `source` alone, with the failures met; None where it cannot be used."""
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
    return manager, list(_misspelt(source, manager, module))


def _ask(manager: pluggy.PluginManager, hook: str, **arguments: Any) -> Any:
    answers = getattr(manager.hook, hook)(**arguments)
    return answers[0] if answers else None


def _misspelt(source: Source, manager: pluggy.PluginManager, module: Any) -> Iterator[Failure]:
    marked = set()
    for caller in manager.get_hookcallers(module) or ():
        for implementation in caller.get_hookimpls():
            marked.add(implementation.function)
            if not caller.has_spec() and not implementation.optionalhook:
                error = f"no hook is called {caller.name!r}{_meant(caller.name)}; the hooks are {', '.join(HOOKS)}"
                yield source.failure(f"hook {caller.name}", error)
    for name, value in list(vars(module).items()) if hasattr(module, "__dict__") else ():
        near = name.startswith("eigenwalk_") and difflib.get_close_matches(name, HOOKS, 1, 0.8)
        if near and inspect.isfunction(value) and value not in marked:
            error = f"function {name!r} is not marked as a hook: write @hookimpl above it"
            yield source.failure(f"hook {name}", error if name in HOOKS else error + _meant(name))


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name, HOOKS, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _offered(
    source: Source, manager: pluggy.PluginManager, hook: str, kind: type[T]
) -> tuple[tuple[T, ...], list[Failure]]:
    """The specs of type `kind` that a plugin returns from `hook`, and a failure for each item that is no such."""
    if not getattr(manager.hook, hook).get_hookimpls():
        return (), []
    stage, wanted = f"hook {hook}", f"an iterable of {kind.__name__}"
    try:
        answer = _ask(manager, hook)
        if answer is None or isinstance(answer, (str, bytes, Mapping)) or not isinstance(answer, Iterable):
            return (), [source.failure(stage, f"expected {wanted}, got {answer!r:.80}")]
        items = list(answer)
    except CALLED as error:
        return (), [source.failure(stage, error)]
    checked = [(item, objection(source, item, kind)) for item in items]
    failures = [
        source.failure(stage, error, (item.name,) if isinstance(item, kind) else ())  # type: ignore[attr-defined]
        for item, error in checked
        if error
    ]
    return tuple(item for item, error in checked if not error), failures


def objection(source: Source, item: Any, kind: type) -> str:
    """Why `item` cannot be used as a spec of type `kind`, or nothing."""
    if not isinstance(item, kind):
        return f"expected a {kind.__name__}, got {item!r:.80}"
    api = getattr(item, "api", API)
    if isinstance(api, int) and OLDEST <= api <= API:
        return ""
    newer = isinstance(api, int) and api > API
    speaks = f"version {API}" if OLDEST == API else f"versions {OLDEST} to {API}"
    return (
        f"{item.name!r} is written for version {api!r} of the contracts, this eigenwalk speaks {speaks}: "  # type: ignore[attr-defined]
        f"pip install --upgrade {'eigenwalk' if newer else source.distribution}"
    )
