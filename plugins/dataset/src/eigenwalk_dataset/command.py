"""``eigenwalk dataset``: walk from many seeds and write a data set, in shards."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from eigenwalk.errors import EigenwalkError, InputError

if TYPE_CHECKING:
    from eigenwalk.names.registry import Registry
    from eigenwalk.runs.recipe import Recipe
    from eigenwalk_dataset.folder import Folder, Record
    from eigenwalk_dataset.plan import Order, Plan

SHARD = 250
"""Seeds of a shard."""
ROUNDS = 3
"""How often shards are made that others damage or remove meanwhile."""
SHARE = 0.6
"""Of the machine's memory, for all workers together."""


def dataset(
    what: Annotated[str, typer.Argument(help="A recipe.toml, a run's folder, or a generator with --fix and --vary.")],
    fix: Annotated[list[str] | None, typer.Option("--fix", help="A feature to hold; repeatable.")] = None,
    vary: Annotated[list[str] | None, typer.Option("--vary", help="A feature to vary; repeatable.")] = None,
    judge: Annotated[
        list[str] | None, typer.Option("--judge", help="A feature that only measures; repeatable.")
    ] = None,
    seeds: Annotated[list[str] | None, typer.Option("--seeds", help="Seeds, such as 0-999999; repeatable.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Waypoints after the start [default: 12]")] = None,
    to: Annotated[float | None, typer.Option(help="Walk until this much has varied, as a share of typical.")] = None,
    paths: Annotated[int | None, typer.Option(min=1, help="Paths per seed [default: 6]")] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Folder, or an address such as s3://bucket/hair.")
    ] = None,
    shard_seeds: Annotated[int, typer.Option("--shard-seeds", min=1, help="Seeds of a shard.")] = SHARD,
    format: Annotated[Literal["parquet", "webdataset"], typer.Option("--format", help="Of the shards.")] = "parquet",
    image: Annotated[Literal["png", "webp", "jpeg"], typer.Option("--image", help="Format of the images.")] = "png",
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Of WebP and JPEG.")] = 90,
    reached: Annotated[
        bool, typer.Option("--reached", help="Keep only paths that came as far as --to or --steps asks.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", help='"FEATURE < x": keep paths at whose end it moved less; repeatable.'),
    ] = None,
    no_suspect: Annotated[
        bool, typer.Option("--no-suspect", help="Drop paths on which a varied number may have been fooled.")
    ] = False,
    per_seed: Annotated[
        int | None, typer.Option("--per-seed", min=1, help="Keep at most so many paths a seed.")
    ] = None,
    balance: Annotated[bool, typer.Option("--balance", help="Keep as many paths of each direction and sense.")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option("--engine", help="Where shards are made.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", help="Of a Ray cluster: auto, or ray://host:10001.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes [default: one for each processor, or GPU]")
    ] = None,
    shard: Annotated[
        str, typer.Option("--shard", help="Make part i of n, such as 3/16: for the jobs of a scheduler.")
    ] = "1/1",
    device: Annotated[
        str | None, typer.Option("--device", help="Where to compute: cpu, cuda, mps [default: cpu]")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="What each worker may take [default: its part of 60 % of the machine's]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Walk from some seeds, and say what all would cost.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read all finished shards, and make damaged ones again.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress: failures and the folder alone.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run code in files that a recipe names, unasked.")] = False,
) -> None:
    """Walk from many seeds and write a data set in shards; goes on where it was stopped.

    eigenwalk dataset faces --fix faces.identity --vary "faces.attribute(hair_length)" --to 0.8 --seeds 0-9999 -o hair
    """
    from eigenwalk.names.registry import Registry
    from eigenwalk.runs.ready import check_device, check_files
    from eigenwalk_dataset.plan import Filters, Order, Seeds

    if out is None:
        raise InputError("name the folder of the data set with --out")
    if address and engine != "ray":
        raise InputError("--address is that of a Ray cluster: give --engine ray with it")
    what = f"{what}/recipe.toml" if Path(what, "recipe.toml").is_file() else what
    registry, part = Registry.discover(), _part(shard)
    given = {"fix": fix, "vary": vary, "judges": judge, "steps": steps, "to": to, "paths": paths}
    given |= {"device": device, "memory": memory}
    recipe = _recipe(what, {key: value for key, value in given.items() if value is not None}, bool(seeds))
    check_device(recipe.device)
    recipe, limits = _with_accepted(recipe.canonical(registry), accept or [], registry)
    check_files(recipe)
    order = Order.of(
        recipe,
        Seeds.parse(seeds) if seeds else Seeds.parse([str(one) for one in recipe.seeds]),
        shard=shard_seeds,
        format=format,
        picture=image,
        quality=quality if image != "png" else 90,
        filters=Filters(reached, not no_suspect, limits, per_seed, balance),
    )
    if what.endswith(".toml") and not trust:
        from eigenwalk.cli.trust import ask_to_run
        from eigenwalk.runs.ready import own_files

        ask_to_run(own_files(recipe.generator, *recipe.fix, *recipe.vary, *recipe.judges), what)
    _perform(order, out, part, engine, address, workers, registry, dry_run=dry_run, check=check, quiet=quiet)


