"""The names that installed plugins offer, found through the entry-point group ``eigenwalk``.

    registry = Registry.discover()
    registry.feature("fourier.low")          # an Offer: the spec, and who offers it
    registry.failures                        # what went wrong, plugin by plugin

What goes wrong in a plugin is data, a `Failure`, and costs that plugin's names alone. What a plugin answered is
remembered, so that it is imported only after it has changed. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from eigenwalk.errors import AmbiguousName, FileError, OptionError, UnknownName
from eigenwalk.names.discovery import Failure, Plugin, Source, ask_all, entry_points, guard, objection, select
from eigenwalk.names.discovery.source import ONLY, WITHOUT
from eigenwalk.names.index import DISTRIBUTION, TABLES, Entry, Index, known_index, normal_name
from eigenwalk.names.near import nearest
from eigenwalk.spec import API, CommandSpec, DirectionSpec, FeatureSpec, GeneratorSpec

if TYPE_CHECKING:
    from eigenwalk.checkpoint import Checkpoint

__all__ = ["Failure", "Offer", "Registry"]

Kind = Literal["feature", "generator", "direction"]
KINDS: tuple[Kind, ...] = ("feature", "generator", "direction")
S = TypeVar("S", FeatureSpec, GeneratorSpec, DirectionSpec, CommandSpec)


@dataclass(frozen=True)
class Offer(Generic[S]):
    """One name that one installed distribution offers.

    `reads_checkpoints`: its factory takes an opened `Checkpoint` as the path, since the hook that recognised it does.
    """

    spec: S
    distribution: str
    version: str
    plugin: str
    reads_checkpoints: bool = False

    @property
    def name(self) -> str:
        """Return the name that is offered."""
        return self.spec.name

    @property
    def provider(self) -> str:
        """The distribution that offers it, with its version."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"{self.spec.name} ({self.provider})"


