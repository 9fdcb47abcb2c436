"""Walk a recipe into a folder: claim the folder, resume a stopped run, save every waypoint, make the pictures."""

from __future__ import annotations

import glob
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from eigenwalk.checkpoint import sharing
from eigenwalk.cli import INTERRUPTED
from eigenwalk.cli.errors import console, warn
from eigenwalk.cli.export import export_run
from eigenwalk.cli.progress import Progress, path_lines, path_table, progress
from eigenwalk.cli.trust import Consent
from eigenwalk.errors import FileError, OutputError, RecipeError, WalkError
from eigenwalk.runs.export import check_kinds
from eigenwalk.runs.further import FAR, compare, walk_on
from eigenwalk.runs.memory.allocator import keep_freed
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.files import RECIPE
from eigenwalk.runs.outputs.folder import REMEDY, RunFolder
from eigenwalk.runs.outputs.pages import PAGE
from eigenwalk.runs.ready import check_device, check_files
from eigenwalk.runs.recipe import EARLIER, Recipe
from eigenwalk.runs.recorded import check_recorded
from eigenwalk.textfile import parse_toml, read_text

if TYPE_CHECKING:
    from rich.console import Console

    from eigenwalk.names.registry import Registry
    from eigenwalk.path import Path
    from eigenwalk.runs.api import Run

RUNS = FilePath("runs")
TERMINATED = 143
SUMMARY = {"strip.png": "the pictures", "walk.mp4": "in motion", "walk.gif": "in motion", "report.html": "all of it"}
"""Files of a finished run, and what the summary calls them."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: a cluster or a shell asks the run to stop."""


def perform(
    recipe: Recipe,
    out: FilePath | None,
    overwrite: bool,
    quiet: bool,
    ask_for: str = "",
    pictures: Sequence[str] = (),
) -> None:
    """Walk `recipe` into `out`, or into a folder in ``runs/`` that is named after its content.

    If `ask_for` names a recipe file, the user is asked before any code that it names is run; in any case, before code
    is run that only the folder names. `pictures` are kinds of `eigenwalk.runs.export` to make as well.

    Raises:
        EigenwalkError: as the api and the folder raise it; saved waypoints stay.
    """
    from eigenwalk.names.registry import Registry

    if not sys.warnoptions:  # libraries' warnings about themselves would break up the table
        warnings.simplefilter("ignore")
    registry = Registry.discover()
    check_device(recipe.device)
    check_kinds(pictures)
    for message in check_recorded(recipe, registry):
        warn(message)
    with sharing():  # a generator's file is opened once, to recognise it and to build it
        recipe = recipe.canonical(registry)
        check_files(recipe)
        consent = Consent(*(() if ask_for else recipe.trees))
        if recipe.starts:  # they may be of a space that only the opened generator tells
            consent.ask(*recipe.trees, source=ask_for)
            recipe = _in_space_of_starts(recipe, registry)
        recipe, out = (recipe, out or RUNS / recipe.slug()) if overwrite else _recipe_and_folder(recipe, out, quiet)
        with RunFolder.claim(out, recipe.identity(), overwrite) as folder:
            if folder.damage:
                again = (
                    "The walk goes on from the last good waypoint" if folder.paths else "The whole run is walked again"
                )
                warn(f"{folder.damage}. {again}")
            if folder.recipe:
                recipe = _recipe_to_resume(recipe, folder, registry)
            if folder.state in ("walked", "finished"):
                recipe = _go_on(recipe, folder, registry, consent)
            if folder.state in ("fresh", "unfinished"):
                consent.ask(*recipe.trees, source=ask_for)
                _walk(recipe, folder, registry, quiet)
            elif folder.state == "walked":
                warn(f"{out} holds this walk, but not all of its pictures: they are made again")
                folder.write_outputs()
            elif missing := _judges_missing(recipe, folder):
                recipe = _with_judges_of(folder, recipe, registry)
                consent.ask(*recipe.trees, source=f"{out}/{RECIPE}")
                warn(f"{out} holds this walk already, finished; it is judged by {', '.join(missing)}")
                _judge_again(recipe, folder, registry, quiet)
            elif not quiet:
                console(stderr=True).print(f"{out} holds this walk already, finished; --overwrite walks it again")
            _print_summary(folder, quiet)
    if pictures:
        made = export_run(out, pictures, device=recipe.device, consent=consent)
        if not quiet:
            console(stderr=True).print(Text.assemble((f"{'exported':<14}", "dim"), str(made)))


