"""One plugin: imported in its own try, alone in a pluggy manager, and asked what it offers."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import pluggy

from eigenwalk import hookspecs
from eigenwalk.errors import PluginError
from eigenwalk.names.discovery.source import Failure, Source, show_value
from eigenwalk.spec import API, CommandSpec, DirectionSpec, FeatureSpec, GeneratorSpec, Option, Weights

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
TYPES: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "Option": Option, "Weights": Weights}
"""The types of a spec's fields, by their annotation."""


@dataclass(frozen=True)
class Answers:
    """What a plugin answered: its specs by hook, and of every hook that it implements its docstring's first line."""

    specs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    purposes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plugin:
    """One plugin whose answers are known; it is imported when a hook that takes arguments is called."""

    source: Source
    answers: Answers = field(repr=False)

    def arguments(self, hook: str) -> tuple[str, ...]:
        """Return the names of what this plugin's `hook` takes."""
        manager, _ = _load(self.source)
        implementations = getattr(manager.hook, hook).get_hookimpls() if manager else ()
        return tuple(name for one in implementations for name in one.argnames)

    def call(self, hook: str, **arguments: Any) -> Any:
        """Return the plugin's answer to `hook`, or None; what the plugin raises passes through."""
        manager, failures = _load(self.source)
        if manager is None:
            raise PluginError("; ".join(map(str, failures)))
        return _call(manager, hook, **arguments)


@contextmanager
def guard(source: Source, stage: str, failures: list[Failure]) -> Iterator[None]:
    """Run a plugin's code: drop what it prints, and add what it raises, but Ctrl-C, to `failures`."""
    try:
        with redirect_stdout(io.StringIO()):  # which it may also close
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failures.append(source.failure(stage, error))


def ask(source: Source) -> tuple[Plugin | None, list[Failure]]:
    """Import the plugin of `source` and ask it for all that it offers."""
    manager, failures = _load(source)
    if manager is None:
        return None, failures
    specs = {hook: _specs(source, manager, hook, kind, failures) for hook, kind in OFFERED.items()}
    purposes = {}
    for hook in HOOKS:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            lines = (inspect.getdoc(implementation.function) or "").splitlines()
            purposes[hook] = lines[0].rstrip(".") if lines else ""
    return Plugin(source, Answers(specs, purposes)), failures


def _load(source: Source) -> tuple[pluggy.PluginManager | None, list[Failure]]:
    """Return a manager that holds this plugin alone, with the failures met; None where it cannot be used."""
    failures: list[Failure] = []
    module: Any = None
    with guard(source, "import", failures):
        module = source.load()
    if failures:
        return None, failures
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    with guard(source, "registration", failures):
        manager.register(module, name=source.plugin)
        failures += _misspelt(source, manager, module)
        return manager, failures
    return None, failures


def _call(manager: pluggy.PluginManager, hook: str, **arguments: Any) -> Any:
    answers = getattr(manager.hook, hook)(**arguments)
    return answers[0] if answers else None


def _misspelt(source: Source, manager: pluggy.PluginManager, module: Any) -> list[Failure]:
    """Return a failure for each hook whose name is wrong, or that lacks its marker."""
    found, marked = [], set()
    for caller in manager.get_hookcallers(module) or ():
        for implementation in caller.get_hookimpls():
            marked.add(implementation.function)
            if not caller.has_spec() and not implementation.optionalhook:
                error = f"no hook is called {caller.name!r}{_suggest(caller.name)}; the hooks are {', '.join(HOOKS)}"
                found.append(source.failure(f"hook {caller.name}", error))
    for name, value in list(vars(module).items()) if hasattr(module, "__dict__") else ():
        if name.startswith("eigenwalk_") and inspect.isfunction(value) and value not in marked:
            meant = "" if name in HOOKS else _suggest(name, 0.8)
            if meant or name in HOOKS:
                error = f"function {name!r} is not marked as a hook: write @hookimpl above it{meant}"
                found.append(source.failure(f"hook {name}", error))
    return found


def _suggest(name: str, alike: float = 0.6) -> str:
    from eigenwalk.names.near import nearest

    near = nearest(name, HOOKS, alike=alike)
    return f"; did you mean {near[0]!r}?" if near else ""


def _specs(
    source: Source, manager: pluggy.PluginManager, hook: str, kind: type[T], failures: list[Failure]
) -> tuple[T, ...]:
    """Return the usable specs of type `kind` that a plugin returns from `hook`; the others become `failures`."""
    stage, good = f"hook {hook}", []
    if not getattr(manager.hook, hook).get_hookimpls():
        return ()
    with guard(source, stage, failures):
        answer = _call(manager, hook)
        if answer is None or isinstance(answer, (str, bytes, Mapping)) or not isinstance(answer, Iterable):
            error = f"expected an iterable of {kind.__name__}, got {show_value(answer)}"
            failures.append(source.failure(stage, error))
            return ()
        for item in list(answer):
            error = objection(source, item, kind)
            if error:
                names = (item.name,) if isinstance(item, kind) else ()  # type: ignore[attr-defined]
                failures.append(source.failure(stage, error, names))
            else:
                good.append(item)
    return tuple(good)


def objection(source: Source, item: Any, kind: type) -> str:
    """Return why `item` cannot be used as a spec of type `kind`, or ""."""
    if not isinstance(item, kind):
        return f"expected a {kind.__name__}, got {show_value(item)}"
    name, api = item.name, getattr(item, "api", API)  # type: ignore[attr-defined]
    if not (isinstance(api, int) and OLDEST <= api <= API):
        newer = isinstance(api, int) and api > API
        speaks = f"version {API}" if OLDEST == API else f"versions {OLDEST} to {API}"
        return (
            f"{name!r} is written for version {show_value(api)} of the contracts, this eigenwalk speaks {speaks}: "
            f"pip install --upgrade {'eigenwalk' if newer else source.distribution}"
        )
    for one in fields(item):
        value, kind_of_one = getattr(item, one.name), str(one.type).removeprefix("tuple[")
        wanted, many = TYPES.get(kind_of_one.partition(",")[0]), kind_of_one != one.type
        values = value if many and isinstance(value, (tuple, list)) else (value,)
        if wanted and not all(isinstance(part, wanted) for part in values):
            return f"{one.name} of {name!r} must be {one.type}, got {show_value(value)}"
    return ""
