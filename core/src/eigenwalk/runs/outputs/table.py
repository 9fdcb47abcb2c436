"""``changes.csv``: every figure of every waypoint, for whoever wants to compute further."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import BinaryIO

from eigenwalk.path import Path, Role

FIRST = ("path", "seed", "rank", "sense", "waypoint")
LAST = ("step_size", "quotient", "forwards", "pushforwards", "pullbacks", "passes", "status")


def write_table(paths: Sequence[Path], file: BinaryIO) -> None:
    """Write CSV, one row per path and waypoint, the start included.

    Every feature has two columns, its distance from the start in its own unit and as a share of its typical
    distance. `status` is how the path ended, the same in all its rows.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer, roles = csv.writer(text, lineterminator="\n"), paths[0].roles
    writer.writerow([*FIRST, *(column for role in roles for column in columns(role)), *LAST])
    for path in paths:
        for waypoint in path:
            changes = []
            for role in roles:
                change = waypoint.changes[role.name]
                changes += [change, change / role.typical if role.typical else math.nan]
            numbers = [f"{value:.9g}" for value in (*changes, waypoint.step_size, waypoint.quotient)]
            cost = waypoint.cost
            spent = (cost.forwards, cost.pushforwards, cost.pullbacks, f"{cost.passes:.2f}")
            where = (path.name, path.seed, path.rank, path.sense, waypoint.index)
            writer.writerow([*where, *numbers, *spent, path.status.reason])
    text.detach()


def columns(role: Role) -> tuple[str, str]:
    """Return the headings of a feature: own unit, share of typical."""
    return f"{role.part} {role.name} [{role.unit}]", f"{role.part} {role.name} [share of typical]"
