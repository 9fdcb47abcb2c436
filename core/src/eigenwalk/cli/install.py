"""``eigenwalk install`` and ``uninstall``: by name, with whichever of pip and uv made the environment."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from eigenwalk.cli.environment import Installer, installer, run
from eigenwalk.cli.errors import warn
from eigenwalk.errors import InputError, UnknownName
from eigenwalk.names.index import NOT_AUDITED, Entry, Index, known, normal_name, shipped

DECLINED = 1
PREFIX = "eigenwalk-"
Listed = tuple[str, Entry]
"""What a name stands for, feature, generator or direction, and its row."""

Names = Annotated[list[str], typer.Argument(help="Features, generators, directions, plugins or distributions.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def install(
    names: Names,
    upgrade: Annotated[bool, typer.Option("--upgrade", "-U", help="Bring what is installed up to date.")] = False,
    yes: Yes = False,
) -> None:
    """Install the distributions that offer NAMES, as the index says; prints what it runs, and asks first.

    Exits with 1 where the answer is no, or the installer fails.
    """
    index, program = known(), installer()
    chosen: dict[str, tuple[str, list[Listed]]] = {}
    for name in names:
        distribution, entries = _listed(name, index)
        chosen.setdefault(normal_name(distribution), (distribution, entries))
    for distribution, entries in chosen.values():
        _tell(distribution, entries)
        for rival in _rivals(distribution, entries):
            warn(rival)
    typer.echo(NOT_AUDITED, err=True)
    _do(program, program.install([distribution for distribution, _ in chosen.values()], upgrade), yes)


def uninstall(names: Names, yes: Yes = False) -> None:
    """Remove the distributions that offer NAMES; no plugin is imported. Prints what it runs, and asks first.

    Exits with 1 where the answer is no, or the installer fails.
    """
    program = installer()
    distributions = list(dict.fromkeys(_installed(name) for name in names))
    _do(program, program.uninstall(distributions), yes)


def _listed(name: str, index: Index) -> tuple[str, list[Listed]]:
    """The distribution that `name` stands for, and all that the index lists of it."""
    named = [entry for _, entry in index.entries() if entry.name == name]
    distributions = {normal_name(entry.distribution): entry.distribution for entry in named}
    if len(distributions) > 1:
        raise InputError(f"{name!r} is offered by {' and '.join(distributions.values())}: name the distribution")
    if named:
        distribution = named[0].distribution
    elif any(normal_name(entry.distribution) == normal_name(name) for _, entry in index.entries()):
        distribution = name
    elif normal_name(name).startswith(PREFIX):  # not listed; the index of packages may have it all the same
        return name, []
    else:
        raise UnknownName(f"no index lists {name!r}: eigenwalk search {shlex.quote(name)} looks for what is near")
    every = [one for one in index.entries() if normal_name(one[1].distribution) == normal_name(distribution)]
    return distribution, every


def _tell(distribution: str, listed: Sequence[Listed]) -> None:
    """Says what is about to be installed, under which licences, and which index lists it where that is not ours."""
    if not listed:
        typer.echo(f"{distribution}: no index lists it", err=True)
        return
    entries = [entry for _, entry in listed]
    names = ", ".join(entry.name for entry in entries)
    licences = " and ".join(dict.fromkeys(entry.licence for entry in entries if entry.licence)) or "not said"
    weights = " and ".join(dict.fromkeys(entry.weights_licence for entry in entries if entry.weights_licence))
    who = "".join(f"; listed by {place}" for place in dict.fromkeys(one.listed_in for one in entries) if place)
    typer.echo(f"{distribution}: {names}; licence {licences}; weights: {weights or 'not said'}{who}", err=True)


def _rivals(distribution: str, listed: Sequence[Listed]) -> Iterator[str]:
    """Who else has the names that are about to be installed: what is installed already, and the shipped index."""
    from eigenwalk.names.discovery import entry_points
    from eigenwalk.names.discovery.answers import Memory

    own, memory = normal_name(distribution), Memory.read()
    others: dict[Listed, dict[str, str]] = {one: {} for one in listed}
    ours = {(kind, entry.name): entry.distribution for kind, entry in shipped().entries()}
    for kind, entry in listed:
        other = ours.get((kind, entry.name), distribution)
        if normal_name(other) != own:
            others[kind, entry][other] = "as the index that ships with eigenwalk says"
    for source in entry_points()[0]:
        answers = memory.recall(source)
        specs = answers.specs if answers and normal_name(source.distribution) != own else {}
        for kind, entry in listed:
            if any(spec.name == entry.name for spec in specs.get(f"eigenwalk_{kind}s", ())):
                others[kind, entry][source.distribution] = "which is installed here"
    for (kind, entry), rivals in others.items():
        for rival, where in rivals.items():
            yield (
                f"{kind} {entry.name!r} is also of {rival}, {where}: where both are installed, write "
                f'{entry.name}(package="{distribution}") or {entry.name}(package="{rival}")'
            )


def _installed(name: str) -> str:
    """The installed distribution that `name` stands for: as its metadata, what is remembered of it, or the index says.

    Raises:
        UnknownName: none does.
        InputError: several do, or it is the core.
    """
    from eigenwalk.names.discovery import entry_points
    from eigenwalk.names.discovery.answers import Memory

    if normal_name(name) == "eigenwalk":
        raise InputError("eigenwalk itself is not removed by itself: pip uninstall eigenwalk, or uv pip uninstall")
    sources, _ = entry_points()
    memory, index = Memory.read(), known()
    exact = {source.distribution for source in sources if normal_name(source.distribution) == normal_name(name)}
    found = exact or {source.distribution for source in sources if source.plugin == name}
    if not found:
        for source in sources:
            answers = memory.recall(source)
            offered = {spec.name for specs in answers.specs.values() for spec in specs} if answers else set()
            if name in offered or name in index.names_of(source.distribution):
                found.add(source.distribution)
    if len(found) > 1:
        raise InputError(f"{name!r} is of {' and '.join(sorted(found))}: name the distribution")
    if not found:
        have = ", ".join(dict.fromkeys(source.distribution for source in sources)) or "none"
        raise UnknownName(f"no installed plugin is called {name!r}, or offers it; installed: {have}")
    return found.pop()


def _do(program: Installer, command: Sequence[str], yes: bool) -> None:
    """Runs `command` after it was shown and agreed to."""
    typer.echo(f"runs: {shlex.join(command)}")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"nobody is here to say yes: add --yes, or run {program.name} yourself")
        if not typer.confirm("go on?"):
            raise typer.Exit(DECLINED)
    run(command)