def _in_space_of_starts(recipe: Recipe, registry: Registry) -> Recipe:
    """Return the recipe with the space of its starts, which is told; it is part of what names the run's folder."""
    from eigenwalk.runs.starts import read_latents, settle_space

    recipe, said = settle_space(recipe, [read_latents(one) for one in recipe.starts], registry)
    if said:
        console(stderr=True).print(Text(said))
    return recipe


def _recipe_and_folder(recipe: Recipe, out: FilePath | None, quiet: bool) -> tuple[Recipe, FilePath]:
    """Return the recipe and its folder. A run of an earlier version keeps what the same arguments meant then."""
    folder, names = out or RUNS / recipe.slug(), tuple(EARLIER)
    before = [(lacking, recipe.earlier(lacking)) for lacking in (names[n:] for n in range(len(names)))]
    places = [folder if out or folder.exists() else RUNS / earlier.slug() for _, earlier in before]
    if not any(place.exists() for place in places):
        folder = _begun_otherwise_far(recipe) or folder
        places = [folder] * len(before)
    for (lacking, earlier), begun in zip(before, places, strict=True):
        with suppress(FileError):  # the folder says it, where its recipe cannot be read
            there = parse_toml(read_text(begun / RECIPE, "recipe"), str(begun))
            absent = tuple(key for key in names if key not in there)
            if earlier != recipe and "generator" in there and absent == lacking:
                if not quiet:
                    said = f"{begun} was begun before recipes had {', '.join(lacking)}: it stays without"
                    console(stderr=True).print(Text(said))
                return earlier, begun
    return recipe, folder


def _begun_otherwise_far(recipe: Recipe) -> FilePath | None:
    """Return the folder in ``runs/`` where this walk was made, only more or less far; the furthest of several."""
    found = []
    for folder in RUNS.glob(f"{glob.escape(recipe.slug().rpartition('-')[0])}-*"):
        with suppress(FileError):
            there = parse_toml(read_text(folder / RECIPE, "recipe"), str(folder))
            if compare(there, recipe.identity())[0] in ("more", "less"):
                found.append((there.get("to") or 0, there["steps"], folder))
    return max(found)[-1] if found else None


def _walk(recipe: Recipe, folder: RunFolder, registry: Registry, quiet: bool) -> None:
    try:
        with sigterm_stops():
            notice = _walk_and_draw(recipe, folder, registry, quiet)
    except KeyboardInterrupt as stop:
        folder.take_up()
        kept = f"kept {folder.kept} in {folder.path}; the same command goes on"
        kept = kept if folder.paths else "nothing was saved yet"
        console(stderr=True).print(Text.assemble(("stopped: ", "bold yellow"), kept))
        raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
    if notice:
        warn(notice)


def _walk_and_draw(recipe: Recipe, folder: RunFolder, registry: Registry, quiet: bool) -> str:
    """Walk to the end and make the pictures; return a notice, or "" if there is none."""
    from eigenwalk.runs.saved import finish

    keep_freed()  # within a budget too: what is free is given back where the process holds nearly all of it
    with progress(recipe.most_steps, quiet) as shown:
        if folder.paths:
            shown.note(f"going on in {folder.path}: {folder.kept} were walked before")
        run = _open(recipe, folder, registry, shown)
        paths = _walk_and_save(recipe, folder, run, shown)
        if not any(len(path) > 1 for path in paths):
            raise _no_step(paths)
        return finish(run, recipe, folder, paths, shown.note)


def _go_on(recipe: Recipe, folder: RunFolder, registry: Registry, consent: Consent) -> Recipe:
    """Let a finished run go on where `recipe` goes further than it did; return the recipe to walk."""
    begun = Recipe.parse(folder.recipe)
    paths = walk_on(folder.paths, recipe) if (begun.steps, begun.to) != (recipe.steps, recipe.to) else ()
    if not paths:
        return recipe
    arrays = folder.end_state()
    if arrays is None:
        raise OutputError(
            f"{folder.path} cannot go on: its solver's state was not kept, by an earlier version or as it was too "
            f"large: {REMEDY}"
        )
    recipe = _with_judges_of(folder, recipe, registry)
    consent.ask(*recipe.trees, source=f"{folder.path}/{RECIPE}")
    folder.go_on(paths, arrays)
    return recipe


def _with_judges_of(folder: RunFolder, recipe: Recipe, registry: Registry) -> Recipe:
    """Return the recipe with the judges of the run in the folder, and then its own."""
    judges = tuple(dict.fromkeys((*Recipe.parse(folder.recipe).judges, *recipe.judges)))
    return recipe.model_copy(update={"judges": judges}).canonical(registry)