def _part(text: str) -> tuple[int, int]:
    """Return i and n of ``i/n``.

    >>> _part("3/16")
    (3, 16)
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    i, n = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= i <= n:
        raise InputError(f"--shard takes a part such as 1/16, the first, to 16/16, the last; got {text!r}")
    return i, n


def _recipe(what: str, given: dict[str, Any], seeds: bool) -> Recipe:
    """Return the recipe in a file, with what is `given` in place of its own, or that of a generator."""
    from eigenwalk.runs.recipe import Recipe

    if not what.endswith(".toml"):
        if not seeds:
            raise InputError("name the seeds to walk from with --seeds, such as 0-9999")
        return Recipe.of(generator=what, **{"vary": [], **given})
    read = Recipe.read(what)
    return Recipe.of(**{**dict(read), "installed": {}, "weights": {}, "files": {}, "resumed": (), **given})


def _with_accepted(
    recipe: Recipe, accept: list[str], registry: Registry
) -> tuple[Recipe, tuple[tuple[str, float], ...]]:
    """Return the recipe, judged by every feature that is to be accepted and not in it, and the limits by feature."""
    from eigenwalk.names.expression import as_tree
    from eigenwalk.names.resolve import resolve
    from eigenwalk.names.tree import Held, bare

    limits, judges = [], list(recipe.judges)
    known = {str(bare(one)) for one in (*recipe.fix, *recipe.vary, *recipe.judges)}
    for text in accept:
        tree = as_tree(text)
        if not isinstance(tree, Held):
            raise InputError(f'--accept takes a feature and a limit, such as "identity < 0.2"; got {text!r}')
        feature = resolve(tree.inner, registry)
        limits.append((str(feature), tree.tolerance))
        if str(feature) not in known:
            judges.append(feature)
    return recipe.model_copy(update={"judges": tuple(judges)}), tuple(limits)


def _perform(
    order: Order,
    out: str,
    part: tuple[int, int],
    engine: str,
    address: str | None,
    workers: int | None,
    registry: Registry,
    *,
    dry_run: bool,
    check: bool,
    quiet: bool,
) -> None:
    from eigenwalk.cli import INTERRUPTED
    from eigenwalk.cli.errors import console, warn
    from eigenwalk.cli.perform import TERMINATED, Terminated, sigterm_stops
    from eigenwalk.runs.recorded import check_recorded
    from eigenwalk_dataset.folder import Folder

    folder = Folder(out)
    plan = folder.open_plan(order)
    order, made = _engine(order, engine, address, workers)
    try:
        with sigterm_stops():
            if dry_run:
                _estimate(folder, plan, order, made)
                return
            if plan is None:
                if not quiet:
                    console(stderr=True).print("measuring typical distances and what fits into memory")
                plan = folder.begin(_planned(order, made, quiet))
            else:
                for message in check_recorded(plan.recipe(), registry):
                    warn(message)
                folder.write_recipe(plan)
            plan = replace(plan, order=order)
            complete = _make(folder, plan, part, made, registry, check, quiet)
    except KeyboardInterrupt as stop:
        console(stderr=True).print(f"stopped: finished shards are in {out}; the same command goes on")
        raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
    finally:
        made.close()
    if quiet:
        typer.echo(out)
    if not complete:
        raise typer.Exit(EigenwalkError.exit_code)


def _engine(order: Order, engine: str, address: str | None, workers: int | None) -> tuple[Order, Any]:
    """Return the order with each worker's memory, and the engine."""
    import psutil

    from eigenwalk_dataset.engines.local import LocalEngine, count_gpus, usable_processors
    from eigenwalk_dataset.engines.ray import RayEngine

    device = order.where.get("device", "cpu")
    gpus = count_gpus() if device == "cuda" and engine == "local" else 0
    count = workers or gpus or (len(usable_processors()) if device == "cpu" else 1)
    if "memory" not in order.where and device == "cpu":
        if address:  # the cluster's machines are taken to be like this one, with a worker on each processor
            count = len(usable_processors())
        each = f"{int(SHARE * psutil.virtual_memory().total / count / 1e6)}MB"
        order = replace(order, where={**order.where, "memory": each})
    if engine == "ray":
        return order, RayEngine(workers, address, device.startswith("cuda"))
    return order, LocalEngine(count, gpus)


