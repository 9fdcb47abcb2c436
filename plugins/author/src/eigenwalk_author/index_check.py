"""``eigenwalk index check``: whether an index is complete, and, with --install, whether packages are what it says."""

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
    """Check an index: fields complete, names unique, licences named; with --install, that it says what packages do.

    Without --install nothing is imported or fetched; with it no package is imported outside its own environment.
    Exits with 1 where something is found.
    """
    out = console()
    own = indexes.places(os.environ.get(indexes.INDEX, ""))
    places = [file] if file else [indexes.SHIPPED, *map(indexes.file_of, own)]
    found = [_checked(out, place) for place in places]
    if install:
        from eigenwalk_author.index_trial import Trial

        trial = Trial(find_links, borrow)
        for place in places:
            found.append(trial.of(indexes.Index.read(place), out))
    out.print(indexes.NOT_AUDITED)
    if any(found):
        raise typer.Exit(FOUND)


def _checked(out: Console, place: Path) -> int:
    """How much is wrong with the index at `place`, which is printed."""
    from eigenwalk.names.schema import check_index

    others = [] if place.resolve() == indexes.SHIPPED.resolve() else [indexes.shipped_index()]
    found = check_index(place, others)
    count = len(indexes.Index.read(place).entries()) if not found else 0
    for one in found:
        out.print(Text.assemble((f"{place}: ", "red"), str(one)))
    if not found:
        out.print(Text.assemble(("ok    ", "green"), f"{place}: {count} names"))
    return len(found)
