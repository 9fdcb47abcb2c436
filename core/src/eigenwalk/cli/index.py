"""``eigenwalk index``: fetch indexes of others, say which are used; eigenwalk-author adds ``index check``."""

from __future__ import annotations

import os

import typer
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.errors import FileError, InputError
from eigenwalk.names import index as indexes

LARGEST = 4 << 20
"""Bytes of an index that is fetched."""
TIMEOUT = 20.0

index = typer.Typer(no_args_is_help=True, help="Check an index of names, fetch those of others, say which are used.")


@index.command("list")
def listed() -> None:
    """List the indexes that are used, those that count first at the top, and how many names each has."""
    out = console()
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
