"""What a worker does for any engine: answer a call, and turn what it raises into words that travel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from eigenwalk.errors import EigenwalkError, InputError, OutOfMemory, OutputError, reason
from eigenwalk_dataset.folder import Folder
from eigenwalk_dataset.plan import Measured, Order, Plan
from eigenwalk_dataset.schedule import Event

Tell = Callable[[Event], object] | None
"""Takes what happens before the answer; None: nobody listens."""
OFTEN = 0.5
"""Seconds between two words about images at least."""
SHORT = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def serve_call(state: dict[str, Any], name: str, arguments: Sequence[Any], tell: Tell) -> Any:
    """Return the answer to a call of a driver, or the event that says how it failed; `state` keeps what is loaded."""
    try:
        if name == "survey":
            return _maker(state, arguments[0], None).survey()
        if name == "measure":
            from eigenwalk_dataset.maker import measure

            plan: Plan = arguments[0]
            return measure(_maker(state, plan.order, plan.measured), plan, lambda images: None)
        return _make(state, *arguments, tell=tell)
    except Exception as error:
        index = arguments[2] if name == "make" else -1
        return _event(error, index, loaded="maker" in state and name == "make")


def _make(state: dict[str, Any], plan: Plan, folder: str, index: int, batch: int, tell: Tell) -> Event:
    maker = _maker(state, plan.order, plan.measured)
    walked, said = 0, time.monotonic()

    def advance(images: int) -> None:
        nonlocal walked, said
        walked += images
        if tell and time.monotonic() - said > OFTEN:
            tell(Event("images", index, walked))
            walked, said = 0, time.monotonic()

    record = maker.make(plan, Folder(folder), index, batch, advance)
    return Event("busy", index) if record is None else Event("done", index, walked, record)


def _maker(state: dict[str, Any], order: Order, measured: Measured | None) -> Any:
    """Return the maker of `order`, loaded once; the one that surveyed makes shards too."""
    if "maker" not in state:
        from eigenwalk_dataset.maker import Maker  # loads torch

        state["maker"] = Maker(order, measured)
    return state["maker"]


def _event(error: Exception, index: int, loaded: bool) -> Event:
    """Return how a call failed: what the next shard would meet too stops everything."""
    kind, text = type(error).__name__, str(error) or type(error).__name__
    if not isinstance(error, EigenwalkError):
        text = f"{kind}: {text}"
    memory = isinstance(error, (OutOfMemory, MemoryError)) or any(one in text.lower() for one in SHORT)
    if isinstance(error, OSError) and reason(error) == "the disk is full":
        return Event("stop", index, text="the disk is full; the same command goes on", kind="OutputError")
    if loaded and memory:
        return Event("memory", index, text=text, kind="OutOfMemory")
    if isinstance(error, OutputError) or not loaded or (isinstance(error, InputError) and not memory):
        return Event("stop", index, text=text, kind=kind)
    return Event("error", index, text=text, kind=kind)
