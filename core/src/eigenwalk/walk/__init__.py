"""The walk: from starts along curved paths, waypoint by waypoint."""

from eigenwalk.maths.rayleigh.along import Along
from eigenwalk.walk.front import Front
from eigenwalk.walk.loop import walk
from eigenwalk.walk.options import Solver, WalkOptions

__all__ = ["Along", "Front", "Solver", "WalkOptions", "walk"]
