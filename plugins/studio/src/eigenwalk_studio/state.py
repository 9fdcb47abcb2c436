"""What is on a person's screen, as frozen data. No torch, no gradio.

>>> state = State(generator="rooms").with_feature("hold", "rooms.part(sofa)")
>>> state.hold
('rooms.part(sofa)',)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

from eigenwalk.errors import InputError

List = Literal["hold", "vary"]
LISTS: tuple[List, ...] = ("hold", "vary")
MOST_FEATURES = 12
"""In each list."""
LONGEST = 4000
"""Characters of an expression or a path."""
SETTINGS: Mapping[str, tuple[type, float, float]] = {
    "steps": (int, 1, 200),
    "paths": (int, 1, 64),
    "stride": (float, 0.001, 1.0),
    "tolerance": (float, 0.001, 10.0),
}
"""The least and the most of each."""


@dataclass(frozen=True)
class State:
    """What is chosen and shown.

    Attributes:
        generator: its expression.
        seed: of the start, unless `start` names a file.
        start: a file of a latent, as ``--start`` takes it; "" for a seed.
        hold, vary: expressions as typed, wrong ones too.
        steps, paths, stride, tolerance: as of `eigenwalk.runs.recipe.Recipe`, within `SETTINGS`.
        walk: name of the folder of the walk that is shown; "" for none.
        path, waypoint: which picture is large; "" and 0 for the start.
    """

    generator: str
    seed: int = 0
    start: str = ""
    hold: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    steps: int = 12
    paths: int = 6
    stride: float = 0.08
    tolerance: float = 0.35
    walk: str = ""
    path: str = ""
    waypoint: int = 0

    def __post_init__(self) -> None:
        for name, (_, low, high) in SETTINGS.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} lies between {low} and {high}, got {getattr(self, name)!s:.40}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"a seed is a whole number from 0 to 2^63 - 1, got {self.seed!s:.40}")
        if any(len(text) > LONGEST for text in (self.generator, self.start, *self.hold, *self.vary)):
            raise InputError(f"an expression has at most {LONGEST:,} characters")

    def with_feature(self, part: List, text: str) -> Self:
        """Return the state with one more feature in a list, and no longer in the other one.

        Raises:
            InputError: the list is full.
        """
        other: List = "vary" if part == "hold" else "hold"
        here = getattr(self, part)
        if text in here:
            return self
        if len(here) >= MOST_FEATURES:
            raise InputError(f"{part} has {MOST_FEATURES} features already: remove one")
        rest = tuple(one for one in getattr(self, other) if one != text)
        return replace(self, **{part: (*here, text), other: rest})

    def without_feature(self, part: List, index: int) -> Self:
        """Return the state without the feature at `index` of a list."""
        here = getattr(self, part)
        return replace(self, **{part: (*here[:index], *here[index + 1 :])})

    def with_text(self, part: List, index: int, text: str) -> Self:
        """Return the state with another text at `index` of a list."""
        here = list(getattr(self, part))
        here[index] = text
        return replace(self, **{part: tuple(here)})

    def from_start(self, **start: Any) -> Self:
        """Return the state with another start or generator, and no walk shown."""
        return replace(self, **{"seed": 0, "start": "", "walk": "", "path": "", "waypoint": 0, **start})

    def entries(self) -> dict[str, Any]:
        """Return the state as JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, entries: Any) -> Self:
        """Return the state of `entries`; raises InputError where they are not those of a state."""
        kinds: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "tuple[str, ...]": (list, tuple)}
        known = {field.name: kinds[str(field.type)] for field in fields(cls)}
        if not isinstance(entries, dict) or "generator" not in entries:
            raise InputError("a state of the studio has a generator")
        for name, value in entries.items():
            if name not in known or not isinstance(value, known[name]) or isinstance(value, bool):
                raise InputError(f"a state of the studio has no {name!s:.40} such as {value!r:.40}")
            if isinstance(value, (list, tuple)) and not (
                len(value) <= MOST_FEATURES and all(isinstance(one, str) for one in value)
            ):
                raise InputError(f"{name} is a list of at most {MOST_FEATURES} expressions")
        checked: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in entries.items()
        }
        return cls(**checked)
