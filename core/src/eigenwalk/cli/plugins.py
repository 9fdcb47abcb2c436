"""``eigenwalk list``: the distributions of plugins, whatever state they are in; none is imported."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer
from rich.text import Text

from eigenwalk.cli.environment import origin
from eigenwalk.cli.errors import console
from eigenwalk.names.discovery import Memory, Source, entry_points, select
from eigenwalk.names.index import Index, known_index, normal_name
from eigenwalk.names.installer import installer, run_json


def plugins(
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Only those with a later version; asks pip or uv.")
    ] = False,
) -> None:
    """List the installed plugins: version, where they come from, and the names that they offer.

    No plugin is imported: the names are those of the last time that one was.
    """
    sources, failures = entry_points()
    _, left = select(sources)
    later = _later() if outdated else {}
    out, memory, index = console(), Memory.read(), known_index()
    shown = [source for source in sources if not outdated or normal_name(source.distribution) in later]
    wide = max((len(source.distribution) + len(source.version) + 1 for source in shown), default=0)
    for source in shown:
        said = "left out" if source in left else _names(source, memory, index)
        newer = later.get(normal_name(source.distribution))
        version = f"{source.version} → {newer}" if newer else source.version
        what = f"{source.distribution} {version}"
        out.print(Text.assemble((f"{what:<{wide}}", "bold"), f"  {origin(source)}  ", (said, "dim")))
    for failure in failures:
        out.print(Text.assemble(("fail  ", "bold red"), str(failure)))
    if not shown:
        print("every plugin is up to date" if outdated and sources else "no plugin is installed", file=sys.stderr)


def _names(source: Source, memory: Memory, index: Index) -> str:
    """The names that a plugin offered when it was last asked, or that the index lists of its distribution."""
    answers = memory.answers(source)
    if answers.specs:
        return ", ".join(spec.name for specs in answers.specs.values() for spec in specs) or "no names"
    names = ", ".join(index.names_of(source.distribution))
    return f"{names}, as the index says" if names else "it has not answered yet: eigenwalk doctor asks it"


def _later() -> dict[str, str]:
    """The latest version of every distribution that has a later one than is installed."""
    command = installer().outdated()
    typer.echo(f"runs: {shlex.join(command)}", err=True)
    return {normal_name(row["name"]): row["latest_version"] for row in run_json(command)}
