"""``eigenwalk search``: what exists, installed or not, by words."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from eigenwalk.cli.catalogue import print_failures
from eigenwalk.cli.errors import console, warn
from eigenwalk.cli.ranked import Known, all_names, rank
from eigenwalk.names.index import NOT_AUDITED
from eigenwalk.spec import API

NOTHING = 1


def search(
    words: Annotated[list[str] | None, typer.Argument(help="Words in names, summaries or units; none: all.")] = None,
) -> None:
    """Search features, generators, directions and commands by words: installed ones and listed ones.

    Exits with 1 where nothing is found.
    """
    from eigenwalk.names.registry import Registry

    registry = Registry.discover()
    out = console()
    found = rank(all_names(registry), list(words or ()))
    wide = max((len(one.entry.name) for one in found), default=0)
    for one in found:
        entry = one.entry
        what = entry.unit or one.table
        values = [word for word in words or () if word.lower() in one.choices]
        value = f"; a value of its options: {', '.join(values)}" if values else ""
        out.print(Text.assemble((f"{entry.name:<{wide}}  ", "bold"), entry.summary, (f"  [{what}]{value}", "dim")))
        style = "green" if one.version else "dim"
        out.print(Text.assemble(" " * (wide + 2), (_state(one), style)))
    for problem in registry.index.problems:
        warn(problem)
    print_failures(registry)
    if not found:
        print(f"nothing is known of {' '.join(words or ())!r}: eigenwalk search lists everything", file=sys.stderr)
        raise typer.Exit(NOTHING)
    if any(not one.version for one in found):
        print(NOT_AUDITED, file=sys.stderr)


def _state(known: Known) -> str:
    entry = known.entry
    by = f", listed by {entry.listed_in}" if entry.listed_in not in ("", "not listed") else ""
    by = ", not listed" if entry.listed_in == "not listed" else by
    if known.version:
        return f"installed: {entry.distribution} {known.version}{by}"
    if entry.api > API:
        return f"needs a later eigenwalk (contracts {entry.api}, this speaks {API}): {entry.distribution}{by}"
    return f"eigenwalk install {entry.name}  ({entry.distribution}{by})"
