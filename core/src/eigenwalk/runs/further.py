"""Walk a run further than it was meant to go: with more `steps`, or a larger `to`.

Nothing that a path does depends on how far it is to go. So where all paths came to their end at one waypoint, as with
`steps`, the walk goes on to the very latents of a single longer one. With `to` they come to it at different ones, and
those behind go on first: as paths of a start stay apart from each other, a single longer walk would be another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from eigenwalk.path import Path, Status
from eigenwalk.runs.recipe import EARLIER, IDENTITY, Recipe

FAR = ("steps", "to")
"""The entries that say only how far."""


def compare(there: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Literal["same", "more", "less", "other"], str]:
    """Say whether `asked` is the walk that is `there`, one that goes more or less far, or another; and what differs."""
    one: dict[str, Any]
    other: dict[str, Any]
    one, other = ({key: EARLIER.get(key) for key in IDENTITY} | dict(entries) for entries in (there, asked))
    differ = [key for key in IDENTITY if one[key] != other[key]]
    missing = {**dict.fromkeys(IDENTITY, "not given"), **EARLIER}
    told = ((key, *(dict(missing, **entries)[key] for entries in (there, asked))) for key in differ[:3])
    said = "; ".join(f"{key}: {has!r} there, {wants!r} asked" for key, has, wants in told)
    if not differ:
        return "same", ""
    if set(differ) <= {*FAR} and (one["to"] is None) == (other["to"] is None):
        steps, to = (one["steps"] or 0) - (other["steps"] or 0), (one["to"] or 0) - (other["to"] or 0)
        if steps * to >= 0:
            return ("more" if steps + to < 0 else "less"), said
    return "other", said


def walk_on(paths: Sequence[Path], recipe: Recipe) -> tuple[Path, ...]:
    """Return finished paths, those that `recipe` lets go further walking again; () if there are none.

    What was measured of them after their walk is left out, as it is measured again.
    """
    from eigenwalk.walk.advance import still_leading_on
    from eigenwalk.walk.options import WalkOptions

    walked = [_unjudged(path.end(Status()) if _goes_on(path, recipe) else path) for path in paths]
    if str(recipe.solver) == "outward":  # at its last waypoint a path was not asked whether it creeps
        options = WalkOptions(stride=recipe.stride)
        walked = [still_leading_on(path, options) if path.status == Status() else path for path in walked]
    return tuple(walked) if any(path.status == Status() for path in walked) else ()


def _goes_on(path: Path, recipe: Recipe) -> bool:
    if path.status.reason not in ("length", "steps") or path.waypoints[-1].index >= recipe.most_steps:
        return False
    return recipe.to is None or path.moved < recipe.to


def _unjudged(path: Path) -> Path:
    roles = tuple(role for role in path.roles if role.part != "judged")
    names = {role.name for role in roles}
    changes = ({name: change for name, change in waypoint.changes.items() if name in names} for waypoint in path)
    waypoints = (replace(waypoint, changes=kept) for waypoint, kept in zip(path, changes, strict=True))
    return replace(path, roles=roles, seen=None, waypoints=tuple(waypoints))
