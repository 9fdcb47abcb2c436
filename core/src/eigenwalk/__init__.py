"""eigenwalk: walk through an image generator's latent space while named features stay fixed and others vary.

    import eigenwalk

    paths = eigenwalk.run("rooms", fix=["rooms.part(sofa)"], vary=["~rooms.part(sofa)"])

Nothing heavy is imported until it is used: a plugin's specs and hooks need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eigenwalk.direction import Directions, Method
    from eigenwalk.errors import EigenwalkError
    from eigenwalk.feature import Feature, FunctionFeature, Projection
    from eigenwalk.generator import FunctionGenerator, Generator
    from eigenwalk.names.registry import Registry
    from eigenwalk.path import Path, Waypoint
    from eigenwalk.runs.api import Run, load_feature, load_generator, run, start
    from eigenwalk.runs.recipe import Recipe

_HOME = {
    "Directions": "direction",
    "EigenwalkError": "errors",
    "Feature": "feature",
    "FunctionFeature": "feature",
    "FunctionGenerator": "generator",
    "Generator": "generator",
    "Method": "direction",
    "Path": "path",
    "Projection": "feature",
    "Recipe": "runs.recipe",
    "Registry": "names.registry",
    "Run": "runs.api",
    "Waypoint": "path",
    "load_feature": "runs.api",
    "load_generator": "runs.api",
    "run": "runs.api",
    "start": "runs.api",
}

__all__ = [
    "Directions",
    "EigenwalkError",
    "Feature",
    "FunctionFeature",
    "FunctionGenerator",
    "Generator",
    "Method",
    "Path",
    "Projection",
    "Recipe",
    "Registry",
    "Run",
    "Waypoint",
    "load_feature",
    "load_generator",
    "run",
    "start",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eigenwalk' has no attribute {name!r}")
    return getattr(import_module(f"eigenwalk.{_HOME[name]}"), name)
