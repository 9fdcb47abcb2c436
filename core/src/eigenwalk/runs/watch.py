"""What a run tells about itself before its first waypoint, and between waypoints. No torch here."""

from __future__ import annotations


class Watch:
    """Is told what a run is doing; this one keeps it to itself."""

    def stage(self, text: str, passes: float = 0.0) -> None:
        """The run begins with what `text` says, which takes about so many generator passes; 0: nobody knows."""

    def passed(self, passes: float) -> None:
        """The run has made generator passes, counted for one row as `eigenwalk.path.Cost` does."""
