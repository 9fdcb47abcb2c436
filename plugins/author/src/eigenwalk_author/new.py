"""``eigenwalk new``: make a package of a feature, a generator or a direction, complete and passing its tests."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from eigenwalk.cli.errors import console, warn

Kind = Literal["feature", "generator", "direction"]
WALKS = {
    "feature": "eigenwalk walk rooms --fix {name} --vary pixels",
    "generator": "eigenwalk walk {name} --vary pixels",
    "direction": "eigenwalk walk rooms --vary pixels --solver {name}",
}


def new(
    kind: Annotated[Kind, typer.Argument(help="What the package offers.")],
    package: Annotated[str, typer.Argument(help="Its name, such as hair-colour; eigenwalk- is put before it.")],
    name: Annotated[
        str | None, typer.Option(help="Its name in expressions, such as hair.colour [default: as the package's]")
    ] = None,
    summary: Annotated[str | None, typer.Option(help="What it is, in a line.")] = None,
    author: Annotated[str | None, typer.Option(help="Who holds the copyright [default: git's user]")] = None,
    licence: Annotated[str | None, typer.Option(help="Apache-2.0, BSD-3-Clause or MIT [default: Apache-2.0]")] = None,
    homepage: Annotated[str | None, typer.Option(help="Address of the project, if it has one.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", "-o", help="Where to make it [default: ./eigenwalk-PACKAGE]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: defaults for what is not given.")] = False,
) -> None:
    """Make a package of a feature, a generator or a way to choose directions; its tests pass from the start.

    On a terminal, what is not given is asked for.

    eigenwalk new feature hair-colour --summary "the colour of the hair"
    """
    from eigenwalk.names.registry import Registry
    from eigenwalk_author.naming import naming, objections
    from eigenwalk_author.template import make

    named = naming(package, name)
    for objection in dict.fromkeys(objections(named, Registry.discover())):
        warn(objection)
    place = folder or Path(named.distribution)
    given = {"summary": summary, "author": author, "licence": licence, "homepage": homepage}
    answers = {key: value for key, value in given.items() if value is not None}
    files = make(kind, named, place, answers, ask=not yes and sys.stdin.isatty() and sys.stdout.isatty())
    out = console()
    out.print(Text.assemble("made ", (str(place), "bold"), f": {len(files)} files, {_count_lines(place, files)} lines"))
    source = place / "src" / named.package
    out.print(Text(f"  {source / f'{kind}.py'} computes: write your own there"))
    out.print(Text(f"  {source / 'plugin.py'} says what is offered: name, summary, options, unit"))
    quoted = shlex.quote(str(place))
    install = shlex.quote(f"{place if place.is_absolute() else f'./{place}'}[test]")
    out.print("next")
    for command in (
        f"pip install -e {install}",
        f"pytest {quoted}",
        WALKS[kind].format(name=named.name),
        f"eigenwalk publish {quoted}",
    ):
        out.print(Text(f"  {command}"))


def _count_lines(place: Path, files: tuple[Path, ...]) -> int:
    """Return how many lines the files have, without the licence."""
    return sum(len((place / file).read_text(encoding="utf-8").splitlines()) for file in files if file.name != "LICENSE")
