"""How to walk."""

from __future__ import annotations

from dataclasses import dataclass, field

from eigenwalk.direction import Method
from eigenwalk.maths.cloud import AVERAGING, Averaging
from eigenwalk.maths.methods.outward import Outward


@dataclass(frozen=True)
class WalkOptions:
    """How far to walk, in how many directions, and by which method.

    Attributes:
        steps: waypoints after the start.
        paths: paths from each start, at most: the leading directions, each in both senses.
        stride: varied change from one waypoint to the next, to first order, as a share of typical distances.
        method: chooses the steps.
        batch: rows in one generator call; None for all at once.
        longest: no step is longer than this share of the typical distance between two latents.
        until: a path has its full length once what varies has changed by this share of typical distances, the mean of
            all varied features; None for all `steps`.
        region: no path leaves the latent's typical region, this many times as wide, where the problem has one; None:
            the latent may go anywhere. `Outward` bends its steps to stay inside; with other methods a path ends there.
        smooth: derivatives of single numbers that vary are means over latents around the path, spread by this share of
            the spread of all latents (`eigenwalk.maths.cloud`); 0: those at the path itself.
        averaging: what those means are taken over.
        bounded: a path ends where a fixed feature would leave its tolerance. Without, it is only measured.
    """

    steps: int = 12
    paths: int = 6
    stride: float = 0.08
    method: Method = field(default_factory=Outward)
    batch: int | None = None
    longest: float = 0.15
    until: float | None = None
    region: float | None = 1.0
    smooth: float = 0.6
    averaging: Averaging = AVERAGING[3]
    bounded: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "paths", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= self.smooth < float("inf"):
            raise ValueError(f"smooth must be finite and not negative, got {self.smooth}")
        for name in ("stride", "longest", "until", "region"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {value}")
