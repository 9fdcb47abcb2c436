"""``eigenwalk index``: check an index, fetch those of others, say which are used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from eigenwalk import index as indexes
from eigenwalk.errors import FileError, InputError

FOUND = 1
LARGEST = 4 << 20
"""Bytes of an index that is fetched."""
TIMEOUT = 20.0

index = typer.Typer(no_args_is_help=True, help="Check an index of names, fetch those of others, say which are used.")


@index.command("list")
def listed() -> None:
    """List the indexes that are used, those that count first at the top, and how many names each has."""
    out = Console(highlight=False, soft_wrap=True)
    for place in indexes.places(os.environ.get(indexes.INDEX, "")):
        try:
            count = len(indexes.Index.read(indexes.file_of(place)).entries())
            out.print(f"{place}  {count} name{'' if count == 1 else 's'}")
        except FileError as error:
            remedy = ": eigenwalk index update" if indexes.is_address(place) else ""
            out.print(Text.assemble(("fail  ", "bold red"), f"{place}  {error}{remedy}"))
    out.print(f"{indexes.SHIPPED}  {len(indexes.shipped().entries())} names, shipped with eigenwalk")
    typer.echo(indexes.NOT_AUDITED, err=True)


@index.command()
def update() -> None:
    """Fetch every index that `EIGENWALK_INDEX` names by an address into the cache; one that is no index is refused."""
    places = indexes.places(os.environ.get(indexes.INDEX, ""))
    addresses = [place for place in places if indexes.is_address(place)]
    if not addresses:
        raise InputError(f"{indexes.INDEX} names no address: set it to https://…/registry.toml, several with commas")
    for address in addresses:
        count = len(_fetched(address).entries())
        typer.echo(f"{address}  {count} name{'' if count == 1 else 's'}, in {indexes.file_of(address)}")


@index.command()
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
    out = Console(highlight=False, soft_wrap=True)
    own = indexes.places(os.environ.get(indexes.INDEX, ""))
    places = [file] if file else [indexes.SHIPPED, *map(indexes.file_of, own)]
    found = [_checked(out, place) for place in places]
    if install:
        from eigenwalk.cli.trial import Trial

        trial = Trial(find_links, borrow)
        for place in places:
            found.append(trial.of(indexes.Index.read(place), out))
    out.print(indexes.NOT_AUDITED)
    if any(found):
        raise typer.Exit(FOUND)


def _checked(out: Console, place: Path) -> int:
    """How much is wrong with the index at `place`, which is printed."""
    from eigenwalk.schema import found_in

    others = [] if place.resolve() == indexes.SHIPPED.resolve() else [indexes.shipped()]
    found = found_in(place, others)
    count = len(indexes.Index.read(place).entries()) if not found else 0
    for one in found:
        out.print(Text.assemble((f"{place}: ", "red"), str(one)))
    if not found:
        out.print(Text.assemble(("ok    ", "green"), f"{place}: {count} names"))
    return len(found)


def _fetched(address: str) -> indexes.Index:
    """The index at `address`, which lies in the cache from now on.

    Raises:
        FileError: it cannot be fetched, or is no index; what was fetched before stays.
    """
    import httpx2

    target = indexes.file_of(address)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with httpx2.stream("GET", address, timeout=TIMEOUT, follow_redirects=True) as response:
            response.raise_for_status()
            size = 0
            with open(part, "wb") as stream:
                for block in response.iter_bytes():
                    size += len(block)
                    if size > LARGEST:
                        raise FileError(f"the index {address} is larger than {LARGEST >> 20} MB: it is no index")
                    stream.write(block)
        made = indexes.Index.read(part, address)
        os.replace(part, target)
    except (httpx2.HTTPError, OSError) as error:
        raise FileError(f"the index {address} cannot be fetched: {error or type(error).__name__}") from error
    finally:
        part.unlink(missing_ok=True)
    return made
