"""Whose walk is taken on next, so that nobody waits for whole walks of others. No torch.

Each visitor's seconds are counted, and who has had least is served first; in the same second, walks take turns. A walk
that has shown nothing yet goes first, unless its visitor has had `AHEAD` seconds more than others: first pictures come
one after another, each as soon as it can, and whoever presses Walk again and again does not hold up the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from math import floor
from typing import Generic, Protocol, TypeVar

SLICE = 1.0
"""Seconds below which two visitors have had as much."""
AHEAD = 4.0
"""Seconds that a walk which has shown nothing is put ahead by."""


class Waiting(Protocol):
    """What takes turns: `turn` is its place among all that were asked for, `served` when it was taken on last."""

    owner: str
    turn: int
    served: int

    @property
    def is_alive(self) -> bool:
        """Whether it has something to do."""
        ...

    @property
    def has_shown(self) -> bool:
        """Whether there is a step to look at."""
        ...


W = TypeVar("W", bound=Waiting)


class Turns(Generic[W]):
    """The seconds that visitors have had, and the order that follows from them."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._least = 0.0
        self._count = count(1)

    def order(self, every: Iterable[W]) -> list[W]:
        """Return those that have something to do, the next one first."""
        alive = [one for one in every if one.is_alive]
        self._admit({one.owner for one in alive})
        return sorted(alive, key=self._key)

    def spend(self, one: W, seconds: float) -> None:
        """Note that `one` was taken on for so long."""
        one.served = next(self._count)
        self.spent[one.owner] = self.spent.get(one.owner, 0.0) + seconds

    def _admit(self, owners: set[str]) -> None:
        """Let those who come begin with as much as who has had least; forget those who have had no more than that."""
        self._least = max(self._least, min((self.spent[one] for one in owners if one in self.spent), default=0.0))
        self.spent = {owner: had for owner, had in self.spent.items() if had > self._least}
        self.spent |= {owner: max(self._least, self.spent.get(owner, 0.0)) for owner in owners}

    def _key(self, one: W) -> tuple[int, bool, int]:
        shift = 0.0 if one.has_shown else -AHEAD
        return floor((self.spent[one.owner] + shift) / SLICE), one.has_shown, one.served if one.has_shown else one.turn
