"""``changes.csv``: every figure of every waypoint, for whoever wants to compute further."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from eigenwalk.path import Path, Role, Waypoint

FIRST = ("path", "seed", "rank", "sense", "waypoint")
LAST = ("step_size", "quotient", "forwards", "pushforwards", "pullbacks", "passes", "status")


def table(paths: Sequence[Path]) -> str:
    """CSV text: one row per path and waypoint, the start included.

    Every feature has two columns, its distance from the start in its own unit and as a share of its typical
    distance. `status` is how the path ended, the same in all its rows.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    roles = paths[0].roles
    writer.writerow([*FIRST, *(column for role in roles for column in columns(role)), *LAST])
    for path in paths:
        writer.writerows(_rows(path, roles))
    return buffer.getvalue()


def columns(role: Role) -> tuple[str, str]:
    """The headings of a feature: own unit, share of typical."""
    return f"{role.part} {role.name} [{role.unit}]", f"{role.part} {role.name} [share of typical]"


def _rows(path: Path, roles: Sequence[Role]) -> Iterator[list[object]]:
    for waypoint in path:
        changes = [value for role in roles for value in _both(waypoint, role)]
        cost = waypoint.cost
        spent = (cost.forwards, cost.pushforwards, cost.pullbacks, f"{cost.passes:.2f}")
        found = (_number(waypoint.step_size), _number(waypoint.quotient))
        yield [
            path.name,
            path.seed,
            path.rank,
            path.sense,
            waypoint.index,
            *changes,
            *found,
            *spent,
            path.status.reason,
        ]


def _both(waypoint: Waypoint, role: Role) -> tuple[str, str]:
    change = waypoint.changes[role.name]
    return _number(change), _number(change / role.typical if role.typical else float("nan"))


def _number(value: float) -> str:
    return f"{value:.9g}"
