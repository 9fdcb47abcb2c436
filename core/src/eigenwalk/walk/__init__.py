"""The walk: from starts along curved paths, waypoint by waypoint."""

from eigenwalk.walk.front import Front
from eigenwalk.walk.loop import walk
from eigenwalk.walk.options import WalkOptions

__all__ = ["Front", "WalkOptions", "walk"]
