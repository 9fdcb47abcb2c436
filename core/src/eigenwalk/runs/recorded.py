"""Whether a walk can be repeated here: versions, weights and files against those that its recipe records."""

from __future__ import annotations

import os.path
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from eigenwalk import store
from eigenwalk.errors import RecipeError
from eigenwalk.names.files import sha256
from eigenwalk.runs.recipe import Recipe

if TYPE_CHECKING:
    from eigenwalk.names.registry import Registry


def check_recorded(recipe: Recipe, registry: Registry) -> list[str]:
    """Return warnings about versions that differ from those of the run that wrote the recipe.

    Raises:
        RecipeError: weights or a file of the user are not the ones that were walked with, so that the
            walk cannot be repeated.
    """
    _check_weights(recipe, registry)
    _check_files(recipe)
    warnings = [
        f"from waypoint {again.waypoint} on, this walk was made with "
        f"{', '.join(f'{name} {version}' for name, version in again.installed.items())}: its latents may differ"
        for again in recipe.resumed
    ]
    for name, version in recipe.latest().items():
        have = _version(name)
        if have is None:
            warnings.append(
                f"{name} {version} was installed for this walk and is not now: pip install {name}=={version}"
            )
        elif have != version:
            warnings.append(f"{name} is {have}, and this walk was made with {version}: its latents may differ")
    return warnings


def _check_weights(recipe: Recipe, registry: Registry) -> None:
    brought: dict[str, dict[str, str]] = {}
    for offer in (*registry.features, *registry.generators):
        if offer.distribution in recipe.installed:
            for weights in offer.spec.weights:
                if sha := store.expected_sha256(weights):
                    brought.setdefault(weights.file, {})[sha] = f"{offer.distribution} {offer.version}"
    for file, recorded in recipe.weights.items():
        have = brought.get(file, {recorded: ""})
        if recorded not in have:
            sha, who = next(iter(have.items()))
            distribution = who.split()[0]
            raise RecipeError(
                f"weights {file} are not those of this walk: it used SHA-256 {recorded[:12]}…, {who} "
                f"brings {sha[:12]}…. Install {distribution}=={recipe.installed[distribution]} to repeat it"
            )


def _check_files(recipe: Recipe) -> None:
    from eigenwalk.runs.outputs.chain import latent_sum

    for name, recorded in recipe.files.items():
        file = os.path.expanduser(name)
        latent = latent_sum(name) if name in recipe.starts else None
        if latent is None and not os.path.isfile(file):
            raise RecipeError(f"{name} is missing, and this walk used it: looked in {Path.cwd()}, where paths begin")
        have = latent or sha256(file)
        if have != recorded and not (os.path.isfile(file) and sha256(file) == recorded):  # by earlier versions
            raise RecipeError(
                f"{name} has changed since this walk: its SHA-256 was {recorded[:12]}…, and is {have[:12]}…. Bring "
                "the old file back to repeat the walk, or walk anew"
            )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: an empty name
        return None
