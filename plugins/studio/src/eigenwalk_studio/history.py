"""The states of a session one after another. Undo and redo move along them; saved and opened as JSON. No torch.

>>> history = History.of(State("rooms")).add("hold the sofa", State("rooms", hold=("rooms.part(sofa)",)))
>>> history.undo().state.hold, history.undo().redo().state.hold
((), ('rooms.part(sofa)',))
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Self

from eigenwalk.errors import InputError
from eigenwalk_studio.state import State

MOST = 500
"""States that are kept; of more, the oldest go."""
LARGEST = 2 << 20
"""Characters of a saved history."""
LONGEST_LABEL = 200
ENTRY = 600
"""Characters of an entry, beside what was typed."""
LOOKING = "look"
"""The label of a change of what is looked at alone: those in a row are one."""


@dataclass(frozen=True)
class History:
    """States with what led to each, and which one is shown."""

    entries: tuple[tuple[str, State], ...]
    at: int = 0

    @classmethod
    def of(cls, state: State) -> Self:
        """Return the history that begins with `state`."""
        return cls((("begin", state),))

    @property
    def state(self) -> State:
        """The state that is shown."""
        return self.entries[self.at][1]

    def add(self, label: str, state: State) -> Self:
        """Return the history with a new state after the one shown; those that were undone are gone.

        What does not change anything is no entry, and moving about among pictures is one.
        """
        if state == self.state:
            return self
        keep = self.at if label == LOOKING == self.entries[self.at][0] and self.at else self.at + 1
        entries = (*self.entries[:keep], (label[:LONGEST_LABEL], state))[-MOST:]
        size = sum(map(_size, entries))
        while size > LARGEST and len(entries) > 1:  # what is saved can be opened again
            size -= _size(entries[0])
            entries = entries[1:]
        return replace(self, entries=entries, at=len(entries) - 1)

    def amend(self, state: State) -> Self:
        """Return the history with another state in place of the one shown."""
        entries = list(self.entries)
        entries[self.at] = (entries[self.at][0], state)
        return replace(self, entries=tuple(entries))

    @property
    def undoes(self) -> str:
        """What undo takes back, in words; "" where there is nothing."""
        return self.entries[self.at][0] if self.at else ""

    @property
    def redoes(self) -> str:
        """What redo brings again, in words; "" where there is nothing."""
        return self.entries[self.at + 1][0] if self.at + 1 < len(self.entries) else ""

    def undo(self) -> Self:
        """Return the history one state back."""
        return replace(self, at=max(0, self.at - 1))

    def redo(self) -> Self:
        """Return the history one state forth."""
        return replace(self, at=min(len(self.entries) - 1, self.at + 1))

    def text(self) -> str:
        """Return the history as JSON."""
        entries = [{"label": label, "state": state.entries()} for label, state in self.entries]
        return json.dumps({"eigenwalk": "studio", "format": 1, "at": self.at, "entries": entries}, indent=1)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the history that `text` made; raises InputError where the studio wrote no such file."""
        wrong = InputError("this is no history that the studio saved")
        if len(text) > LARGEST:
            raise InputError(f"a history has at most {LARGEST:,} characters, got {len(text):,}")
        try:
            document: Any = json.loads(text)
        except (ValueError, RecursionError):
            raise wrong from None
        if not isinstance(document, dict) or document.get("eigenwalk") != "studio" or document.get("format") != 1:
            raise wrong
        entries, at = document.get("entries"), document.get("at")
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST or not isinstance(at, int):
            raise wrong
        if not 0 <= at < len(entries) or not all(isinstance(one, dict) for one in entries):
            raise wrong
        return cls(
            tuple((str(one.get("label", ""))[:LONGEST_LABEL], State.of(one.get("state"))) for one in entries), at
        )


def _size(entry: tuple[str, State]) -> int:
    """Return how many characters of JSON an entry takes, at most."""
    label, state = entry
    texts = (label, state.generator, state.start, state.walk, state.path, *state.hold, *state.vary)
    return ENTRY + sum(8 + len(text) * (2 if text.isascii() else 12) for text in texts)