def _judges_missing(recipe: Recipe, folder: RunFolder) -> list[str]:
    """Return the judges asked for that a finished run has not been judged by."""
    known = {role.name for path in folder.paths for role in path.roles}
    return [text for text in map(str, recipe.judges) if text not in known]


def _judge_again(recipe: Recipe, folder: RunFolder, registry: Registry, quiet: bool) -> None:
    """Judge the paths of a finished run, and make its pictures again."""
    from eigenwalk.runs import api
    from eigenwalk.runs.saved import finish

    with progress(recipe.steps, quiet) as shown:
        run = api.start(recipe, registry=registry, paths=folder.paths)
        finish(run, recipe, folder, folder.paths, shown.note)


def _open(recipe: Recipe, folder: RunFolder, registry: Registry, shown: Progress) -> Run:
    """Build the walk, going on from what is saved."""
    shown.stage(f"opening {recipe.generator}")  # before torch is loaded, which takes seconds
    from eigenwalk.runs import api

    resumed = {"paths": folder.paths, "arrays": folder.arrays} if folder.paths else {}
    return api.start(recipe, registry=registry, watch=shown, **resumed)


def _walk_and_save(recipe: Recipe, folder: RunFolder, run: Run, shown: Progress) -> Sequence[Path]:
    """Walk to the end, saving every waypoint before the next is computed; return the paths."""
    from eigenwalk.runs.saved import walk_and_save

    for text in run.notes:
        shown.note(text)
    paths: Sequence[Path] = folder.paths
    for front in walk_and_save(run, recipe, folder):
        paths = front.paths
        if front.index == 0 and (fewer := words.fewer_paths(paths, recipe.paths)):
            shown.note(fewer)
        shown.front(front.index, paths)
    return paths


def _no_step(paths: Sequence[Path]) -> WalkError:
    """Return the error that says why no path could take a step."""
    said = dict.fromkeys(words.ending(path) for path in paths)
    features = [path.status.feature for path in paths if path.status.feature]
    reasons = "; ".join(said) or "there was no start"
    return WalkError(f"no path could take a step, so nothing was written: {reasons}", features[0] if features else None)


def _recipe_to_resume(recipe: Recipe, folder: RunFolder, registry: Registry) -> Recipe:
    """Return the recipe that resumes the run in the folder. It keeps the batch size, which changes the last digits.

    Raises:
        RecipeError: weights or files have changed since the run began.
    """
    try:
        begun = Recipe.parse(folder.recipe, f"{folder.path}/recipe.toml")
        for message in check_recorded(begun, registry):
            warn(message)
    except RecipeError as error:
        raise RecipeError(f"{folder.path} cannot go on: {error}, or {REMEDY}") from None
    if compare(begun.identity(), recipe.identity())[0] == "less":
        console(stderr=True).print(Text(f"{folder.path} goes further than was asked for, and stays as it is"))
        recipe = recipe.model_copy(update={key: getattr(begun, key) for key in FAR})
    return recipe.model_copy(update={"batch": recipe.batch or begun.batch})


def _print_summary(folder: RunFolder, quiet: bool) -> None:
    """Print how every path ended and where the pictures are; if `quiet`, only the folder."""
    if quiet:
        typer.echo(str(folder.path))
        return
    out = console(stderr=True)
    if out.is_terminal:
        out.print(path_table(folder.shown, out.width))
        for path in folder.shown:
            if path.status.reason not in ("length", "walking"):
                out.print(Text(f"{path.origin}, {words.label(path)}. {words.ending(path)}", style="dim"))
    else:
        for line in path_lines(folder.shown):
            out.print(Text(line))
    _print_moved(folder, out)
    for name, what in SUMMARY.items():
        if (folder.path / name).exists():
            out.print(Text.assemble((f"{what:<14}", "dim"), str(folder.path / name)))


def _print_moved(folder: RunFolder, out: Console) -> None:
    """Print what else moved on every path, and what may have been fooled."""
    for path in folder.shown[:PAGE]:
        name = f"{path.origin}, {words.label(path)}"
        if said := words.moved(path):
            out.print(Text.assemble((f"{name}: ", "dim"), said))
        for text in words.suspicions(path):
            out.print(Text.assemble((f"{name}: ", "dim"), (text, "yellow")))


@contextmanager
def sigterm_stops() -> Iterator[None]:
    """Let SIGTERM stop the walk as Ctrl-C does."""

    def stop(number: int, frame: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