def _planned(order: Order, engine: Any, quiet: bool) -> Plan:
    from rich.text import Text

    from eigenwalk.cli.errors import console, warn
    from eigenwalk_dataset.plan import Plan
    from eigenwalk_dataset.schedule import ask

    plan = Plan(order, ask(engine.survey, order, warn))
    for note in () if quiet else plan.measured.notes:
        console(stderr=True).print(Text(note))
    return plan


def _make(
    folder: Folder, plan: Plan, part: tuple[int, int], engine: Any, registry: Registry, check: bool, quiet: bool
) -> bool:
    """Make what is missing, write the card, say what there is; return whether all of the part is there."""
    from eigenwalk.cli.errors import console
    from eigenwalk_dataset.progress import show_progress
    from eigenwalk_dataset.schedule import make_all

    records, todo = _look(folder, plan, part, check)
    given_up: dict[int, str] = {}
    if not todo and not quiet:
        console(stderr=True).print(f"{folder} holds this data set already, as far as it was asked for")
    try:
        for _ in range(ROUNDS if todo else 0):
            with show_progress(len(records) + len(todo), len(records), quiet) as display:
                given_up |= make_all(plan, folder, todo, engine, display)
            folder.tidy()
            records, todo = _look(folder, plan, part)
            todo = [index for index in todo if index not in given_up]
            if not todo:  # else shards were damaged or removed meanwhile
                break
    except KeyboardInterrupt:
        records, _ = folder.records(plan, part)
        _conclude(folder, plan, part, records, registry, True)  # the card lets others open what there is
        raise
    _conclude(folder, plan, part, records, registry, quiet)
    return len(records) == len(range(part[0] - 1, plan.order.count, part[1]))


def _conclude(
    folder: Folder, plan: Plan, part: tuple[int, int], records: dict[int, Record], registry: Registry, quiet: bool
) -> None:
    """Write the card of the part's `records`, and say what there is; of several jobs, the last one writes the card."""
    from eigenwalk_dataset.card import write_card
    from eigenwalk_dataset.tally import Tally

    last = part[1] > 1 and len(folder.done()) == plan.order.count
    if last:
        records, _ = folder.records(plan)
    tally = Tally.sum(record.tally for record in records.values())
    if last or part[1] == 1:
        write_card(folder, plan, records, tally, _command(), registry)
    if not quiet:
        _summarise(folder, plan, records, tally)


def _look(
    folder: Folder, plan: Plan, part: tuple[int, int], check: bool = False
) -> tuple[dict[int, Record], list[int]]:
    """Return the records of the part's finished shards, and the shards to make; with `check`, every byte is read."""
    from eigenwalk.cli.errors import warn
    from eigenwalk_dataset.schedule import chosen

    records, wrong = folder.records(plan, part)
    if check:
        wrong |= {index: said for index, record in records.items() if (said := folder.check(record))}
    for index, said in sorted(wrong.items()):
        warn(f"shard {index} is made again: {said}")
        folder.forget(index)
        records.pop(index, None)
    return records, chosen(plan.order.count, list(records), part)


def _summarise(folder: Folder, plan: Plan, records: dict[int, Record], tally: Any) -> None:
    from rich.text import Text

    from eigenwalk.cli.errors import console, warn

    if tally.paths and not tally.kept:
        warn("no path was kept, so that there is no image: ask for less with --reached, --accept or --balance")
    screen = console(stderr=True)
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in tally.dropped.most_common()) or "none"
    for label, text in (
        ("shards", f"{len(records):,} of {plan.order.count:,}"),
        ("images", f"{tally.images:,} on {tally.kept:,} paths from {tally.seeds:,} seeds"),
        ("dropped", dropped),
        ("folder", f"{folder}/README.md"),
    ):
        screen.print(Text.assemble((f"{label:<9}", "dim"), text))


def _estimate(folder: Folder, plan: Plan | None, order: Order, engine: Any) -> None:
    """Print what the data set would cost, from one measured group of seeds."""
    from eigenwalk.cli.errors import warn
    from eigenwalk_dataset.estimate import estimate
    from eigenwalk_dataset.schedule import ask

    plan = replace(plan, order=order) if plan else _planned(order, engine, True)
    for line in estimate(plan, ask(engine.measure, plan, warn), engine.count):
        typer.echo(line)


def _command() -> str:
    """Return the command as it was typed, without what belongs to one machine or one job."""
    words = sys.argv[1:]
    return shlex.join(["eigenwalk", *words])
