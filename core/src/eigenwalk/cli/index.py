"""``eigenwalk index``: fetch indexes of others, say which are used; eigenwalk-author adds ``index check``."""

from __future__ import annotations

import os
import time

import typer
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.errors import FileError, InputError, reason
from eigenwalk.names import index as indexes
from eigenwalk.store import write_whole
from eigenwalk.textfile import LARGEST

TIMEOUT = 20.0
"""Seconds that an index may take, in all."""

index = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Check an index of names, fetch those of others, say which are used.",
)


@index.command("list")
def list_() -> None:
    """List the indexes that are used, those that count first at the top, and how many names each has."""
    out = console()
    for place in indexes.places(os.environ.get(indexes.INDEX, "")):
        try:
            count = len(indexes.Index.read(indexes.file_of(place)).entries())
            out.print(f"{indexes.without_password(place)}  {count} name{'' if count == 1 else 's'}")
        except FileError as error:
            remedy = ": eigenwalk index update" if indexes.is_address(place) else ""
            out.print(Text.assemble(("fail  ", "bold red"), f"{indexes.without_password(place)}  {error}{remedy}"))
    out.print(f"{indexes.SHIPPED}  {len(indexes.shipped_index().entries())} names, shipped with eigenwalk")
    typer.echo(indexes.NOT_AUDITED, err=True)


@index.command()
def update() -> None:
    """Fetch every index that `EIGENWALK_INDEX` names by an address into the cache; one that is no index is refused."""
    places = indexes.places(os.environ.get(indexes.INDEX, ""))
    addresses = [place for place in places if indexes.is_address(place)]
    if not addresses:
        raise InputError(f"{indexes.INDEX} names no address: set it to https://…/registry.toml, several with commas")
    for address in addresses:
        count, shown = len(_fetch(address).entries()), indexes.without_password(address)
        typer.echo(f"{shown}  {count} name{'' if count == 1 else 's'}, in {indexes.file_of(address)}")


def _fetch(address: str) -> indexes.Index:
    """Put the index at `address` into the cache, and return it.

    Raises:
        FileError: it cannot be fetched, or is no index; what was fetched before stays.
    """
    import httpx2

    target, shown = indexes.file_of(address), indexes.without_password(address)
    end, data = time.monotonic() + TIMEOUT, b""
    try:
        with httpx2.stream("GET", address, timeout=TIMEOUT, follow_redirects=True) as response:
            if response.status_code != 200:
                raise FileError(f"the index {shown} cannot be fetched: {response.status_code} {response.reason_phrase}")
            for block in response.iter_bytes():
                data += block
                if len(data) > LARGEST or time.monotonic() > end:
                    raise FileError(f"the index {shown} is larger than {LARGEST >> 20} MB, or takes {TIMEOUT:g} s")
        index = indexes.Index.parse(data.decode("utf-8", "replace"), f"the index {shown}", shown)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        said = indexes.without_password(reason(error))
        raise FileError(f"the index {shown} cannot be fetched: {type(error).__name__}, {said}") from None
    return index
