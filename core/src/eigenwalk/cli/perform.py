"""A recipe walked into a folder: claimed, resumed where it was stopped, saved after every waypoint, finished."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from eigenwalk.cli.app import INTERRUPTED
from eigenwalk.cli.errors import console, warn
from eigenwalk.cli.progress import Progress, path_lines, path_table, progress
from eigenwalk.errors import RecipeError, WalkError
from eigenwalk.runs.memory.allocator import keep_freed
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.folder import REMEDY, RunFolder
from eigenwalk.runs.recipe import IDENTITY, Recipe

if TYPE_CHECKING:
    from eigenwalk.names.registry import Registry
    from eigenwalk.path import Path

RUNS = FilePath("runs")
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: a cluster or a shell asks the run to stop."""


def perform(recipe: Recipe, out: FilePath | None, overwrite: bool, quiet: bool) -> None:
    """Walks `recipe` into `out`, or into a folder of ``runs/`` that its content names.

    Raises:
        EigenwalkError: as the api and the folder raise it; what was saved stays.
    """
    from eigenwalk.names.registry import Registry

    if not sys.warnoptions:  # of libraries, about themselves: they would tear the table
        warnings.simplefilter("ignore")
    registry = Registry.discover()
    recipe = recipe.canonical(registry)
    for message in recipe.check_installed(registry):
        warn(message)
    out = RUNS / recipe.slug() if out is None else out
    with RunFolder.claim(out, recipe.identity(), overwrite) as folder:
        if folder.state != "fresh":
            recipe = _gone_on(recipe, folder, registry)
        if folder.state == "finished":
            _say(quiet, f"{out} holds this walk already, finished; --overwrite walks it again")
        else:
            _walk(recipe, folder, registry, quiet)
        _summary(folder, quiet)


def _walk(recipe: Recipe, folder: RunFolder, registry: Registry, quiet: bool) -> None:
    try:
        with _stoppable():
            notice = _steps(recipe, folder, registry, quiet)
    except KeyboardInterrupt as stop:
        folder.take_up()
        kept = (
            f"kept {folder.kept} in {folder.path}; the same command goes on"
            if folder.paths
            else "nothing was saved yet"
        )
        console(stderr=True).print(Text.assemble(("stopped: ", "bold yellow"), kept))
        raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
    if notice:
        warn(notice)


def _steps(recipe: Recipe, folder: RunFolder, registry: Registry, quiet: bool) -> str:
    """Walks to the end and makes the pictures; returns a notice, or nothing."""
    if recipe.memory is None:
        keep_freed()
    with progress(recipe.steps, quiet) as shown:
        if folder.paths:
            shown.note(f"going on in {folder.path}: {folder.kept} were walked before")
        paths = _fronts(recipe, folder, registry, shown)
        if not any(len(path) > 1 for path in paths):
            raise _no_step(paths)
        shown.note("making the pictures")
        return folder.finish(paths)


def _fronts(recipe: Recipe, folder: RunFolder, registry: Registry, shown: Progress) -> Sequence[Path]:
    """The paths at the end of the walk; every waypoint is saved before the next is sought."""
    from eigenwalk.runs import api

    resumed = {"paths": folder.paths, "arrays": folder.arrays} if folder.paths else {}
    run: Any = api.start(recipe, registry=registry, **resumed)
    for text in run.notes:
        shown.note(text)
    paths: Sequence[Path] = folder.paths
    for front in run.fronts():
        paths = front.paths
        # The starts alone are not worth a folder: a walk that cannot take its first step leaves nothing behind.
        if any(len(path) > 1 for path in paths):
            if folder.state == "fresh":
                folder.begin(_completed(run.recipe, recipe).text())
            folder.save(front.index, paths, front.arrays())
        shown.front(front.index, paths)
    return paths


def _completed(walked: Recipe, asked: Recipe) -> Recipe:
    """The recipe with versions and hashes, and with the very entries that name this run's folder."""
    return walked.model_copy(update={key: getattr(asked, key) for key in IDENTITY})


def _no_step(paths: Sequence[Path]) -> WalkError:
    """Why not one path could take a step."""
    said = dict.fromkeys(words.ending(path) for path in paths)
    features = [path.status.feature for path in paths if path.status.feature]
    reasons = "; ".join(said) or "there was no start"
    return WalkError(f"no path could take a step, so nothing was written: {reasons}", features[0] if features else None)


def _gone_on(recipe: Recipe, folder: RunFolder, registry: Registry) -> Recipe:
    """The recipe with which the walk in the folder goes on; its batch too, since sums depend on it in the last digit.

    Raises:
        RecipeError: weights or files are no longer those that it began with.
    """
    try:
        begun = Recipe.parse(folder.recipe, f"{folder.path}/recipe.toml")
        for message in begun.check_installed(registry):
            warn(message)
    except RecipeError as error:
        raise RecipeError(f"{folder.path} cannot go on: {error}, or {REMEDY}") from None
    return recipe.model_copy(update={"batch": recipe.batch or begun.batch})


def _summary(folder: RunFolder, quiet: bool) -> None:
    """How every path ended and where the pictures are; a quiet run prints the folder alone."""
    if quiet:
        typer.echo(str(folder.path))
    else:
        out = console(stderr=True)
        if out.is_terminal:
            out.print(path_table(folder.paths, out.width))
            cut = [path for path in folder.paths if path.status.reason not in ("length", "walking")]
            for path in cut:
                out.print(Text(f"seed {path.seed}, {words.label(path)}. {words.ending(path)}", style="dim"))
        else:
            for line in path_lines(folder.paths):
                out.print(Text(line))
        for name, what in (
            ("strip.png", "the pictures"),
            ("walk.mp4", "in motion"),
            ("walk.gif", "in motion"),
            ("report.html", "all of it"),
        ):
            if (folder.path / name).exists():
                out.print(Text.assemble((f"{what:<14}", "dim"), str(folder.path / name)))


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        console(stderr=True).print(text)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Lets SIGTERM stop the walk as Ctrl-C does."""

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
