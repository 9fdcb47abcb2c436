"""A walk that saves what it walks: every waypoint before the next is computed, and at the end everything else.

with RunFolder.claim(out, recipe.identity()) as folder:
    run = start(recipe)
    for front in walk_and_save(run, recipe, folder):
        ...
    finish(run, recipe, folder, front.paths)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from eigenwalk.runs.further import FAR
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.ready import own_files
from eigenwalk.runs.recipe import IDENTITY, Recipe

if TYPE_CHECKING:
    from eigenwalk.path import Path
    from eigenwalk.runs.api import Run
    from eigenwalk.walk import Front


def walk_and_save(run: Run, recipe: Recipe, folder: RunFolder) -> Iterator[Front]:
    """Yield the front after every waypoint, once it is saved in `folder`.

    Whoever leaves off, or is interrupted, may go on with ``run.go_on(front)``.

    Args:
        run: the walk, or the rest of one whose waypoints `folder` holds.
        recipe: as it was given, whose identity the folder was claimed for.
        folder: claimed; one that is fresh begins with the first step.

    Raises:
        OutputError: a waypoint cannot be saved; those before it are.
    """
    text = _resumed(run, recipe, folder) if folder.paths else ""
    for front in run.fronts():
        # The starts alone are not worth a folder: a walk that cannot take its first step leaves nothing behind.
        if any(len(path) > 1 for path in front.paths):
            if folder.state == "fresh":
                # With versions and hashes, and with exactly the entries that name this run's folder.
                folder.begin(run.recipe.model_copy(update={key: getattr(recipe, key) for key in IDENTITY}).text())
            elif text:
                folder.begin(text)
                text = ""
            folder.save(front.index, front.paths, front.arrays())
        yield front


def _resumed(run: Run, recipe: Recipe, folder: RunFolder) -> str:
    """Return the recipe to write where a walk goes on with other versions, or further than it was begun; else ""."""
    begun = Recipe.parse(folder.recipe)
    mixed = begun.resume(max(path.waypoints[-1].index for path in folder.paths), run.recipe.installed)
    if mixed is None and all(getattr(begun, key) == getattr(recipe, key) for key in FAR):
        return ""
    return (mixed or begun).model_copy(update={key: getattr(recipe, key) for key in FAR}).text()


def finish(
    run: Run,
    recipe: Recipe,
    folder: RunFolder,
    paths: Sequence[Path],
    note: Callable[[str], object] = lambda text: None,
    draws: bool = True,
) -> str:
    """Judge the paths, and make the pictures and everything else in `folder`; return a notice, or "".

    `note` is told what is done; unless `draws`, pictures and report are left to ``folder.write_outputs``.

    Raises:
        OutputError: something cannot be written; what was walked stays saved.
    """
    paths = run.judge(paths, note)
    if any(path.given for path in paths):
        from eigenwalk.runs.since import measure_since

        paths = measure_since(paths, folder.path, recipe.device, own_files(*run.recipe.trees))
    if recipe.judges:
        begun = Recipe.parse(folder.recipe)
        if recipe.judges != begun.judges:
            folder.begin(begun.model_copy(update={"judges": recipe.judges}).text())
    note("making the pictures")
    return folder.finish(paths, draws)
