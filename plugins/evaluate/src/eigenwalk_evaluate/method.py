"""Methods by name: the walk as users get it, the published rule, the plain quotient, or a plugin's directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eigenwalk.direction import Directions
from eigenwalk.errors import InputError, UnknownName
from eigenwalk.names.expression import Call, parse
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_directions
from eigenwalk.objects.build import Used
from eigenwalk.objects.compose import build_method
from eigenwalk.runs.recipe import Recipe
from eigenwalk_evaluate.grid import Grid, MethodEntry

OURS = "rayleigh"
SOLVERS = {OURS: str(Recipe.model_fields["solver"].default), "quotient": "davidson", "published": "nullspace"}
"""The core's own methods, and the solver of each: ours is the one that a walk has by default."""


@dataclass(frozen=True)
class Method:
    """One way to walk.

    Attributes:
        label: what tables call it.
        solver: as in a recipe.
        kind: ``walk`` from waypoint to waypoint, or ``lines``: directions found at the start, followed straight.
        paths: from each start, the two senses of a direction counted apart.
        plain: nothing is pulled back and no tolerance is kept: fixed features are only measured.
        several: it has no preferred direction for a pair, so that the best of its directions is told too.
        starts: it is walked from the first so many seeds; None for all.
        used: what its name stands for.
    """

    label: str
    solver: str
    kind: Literal["walk", "lines"]
    paths: int
    plain: bool = True
    several: bool = False
    starts: int | None = None
    used: tuple[Used, ...] = ()


def resolved(entry: MethodEntry, grid: Grid, registry: Registry) -> Method:
    """The method that an entry names.

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
