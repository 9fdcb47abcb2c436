"""Make every shard with an engine; what fails is made again with less, and costs the others nothing. No torch here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from eigenwalk import errors
from eigenwalk.errors import EigenwalkError, InputError, OutOfMemory
from eigenwalk_dataset.folder import Folder, Record
from eigenwalk_dataset.plan import Measured, Order, Plan

A = TypeVar("A")
B = TypeVar("B")
ATTEMPTS = 5
"""For a shard, before it is given up."""
DEATHS = 3
"""Of workers at one shard, before it is made with a smaller batch: somebody may only have stopped them. Also of those
that measure for all, before that is given up."""
PAUSE = 2.0
"""Seconds before a shard that another process is making is looked at again."""
What = Literal["images", "done", "busy", "memory", "died", "error", "stop"]


@dataclass(frozen=True)
class Task:
    """A shard to make, and the rows of its batches."""

    index: int
    batch: int


@dataclass(frozen=True)
class Event:
    """What an engine tells of a shard.

    Attributes:
        what: ``images`` were walked; it is ``done``; another process is making it (``busy``); it failed for lack of
            ``memory``, because its worker ``died``, or by another ``error``; or nothing can go on (``stop``).
        text: why it failed.
        kind: the class of the error, one of `eigenwalk.errors`.
    """

    what: What
    index: int
    images: int = 0
    record: Record | None = None
    text: str = ""
    kind: str = ""


class WorkerLost(OutOfMemory):
    """A worker died while it measured; the engine has another."""


class Engine(Protocol):
    """Workers that make shards."""

    def survey(self, order: Order) -> Measured:
        """Return what one worker measures for all; raises WorkerLost, or the worker's EigenwalkError."""
        ...

    def measure(self, plan: Plan) -> dict:
        """Return what the first group of seeds took, as `eigenwalk_dataset.maker.measure`; raises as `survey`."""
        ...

    def begin(self, plan: Plan, folder: str) -> None:
        """Make the workers ready for shards of this data set."""
        ...

    def free(self) -> int:
        """Return how many workers wait for a shard."""
        ...

    def submit(self, task: Task) -> None:
        """Let a free worker make a shard."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """Return what happened; wait for it at most so long."""
        ...


class Display(Protocol):
    """Shows how far a data set is."""

    def update(self, event: Event) -> None:
        """Take an event in."""

    def note(self, text: str) -> None:
        """Say something that happened once."""


@dataclass
class _Attempts:
    """What happened to a shard so far."""

    batch: int
    count: int = 0
    deaths: int = 0
    said: list[str] = field(default_factory=list)


def ask(call: Callable[[A], B], argument: A, note: Callable[[str], object]) -> B:
    """Return what an engine's worker measures, asked again if it dies; `note` is told. Raises as the `call`."""
    for _ in range(DEATHS - 1):
        try:
            return call(argument)
        except WorkerLost as error:
            note(f"measuring failed and is done again: {error}")
    return call(argument)


def make_all(plan: Plan, folder: Folder, indices: Iterable[int], engine: Engine, display: Display) -> dict[int, str]:
    """Make the shards `indices`; return those that were given up, with the reason.

    Raises:
        EigenwalkError: nothing can go on: the disk is full, or the generator cannot be loaded.
    """
    waiting, running = deque(indices), set[int]()
    attempts: dict[int, _Attempts] = {}
    given_up: dict[int, str] = {}
    busy: dict[int, float] = {}
    engine.begin(plan, folder.address)
    while waiting or running or busy:
        now = time.monotonic()
        for index in [one for one, when in busy.items() if when <= now]:
            del busy[index]
            if not folder.is_done(index):
                waiting.append(index)
        while waiting and engine.free():
            index = waiting.popleft()
            if folder.is_done(index):
                continue
            mine = attempts.setdefault(index, _Attempts(plan.measured.batch))
            engine.submit(Task(index, mine.batch))
            running.add(index)
        for event in engine.wait(PAUSE if running else min(PAUSE, 0.2)):
            if event.what == "stop":
                raise error_of(event)
            display.update(event)
            if event.what == "images":
                continue
            running.discard(event.index)
            if event.what == "busy":
                busy[event.index] = time.monotonic() + PAUSE
            elif event.what != "done":
                mine = attempts[event.index]
                if text := _failed(mine, event):
                    given_up[event.index] = text
                    display.note(f"{describe(plan, event.index)} given up: {text}")
                else:
                    waiting.append(event.index)
                    less = f", {mine.batch} rows at once" if mine.batch < plan.measured.batch else ""
                    display.note(f"{describe(plan, event.index)} failed and is made again{less}: {event.text}")
    return given_up


def describe(plan: Plan, index: int) -> str:
    """Return a shard's number and its seeds, in words."""
    seeds = plan.order.seeds_of(index)
    return f"shard {index} (seeds {seeds[0]} to {seeds[-1]})"


def error_of(event: Event) -> EigenwalkError:
    """Return the error that a worker told of."""
    found = getattr(errors, event.kind, EigenwalkError)
    try:
        return found(event.text)
    except TypeError:  # it takes more than a text
        return InputError(event.text)


def _failed(mine: _Attempts, event: Event) -> str:
    """Count a failure; return why the shard is given up, or "" to make it again, where it helps with less."""
    mine.count += 1
    mine.deaths += event.what == "died"
    if event.what != "died" or mine.deaths >= DEATHS:
        if mine.count >= ATTEMPTS or (event.what == "error" and event.text in mine.said):
            return event.text
        mine.batch = max(1, mine.batch // 2)
    mine.said.append(event.text)
    return ""


def chosen(count: int, done: Sequence[int], part: tuple[int, int]) -> list[int]:
    """Return the shards that are not done, of part i of n: every n-th of them all.

    >>> chosen(6, [2], (1, 2))
    [0, 4]
    """
    i, n = part
    have = set(done)
    return [index for index in range(i - 1, count, n) if index not in have]