@dataclass(frozen=True)
class Registry:
    """The names that installed plugins offer, each with its provenance, and the plugins' failures."""

    features: tuple[Offer[FeatureSpec], ...] = ()
    generators: tuple[Offer[GeneratorSpec], ...] = ()
    directions: tuple[Offer[DirectionSpec], ...] = ()
    commands: tuple[Offer[CommandSpec], ...] = ()
    failures: tuple[Failure, ...] = ()
    plugins: tuple[Plugin, ...] = field(default=(), repr=False)
    left_out: tuple[Source, ...] = field(default=(), repr=False)
    listing: Index | None = field(default=None, repr=False)

    @cached_property
    def index(self) -> Index:
        """What is known to exist, installed or not, read when it is first needed."""
        return known_index() if self.listing is None else self.listing

    @classmethod
    def discover(
        cls, extra: Sequence[tuple[Any, str, str]] = (), installed: bool = True, index: Index | None = None
    ) -> Registry:
        """Return the registry of every installed plugin.

        `extra` adds plugin modules that are not installed, each with a distribution and version to go by;
        `installed=False` leaves the installed ones out. Never raises because of a plugin.
        """
        sources, failures = entry_points() if installed else ([], [])
        sources, left_out = select(sources)
        sources += [_source(module, name, version) for module, name, version in extra]
        plugins, met = ask_all(sources)
        return cls.of(plugins, [*failures, *met], left_out, index)

    @classmethod
    def of(
        cls,
        plugins: Sequence[Plugin],
        failures: Sequence[Failure] = (),
        left_out: Sequence[Source] = (),
        index: Index | None = None,
    ) -> Registry:
        """Return the registry of these `plugins`, with the `failures` that were met."""
        failures = list(failures)
        offers: list[Any] = [_collect(plugins, f"eigenwalk_{kind}", failures) for kind in TABLES]
        made = cls(*offers, plugins=tuple(plugins), left_out=tuple(left_out), listing=index)
        have = {(offer.distribution, offer.name) for table in offers for offer in table}
        return replace(made, failures=tuple(replace(one, names=_lost(one, made, have)) for one in failures))

    def feature(self, name: str, package: str | None = None) -> Offer[FeatureSpec]:
        """Return the one offer of feature `name`; `package` picks the distribution where several offer it.

        Raises:
            UnknownName: no installed plugin offers it; the message says how to get it, or what is near.
            AmbiguousName: several distributions offer it.
        """
        return self._find("feature", self.features, name, package)

    def generator(self, name: str, package: str | None = None) -> Offer[GeneratorSpec]:
        """Return the one offer of generator `name`; raises as `feature` does."""
        return self._find("generator", self.generators, name, package)

    def direction(self, name: str, package: str | None = None) -> Offer[DirectionSpec]:
        """Return the one offer of direction `name`; raises as `feature` does."""
        return self._find("direction", self.directions, name, package)

    def kind_of(self, name: str, kinds: Iterable[Kind] = KINDS) -> Kind | None:
        """Return what installed plugins offer `name` as, the first of `kinds` that fits; None where none does."""
        return next((kind for kind in kinds if any(offer.name == name for offer in getattr(self, f"{kind}s"))), None)

    def open(self, path: Path | str | Checkpoint) -> Offer[GeneratorSpec]:
        """Return the generator in the file or folder at `path`, from the first plugin that recognises it.

        Raises:
            FileError: no plugin recognises it; the message says what the file is, what the plugins that know it say,
                and lists the formats that were tried.
        """
        from eigenwalk.checkpoint import Checkpoint  # listing names opens no file

        checkpoint = Checkpoint.of(path)
        readers: list[str] = []
        failures: list[Failure] = []
        says: list[str] = []
        for plugin in self.plugins:
            source, spec, purpose = plugin.source, None, plugin.answers.purposes.get("eigenwalk_open")
            if purpose is None:
                continue
            with guard(source, "hook eigenwalk_open", failures):
                try:
                    spec = plugin.call("eigenwalk_open", path=checkpoint.path, checkpoint=checkpoint)
                except (FileError, OptionError) as error:
                    says.append(f"\n{error}")
                    continue
                problem = objection(source, spec, GeneratorSpec) if spec is not None else ""
                if problem:
                    failures.append(source.failure("hook eigenwalk_open", problem))
                elif spec is not None:
                    takes = "checkpoint" in plugin.arguments("eigenwalk_open")
                    return Offer(spec, source.distribution, source.version, source.plugin, takes)
                readers.append(f"{purpose or source.plugin} ({source.distribution})")
        tried = "\n  ".join(["It is none of", *readers]) if readers else "No installed plugin reads generator files"
        raise FileError(
            f"{path} is not recognised as a generator. It is {checkpoint.words}{''.join(says)}\n"
            f"{tried}{self._readable()}\n"
            f"Or write a function that builds it, and name that: ./my_generator.py:build{_list(failures)}"
        )

    def _readable(self) -> str:
        """Return which formats known plugins that are not installed would read."""
        here = {normal_name(plugin.source.distribution) for plugin in self.plugins}
        found: dict[str, dict[str, None]] = {}
        for entry in self.index.generators.values():
            if entry.reads and normal_name(entry.distribution) not in here:
                found.setdefault(entry.pip_line, {}).update(dict.fromkeys(entry.reads))
        others = "; ".join(f"{', '.join(reads)} ({line})" for line, reads in sorted(found.items()))
        return f"\nKnown and not installed: {others}" if others else ""

    def _find(self, kind: str, offers: Iterable[Offer[S]], name: str, package: str | None) -> Offer[S]:
        found = [offer for offer in offers if offer.name == name]
        picked = [
            offer for offer in found if package is None or normal_name(offer.distribution) == normal_name(package)
        ]
        if len(picked) == 1:
            return picked[0]
        providers = " and ".join(offer.provider for offer in picked or found)
        if picked:
            picks = " or ".join(f'{name}(package="{offer.distribution}")' for offer in picked)
            raise AmbiguousName(f"{kind} {name!r} is offered by {providers}: write {picks}")
        if found:
            raise UnknownName(f"{kind} {name!r} is not offered by {package!r}, but by {providers}")
        raise UnknownName(self._unknown(kind, name, package))

    def _unknown(self, kind: str, name: str, package: str | None) -> str:
        guilty = [failure for failure in self.failures if _may_offer(failure, name)]
        if guilty:
            return f"{kind} {name!r} is not available, because {'; and '.join(map(str, guilty))}"
        others = _list(self.failures)
        entry = getattr(self.index, f"{kind}s").get(name)
        if package and (not entry or normal_name(entry.distribution) != normal_name(package)):
            if not DISTRIBUTION.fullmatch(package):
                return f"{kind} {name!r}: package must be the name of a distribution, got {package!r}"
            entry = Entry(name, package, listed_in="the expression")
        if entry:
            return self._how_to_get(kind, entry) + others
        if other := self.kind_of(name):
            return f"{name!r} is a {other}, not a {kind}"
        meant = self._by_choice(kind, name)
        return f"no {kind} is called {name!r}{f': write {meant}' if meant else self._nearest(kind, name)}{others}"

    def _by_choice(self, kind: str, name: str) -> str:
        """Return the expressions whose option has the value `name`, such as ``faces.attribute(smile)``; or ""."""
        found = []
        for offer in getattr(self, f"{kind}s"):
            for i, option in enumerate(offer.spec.options):
                if name in option.choices:
                    found.append(f"{offer.name}({name if i == 0 else f'{option.name}={name}'})")
        return " or ".join(found[:3])

    def _how_to_get(self, kind: str, entry: Entry) -> str:
        """Why the name of `entry`, which is known, is not here, and what brings it."""
        name, distribution = entry.name, entry.distribution
        upgrade = entry.pip_line.replace("pip install", "pip install --upgrade", 1)
        for source in self.left_out:
            if normal_name(source.distribution) == normal_name(distribution):
                return (
                    f"{kind} {name!r} is not available: plugin {source.plugin!r} ({source.distribution} "
                    f"{source.version}) is left out, by --without, {WITHOUT} or {ONLY}"
                )
        if entry.api > API:
            return (
                f"{kind} {name!r} of {distribution} is written for version {entry.api} of the contracts, this "
                f"eigenwalk speaks version {API}: upgrade eigenwalk, and {upgrade}"
            )
        for plugin in self.plugins:
            if normal_name(plugin.source.distribution) == normal_name(distribution):
                have = f"{distribution} {plugin.source.version}"
                return f"{kind} {name!r} is not in the installed {have}: {upgrade}"
        return f"{kind} {name!r} is not installed: {entry.pip_line}"

    def _nearest(self, kind: str, name: str) -> str:
        entries = getattr(self.index, f"{kind}s")
        installed = sorted({offer.name for offer in getattr(self, f"{kind}s")})
        near = nearest(name, {*installed, *entries}, 3, 0.5)
        near += [known for known in installed if known.split(".")[-1] == name and known not in near]
        if near:
            lines = (known if known in installed else f"{known} ({entries[known].pip_line})" for known in near)
            return f"; nearest: {', '.join(lines)}"
        return f"; installed: {', '.join(installed[:12])}{', …' if len(installed) > 12 else ''}" if installed else ""


