"""What a run tells about itself before its first waypoint, and between waypoints. No torch here."""

from __future__ import annotations

import time


class Watch:
    """Is told what a run is doing; this one keeps it to itself."""

    def stage(self, text: str, passes: float = 0.0) -> None:
        """The run begins with what `text` says, which takes about so many generator passes; 0: nobody knows."""

    def passed(self, passes: float) -> None:
        """The run has made generator passes, counted for one row as `eigenwalk.path.Cost` does."""


class Work:
    """The stage that a run is in, how many generator passes of it are done, and how long a pass takes."""

    def __init__(self) -> None:
        self.what, self.about, self.done = "getting ready", 0.0, 0.0
        self.passes, self.busy, self.since = 0.0, 0.0, time.monotonic()

    def begin(self, what: str, about: float) -> None:
        """Begin a stage that takes about so many passes; 0: nobody knows."""
        self.what, self.about, self.done, self.since = what, about, 0.0, time.monotonic()

    def add(self, passes: float) -> None:
        """Count passes, and the time since those before, or since the stage began."""
        now = time.monotonic()
        self.busy, self.since = self.busy + now - self.since, now
        self.passes, self.done = self.passes + passes, self.done + passes

    def text(self) -> str:
        """The stage in words: what it does, how far it is, and how much longer it takes at the pace so far."""
        if not self.about:
            return f"{self.what}: {self.done:.0f} passes" if self.done else self.what
        left = max(0.0, self.about - self.done) * self.busy / self.passes if self.passes else 0.0
        far = f"{self.done:.0f} of about {self.about:.0f} passes" if self.done else f"about {self.about:.0f} passes"
        return f"{self.what}: {far}" + (f", about {duration(left)} left" if left >= 1 else "")


class Clock:
    """Elapsed and remaining time; what came before this process began is not counted."""

    def __init__(self, steps: int):
        self.steps, self.began = steps, time.monotonic()
        self.first: tuple[int, float] | None = None
        self.pace = 0.0

    def at(self, index: int) -> str:
        """Note that waypoint `index` is reached; elapsed and remaining time in words."""
        now = time.monotonic()
        if self.first is None:
            self.first = (index, now)
        elif index > self.first[0]:
            self.pace = (now - self.first[1]) / (index - self.first[0])
        return self.text(index)

    def text(self, index: int) -> str:
        """Elapsed time, and what remains at the pace so far."""
        elapsed = duration(time.monotonic() - self.began)
        left = f", about {duration(self.pace * (self.steps - index))} left" if self.pace and index < self.steps else ""
        return f"{elapsed}{left}"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(9.4), duration(75), duration(7300)
    ('9 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
