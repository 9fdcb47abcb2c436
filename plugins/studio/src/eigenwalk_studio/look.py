"""What is seen of a walk at one moment, while the engine takes it on. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from eigenwalk.errors import InputError
from eigenwalk.path import Path, Waypoint

if TYPE_CHECKING:
    from eigenwalk_studio.state import State
    from eigenwalk_studio.walks import Walk


@dataclass(frozen=True)
class Look:
    """The paths of a walk, and the picture that is large.

    Attributes:
        walk: None where there is none; the start is shown then.
        kind: ``coarse`` where the paths are rough ones that better ones will replace.
        paths, path, waypoint: all of them, the one that is chosen, and its waypoint.
    """

    walk: Walk | None = None
    kind: Literal["walk", "coarse"] = "walk"
    paths: tuple[Path, ...] = ()
    path: Path | None = None
    waypoint: Waypoint | None = None

    @classmethod
    def of(cls, walk: Walk | None, state: State) -> Self:
        """Return what a state shows of a walk; the first path, or a path's last waypoint, where it names no other."""
        if walk is None:
            return cls()
        walked, coarse = walk.paths, walk.coarse
        kind = "coarse" if coarse and not any(len(path) > 1 for path in walked) else "walk"
        paths = coarse if kind == "coarse" else walked
        path = next((one for one in paths if one.name == state.path), paths[0] if paths else None)
        waypoint = path.waypoints[min(state.waypoint, len(path) - 1)] if path else None
        return cls(walk, kind, paths, path, waypoint)

    @property
    def position(self) -> int:
        """Where the picture stands in its direction's row: the start is 0, sense - is left of it."""
        return self.path.sense * self.waypoint.index if self.path and self.waypoint else 0

    def row(self, rank: int) -> tuple[Path, ...]:
        """Return the senses of a direction, - first."""
        return tuple(sorted((one for one in self.paths if one.rank == rank), key=lambda one: one.sense))

    def ends(self) -> tuple[int, int]:
        """Return the first and the last position in the row of the path."""
        row = self.row(self.path.rank) if self.path else ()
        ends = [one.sense * one.waypoints[-1].index for one in row]
        return min([0, *ends]), max([0, *ends])

    def at(self, rank: int, position: int) -> tuple[str, int]:
        """Return path and waypoint at a position of a direction's row, or the nearest there is.

        Raises:
            InputError: there is no such direction.
        """
        senses = {one.sense: one for one in self.row(rank)}
        path = senses.get(-1 if position < 0 else 1) or next(iter(senses.values()), None)
        if path is None:
            raise InputError(f"there is no direction {rank}")
        return path.name, min(max(path.sense * position, 0), path.waypoints[-1].index)