def _collect(plugins: Iterable[Plugin], hook: str, failures: list[Failure]) -> tuple[Offer[Any], ...]:
    """Return the offers of all answers to `hook`, sorted; a name offered twice is added to `failures`."""
    offers: dict[tuple[str, str], Offer[Any]] = {}
    for plugin in plugins:
        source = plugin.source
        for spec in plugin.answers.specs.get(hook, ()):
            key = (spec.name, normal_name(source.distribution))
            if key in offers:  # `package` cannot tell these apart
                failures.append(source.failure(f"hook {hook}", f"{spec.name!r} is offered twice; the first counts"))
            else:
                offers[key] = Offer(spec, source.distribution, source.version, source.plugin)
    return tuple(offers[key] for key in sorted(offers))


def _source(module: Any, distribution: str, version: str) -> Source:
    return Source(getattr(module, "__name__", type(module).__name__), distribution, version, lambda: module)


def _lost(failure: Failure, registry: Registry, have: set[tuple[str, str]]) -> tuple[str, ...]:
    names = failure.names or registry.index.names_of(failure.distribution)
    return tuple(name for name in names if (failure.distribution, name) not in have)


def _may_offer(failure: Failure, name: str) -> bool:
    head = normal_name(name.split(".")[0])
    by_name = {normal_name(failure.plugin), normal_name(failure.distribution).removeprefix("eigenwalk-")}
    return name in failure.names or head in by_name


def _list(failures: Iterable[Failure]) -> str:
    text = "".join(f"\n  {failure}" for failure in failures)
    return f"\nThese plugins failed, and their names are missing:{text}" if text else ""
