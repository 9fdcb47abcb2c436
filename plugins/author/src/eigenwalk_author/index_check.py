"""``eigenwalk index check``: check an index and, with --install, that packages are what it says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.names import index as indexes

FOUND = 1
"""Exit code of a check that finds faults."""


def check(
    file: Annotated[Path | None, typer.Argument(help="An index; without it, the shipped one and your own.")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Also install every distribution, each in an environment of its own.")
    ] = False,
    find_links: Annotated[
        Path | None, typer.Option(help="A folder of wheels to install from, besides the index of packages.")
    ] = None,
    borrow: Annotated[
        bool, typer.Option("--borrow", help="Let those environments see what is installed here, such as torch.")
    ] = False,
) -> None:
    """Check an index: fields complete, names unique, licences named; with --install, packages as listed.

    Without --install nothing is imported or fetched; with it, each package is imported in its own environment only.
    Exits with 1 if anything is wrong.
    """
    out = console()
    own = indexes.places(os.environ.get(indexes.INDEX, ""))
    places = [file] if file else [indexes.SHIPPED, *map(indexes.file_of, own)]
    counts = [_print_faults(out, place) for place in places]
    if install:
        from eigenwalk_author.index_trial import Trial

        trial = Trial(find_links, borrow)
        for place in places:
            counts.append(trial.print_faults(indexes.Index.read(place), out))
    out.print(indexes.NOT_AUDITED)
    if any(counts):
        raise typer.Exit(FOUND)


def _print_faults(out: Console, place: Path) -> int:
    """Print what is wrong with the index at `place`, and return how much that is."""
    from eigenwalk_author.schema import check_index

    others = [] if place.resolve() == indexes.SHIPPED.resolve() else [indexes.shipped_index()]
    found = check_index(place, others)
    count = len(indexes.Index.read(place).entries()) if not found else 0
    for one in found:
        out.print(Text.assemble((f"{place}: ", "red"), str(one)))
    if not found:
        out.print(Text.assemble(("ok    ", "green"), f"{place}: {count} names"))
    return len(found)
