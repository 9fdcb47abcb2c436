"""``eigenwalk evaluate``: compare methods on pairs of fixed and varied features."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eigenwalk.errors import EigenwalkError, InputError

if TYPE_CHECKING:
    from eigenwalk_evaluate.grid import Grid
    from eigenwalk_evaluate.summary import Summary

RUNS = Path("runs")


def evaluate(
    what: Annotated[list[str], typer.Argument(help="A grid.toml or several, or a generator with --fix and --vary.")],
    fix: Annotated[list[str] | None, typer.Option("--fix", help="A feature to hold; repeatable.")] = None,
    vary: Annotated[list[str] | None, typer.Option("--vary", help="A feature to vary; repeatable.")] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="rayleigh, published, quotient, or plugins' directions, with commas between "
            "[default: rayleigh,published,quotient,ganspace,sefa,random]",
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", help="Starts, such as 0-3,7 [default: 0-7]")] = None,
    judge: Annotated[list[str] | None, typer.Option("--judge", help="A feature that only judges; repeatable.")] = None,
    reader: Annotated[
        list[str] | None,
        typer.Option("--reader", help="A judge that reads the number of --vary again; one for each, in their order."),
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", help="A number to edit while the others hold; repeatable.")
    ] = None,
    directions: Annotated[
        int | None, typer.Option(min=1, help="Leading directions of methods that prefer none [default: 20]")
    ] = None,
    limit: Annotated[
        bool | None, typer.Option("--limit/--no-limit", help="Seek the least drift there is [default: limit]")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="Where to compute [default: cpu]")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="What each process may take [default: 40 % of the machine's]")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Part of GENERATOR/PAIR/METHOD, with * for anything; repeatable: compute only these."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder [default: runs/evaluate- and the grid's name]")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Also a page in Markdown for documentation, with plots beside it.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary: the folder alone.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run code in files that a grid names, unasked.")] = False,
) -> None:
    """Measure how well methods hold what is fixed while the rest varies; goes on where it was stopped.

    The same command in a second terminal shares the work.

    eigenwalk evaluate rooms --fix "rooms.part(sofa)" --vary "~rooms.part(sofa)" --methods rayleigh,random --seeds 0-3
    """
    given = {"fix": fix, "vary": vary, "judges": judge, "readers": reader, "attributes": attribute}
    entries = {"seeds": seeds, "directions": directions, "limit": limit, "device": device, "memory": memory}
    if methods is not None:
        entries["methods"] = split_methods(methods)
    entries = {key: value for key, value in entries.items() if value is not None}
    grid = _read_grid(what, {key: value for key, value in given.items() if value}, entries)
    out = RUNS / f"evaluate-{_label(what)}" if out is None else out
    source = "" if trust else ", ".join(one for one in what if one.endswith(".toml"))
    _perform(grid, out, only or [], page, quiet, source)


def split_methods(text: str) -> list[str]:
    """Split text at the commas outside brackets.

    >>> split_methods("rayleigh, ganspace(components=5, seed=1),random")
    ['rayleigh', 'ganspace(components=5, seed=1)', 'random']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _read_grid(what: list[str], given: dict[str, Any], entries: dict[str, Any]) -> Grid:
    """Return the grid of some files, with `entries` in place of their own, or the grid of one pair."""
    from eigenwalk_evaluate.grid import Grid, combine, override

    files = [one for one in what if one.endswith(".toml")]
    if files and given:
        option = {"judges": "judge", "readers": "reader", "attributes": "attribute"}.get(key := next(iter(given)), key)
        raise InputError(f"{files[0]} says itself what is fixed, varied and judged: leave --{option} out")
    if files == what:
        return override(combine([Grid.read(file) for file in files]), entries)
    if len(what) > 1:
        raise InputError(f"evaluate takes one generator, or grids in TOML files, got {', '.join(what)}")
    one: dict[str, Any] = {"generator": what[0], "judges": given.get("judges", [])}
    if given.get("readers"):
        one["readings"] = [
            {"fix": [given.get("fix", [])], "features": given.get("vary", []), "judges": given["readers"]}
        ]
    elif given.get("vary"):
        one["pairs"] = [{"fix": given.get("fix", []), "vary": given["vary"]}]
    elif given.get("fix") or not given.get("attributes"):
        raise InputError("nothing varies: name a feature with --vary, such as pixels, or a grid.toml")
    if given.get("attributes"):
        one["attributes"] = {"features": given["attributes"]}
    return Grid.of(generators=[one], **entries)


def _label(what: list[str]) -> str:
    from eigenwalk_evaluate.folder import slug

    return slug("-".join(Path(one).stem if one.endswith(".toml") else one for one in what))


def _perform(grid: Grid, out: Path, only: list[str], page: Path | None, quiet: bool, source: str) -> None:
    """Evaluate `grid`; ask before running code that the grid files in `source` name."""
    from eigenwalk.cli.errors import warn
    from eigenwalk.cli.trust import ask_to_run
    from eigenwalk.names.registry import Registry
    from eigenwalk.runs.memory.allocator import keep_freed
    from eigenwalk_evaluate.folder import evaluate as compute
    from eigenwalk_evaluate.plan import own_code, plan
    from eigenwalk_evaluate.progress import show_progress

    keep_freed()  # within a budget too: what is free is given back before the next pair is fitted into it
    if not sys.warnoptions:  # warnings of libraries would break the progress bar
        warnings.simplefilter("ignore")
    registry = Registry.discover()
    if source:
        ask_to_run(own_code(grid, registry), source)
    planned = plan(grid, registry)
    chosen = planned.select(only)
    with show_progress(len(chosen), quiet) as display:
        summary = compute(planned, out, registry, only, display.update)
    if page is not None:
        from eigenwalk_evaluate.digest import write_page

        write_page(summary, page)
    for label, reason in summary.failures:
        warn(f"{label}: {reason}")
    if quiet:
        typer.echo(str(out))
    else:
        _print(summary, out)
    if summary.failures:
        raise typer.Exit(EigenwalkError.exit_code)


def _print(summary: Summary, out: Path) -> None:
    """Print the drift of every method over all pairs, and where the files are."""
    from rich.table import Table

    from eigenwalk.cli.errors import console
    from eigenwalk_evaluate.tables import by_method

    found, shown = by_method(summary), console(stderr=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for n, heading in enumerate(found[0]):
        table.add_column(heading, justify="left" if n == 0 else "right", no_wrap=n == 0)
    for row in found[1]:
        table.add_row(*row)
    if found[1]:
        shown.print(table)
    for name in ("index.html", "evaluation.md", "cells.csv"):
        shown.print(str(out / name), markup=False)
