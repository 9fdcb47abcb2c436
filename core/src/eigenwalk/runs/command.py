"""The command that walks a recipe, as a person would type it. No torch here."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from eigenwalk.runs.recipe import Recipe

LISTS = {"fix": "--fix", "vary": "--vary", "judges": "--judge", "starts": "--start"}
NUMBERS = ("steps", "to", "paths", "stride", "solver", "tolerance", "region", "smooth", "dtype", "precision")


def command_of(recipe: Recipe) -> str:
    """Return the command that walks `recipe` anew, without what is the default.

    >>> command_of(Recipe.of(generator="rooms", fix=["rooms.part(sofa)"], vary=["~rooms.part(sofa)"], seeds=[2]))
    'eigenwalk walk rooms --fix "rooms.part(sofa)" --vary "~rooms.part(sofa)" --seed 2'
    """
    entries = recipe.model_dump(mode="json")
    words = ["eigenwalk", "walk", plain_name(entries["generator"])]
    for key, option in LISTS.items():
        for value in entries[key]:
            words += [option, value]
    for value in _ranges(recipe.seeds) if recipe.seeds != (0,) or recipe.starts else ():
        words += ["--seed", value]
    for key in NUMBERS:
        if entries[key] != Recipe.model_fields[key].get_default() and str(entries[key]) != _default(key):
            words += [f"--{key}", f"{entries[key]}"]
    return quote(words)


def plain_name(generator: str) -> str:
    """Return a generator as people write it: ``./my_generator.py:build`` without the ``file("…")`` around it."""
    found = re.fullmatch(r'(?:file|open)\("([^"\\]*)"\)', generator)
    return found[1] if found else generator


def quote(words: Sequence[str]) -> str:
    """Return a command of these words, with double quotes where they will do: every shell knows them."""
    return " ".join(
        f'"{word}"' if shlex.quote(word) != word and not set(word) & set('"$`\\!') else shlex.quote(word)
        for word in words
    )


def waypoint_name(file: str | os.PathLike[str], index: int) -> str:
    """Return how ``--start`` names waypoint `index` of the path saved in `file`."""
    return f"{os.fspath(file)}:{index}"


def _default(key: str) -> str:
    return str(Recipe.model_fields[key].get_default())


def _ranges(seeds: Sequence[int]) -> list[str]:
    """Return seeds as ``--seed`` takes them, neighbours as one range."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
