"""eigenwalk: walk through an image generator's latent space while named features stay fixed and others vary.

    import eigenwalk

    paths = eigenwalk.run("rooms", fix=["rooms.part(sofa)"], vary=["~rooms.part(sofa)"])

Nothing heavy is imported until it is used: a plugin's specs and hooks need no torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eigenwalk.direction import Directions, Method
    from eigenwalk.errors import EigenwalkError
    from eigenwalk.feature import Feature, FunctionFeature, Projection
    from eigenwalk.generator import FunctionGenerator, Generator
    from eigenwalk.names.registry import Registry
    from eigenwalk.path import Path, Paths, Waypoint
    from eigenwalk.runs.api import Run, load_feature, load_generator, run, start
    from eigenwalk.runs.export import export
    from eigenwalk.runs.pictures import film, report, strip
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
    "Paths": "path",
    "Projection": "feature",
    "Recipe": "runs.recipe",
    "Registry": "names.registry",
    "Run": "runs.api",
    "Waypoint": "path",
    "export": "runs.export",
    "film": "runs.pictures",
    "load_feature": "runs.api",
    "load_generator": "runs.api",
    "report": "runs.pictures",
    "run": "runs.api",
    "start": "runs.api",
    "strip": "runs.pictures",
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
    "Paths",
    "Projection",
    "Recipe",
    "Registry",
    "Run",
    "Waypoint",
    "export",
    "film",
    "load_feature",
    "load_generator",
    "report",
    "run",
    "start",
    "strip",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eigenwalk' has no attribute {name!r}")
    if _HOME[name] == "runs.api" and "IPython" in sys.modules and "torch" not in sys.modules:
        with import_module("eigenwalk.runs.outputs.notebook").loading("torch"):  # which takes seconds
            return getattr(import_module("eigenwalk.runs.api"), name)
    return getattr(import_module(f"eigenwalk.{_HOME[name]}"), name)
