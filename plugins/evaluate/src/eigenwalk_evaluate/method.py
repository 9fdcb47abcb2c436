"""Resolve methods by name: the default walk, the published rule, the plain quotient, or a plugin's directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eigenwalk.direction import Directions
from eigenwalk.errors import InputError, UnknownName
from eigenwalk.names.expression import parse
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_directions
from eigenwalk.names.tree import Call
from eigenwalk.objects.build import Used
from eigenwalk.objects.compose import build_method
from eigenwalk.runs.recipe import Recipe
from eigenwalk_evaluate.grid import Grid, MethodEntry

OURS = "rayleigh"
SOLVERS = {OURS: str(Recipe.model_fields["solver"].default), "quotient": "davidson", "published": "nullspace"}
"""The core's own methods with their solvers; `OURS` is the default of a walk."""


@dataclass(frozen=True)
class Method:
    """One way to walk.

    Attributes:
        label: what tables call it.
        solver: as in a recipe.
        kind: ``walk``, from waypoint to waypoint, or ``lines``, straight along the directions at the start.
        paths: from each start; both senses of a direction count.
        plain: whether fixed features are only measured: no tolerance is kept.
        several: whether it prefers no direction for a pair, so that the best one is reported too.
        starts: number of seeds to walk from; None for all.
        used: objects that its name stands for.
    """

    label: str
    solver: str
    kind: Literal["walk", "lines"]
    paths: int
    plain: bool = True
    several: bool = False
    starts: int | None = None
    used: tuple[Used, ...] = ()


def resolve_method(entry: MethodEntry, grid: Grid, registry: Registry) -> Method:
    """Return the method that an entry names.

    Raises:
        UnknownName, OptionError, ExpressionError: there is none of that name, or not with these options.
        PluginError: the plugin's factory fails.
    """
    if entry.method in SOLVERS:
        paths = grid.paths if entry.directions is None else 2 * entry.directions
        ours = entry.method == OURS
        label, solver = entry.label or entry.method, SOLVERS[entry.method]
        return Method(label, solver, "walk", paths, plain=not ours, starts=entry.starts)
    node = parse(entry.method)
    if not isinstance(node, Call) or node.name == "file":
        raise InputError(
            f"a method is {', '.join(SOLVERS)} or a plugin's directions such as sefa, got {entry.method!r}"
        )
    try:
        node = resolve_directions(node, registry)
    except UnknownName as error:
        raise UnknownName(f"{error}; or one of the methods {', '.join(SOLVERS)}") from None
    method, used = build_method(node, registry)
    count = entry.directions or grid.directions
    kind = "lines" if isinstance(method, Directions) and not method.curved else "walk"
    label = entry.label or entry.method
    return Method(label, str(node), kind, 2 * count, several=count > 1, starts=entry.starts, used=used)
