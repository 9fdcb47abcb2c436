"""``eigenwalk install`` and ``uninstall``: by name, with whichever of pip and uv made the environment."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from eigenwalk.cli.errors import warn
from eigenwalk.errors import InputError, UnknownName
from eigenwalk.names.discovery import Memory, entry_points
from eigenwalk.names.index import NOT_AUDITED, Entry, Index, known_index, normal_name, shipped_index
from eigenwalk.names.installer import Installer, installer, run

DECLINED = 1
PREFIX = "eigenwalk-"
Listed = tuple[str, Entry]
"""What a name stands for, feature, generator, direction or command, and its row."""

Names = Annotated[list[str], typer.Argument(help="Features, generators, directions, commands or distributions.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def install(
    names: Names,
    upgrade: Annotated[bool, typer.Option("--upgrade", "-U", help="Bring what is installed up to date.")] = False,
    yes: Yes = False,
) -> None:
    """Install the distributions that offer NAMES, as the index says; prints what it runs, and asks first.

    Exits with 1 where the answer is no, or the installer fails.
    """
    index, program = known_index(), installer()
    wanted: dict[str, tuple[str, list[Listed]]] = {}
    for name in names:
        distribution, entries = _look_up(name, index)
        wanted.setdefault(normal_name(distribution), (distribution, entries))
    packages = dict.fromkeys(one for listed in wanted.values() for one in _packages(*listed))
    for distribution, entries in wanted.values():
        _describe(distribution, entries)
        for rival in _rivals(distribution, entries):
            warn(rival)
    typer.echo(NOT_AUDITED, err=True)
    _run(program, program.install(list(packages), upgrade), yes)


def uninstall(names: Names, yes: Yes = False) -> None:
    """Remove the distributions that offer NAMES; no plugin is imported. Prints what it runs, and asks first.

    Exits with 1 where the answer is no, or the installer fails.
    """
    program = installer()
    distributions = list(dict.fromkeys(_installed_distribution(name) for name in names))
    _run(program, program.uninstall(distributions), yes)


def _look_up(name: str, index: Index) -> tuple[str, list[Listed]]:
    """Return the distribution that `name` stands for, and all that the index lists of it."""
    named = [entry.distribution for _, entry in index.entries() if entry.name == name]
    distributions = {normal_name(one): one for one in named}
    if len(distributions) > 1:
        raise InputError(f"{name!r} is offered by {' and '.join(distributions.values())}: name the distribution")
    distribution = named[0] if named else name
    entries = [one for one in index.entries() if normal_name(one[1].distribution) == normal_name(distribution)]
    if not entries and not normal_name(name).startswith(PREFIX):  # one of ours that is not listed may exist
        raise UnknownName(f"no index lists {name!r}: eigenwalk search {shlex.quote(name)} looks for what is near")
    return distribution, entries


def _packages(distribution: str, listed: Sequence[Listed]) -> tuple[str, ...]:
    """Return what the installer is given.

    Raises:
        InputError: a distribution of the repository, of which no copy is here.
    """
    entry = listed[0][1] if listed else Entry(distribution, distribution)
    if not entry.is_ours:
        return (distribution,)
    if entry.installables[0].startswith("./"):
        raise InputError(f"{distribution} is on no index of packages yet: {entry.pip_line}")
    return entry.installables


def _describe(distribution: str, listed: Sequence[Listed]) -> None:
    """Print what is about to be installed, under which licences, and which index lists it where that is not ours."""
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
    """Say who else has the names that are about to be installed: what is installed already, and the shipped index."""
    own, memory = normal_name(distribution), Memory.read()
    others: dict[Listed, dict[str, str]] = {one: {} for one in listed}
    ours = {(kind, entry.name): entry.distribution for kind, entry in shipped_index().entries()}
    for kind, entry in listed:
        other = ours.get((kind, entry.name), distribution)
        if normal_name(other) != own:
            others[kind, entry][other] = "as the index that ships with eigenwalk says"
    for source in entry_points()[0]:
        specs = memory.answers(source).specs if normal_name(source.distribution) != own else {}
        for kind, entry in listed:
            if any(spec.name == entry.name for spec in specs.get(f"eigenwalk_{kind}s", ())):
                others[kind, entry][source.distribution] = "which is installed here"
    for (kind, entry), rivals in others.items():
        for rival, where in rivals.items():
            yield (
                f"{kind} {entry.name!r} is also of {rival}, {where}: where both are installed, write "
                f'{entry.name}(package="{distribution}") or {entry.name}(package="{rival}")'
            )


def _installed_distribution(name: str) -> str:
    """Return the installed distribution that `name` stands for: by metadata, by what is remembered, or by the index.

    Raises:
        UnknownName: none does.
        InputError: several do, or it is the core.
    """
    if normal_name(name) == "eigenwalk":
        raise InputError("eigenwalk itself is not removed by itself: pip uninstall eigenwalk, or uv pip uninstall")
    sources, memory, index = entry_points()[0], Memory.read(), known_index()
    found = {one.distribution for one in sources if normal_name(one.distribution) == normal_name(name)}
    found = found or {one.distribution for one in sources if one.plugin == name}
    if not found:
        for source in sources:
            offered = {spec.name for specs in memory.answers(source).specs.values() for spec in specs}
            if name in offered or name in index.names_of(source.distribution):
                found.add(source.distribution)
    if len(found) > 1:
        raise InputError(f"{name!r} is of {' and '.join(sorted(found))}: name the distribution")
    if not found:
        have = ", ".join(dict.fromkeys(source.distribution for source in sources)) or "none"
        raise UnknownName(f"no installed plugin is called {name!r}, or offers it; installed: {have}")
    return found.pop()


def _run(program: Installer, command: Sequence[str], yes: bool) -> None:
    """Run `command` after showing it and asking."""
    typer.echo(f"runs: {shlex.join(command)}")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"nobody is here to say yes: add --yes, or run {program.name} yourself")
        if not typer.confirm("go on?"):
            raise typer.Exit(DECLINED)
    run(command)
