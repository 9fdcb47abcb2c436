"""How far a data set is, over all workers, on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.runs.watch import duration
from eigenwalk_dataset.schedule import Display, Event

PAUSE = 10.0
"""Seconds between two lines of a log."""


class State:
    """Counts over all workers of this driver."""

    def __init__(self, shards: int, done: int):
        self.shards, self.before, self.done = shards, done, done
        self.images, self.said = 0, Counter[int]()
        self.ends: Counter[str] = Counter()
        self.began = time.monotonic()

    def take(self, event: Event) -> None:
        """Take an event in. Images of a shard that failed do not count."""
        if event.what in ("images", "done"):
            self.images += event.images
            self.said[event.index] += event.images
        else:
            self.images -= self.said[event.index]
        if event.what != "images":
            del self.said[event.index]
        if event.what == "done":
            assert event.record is not None
            self.done += 1
            self.ends.update(event.record.tally["ends"])

    def text(self) -> str:
        """Say how far the data set is: shards, images a second, ends by reason, the time left."""
        seconds = time.monotonic() - self.began
        parts = [f"{self.done} of {self.shards} shards", f"{self.images / max(seconds, 1e-9):.1f} images/s"]
        if self.ends:
            parts.append("paths ended: " + ", ".join(f"{reason} {n}" for reason, n in self.ends.most_common(4)))
        if self.done > self.before:
            left = seconds / (self.done - self.before) * (self.shards - self.done)
            parts.append(f"{duration(left)} left" if left else duration(seconds))
        return "; ".join(parts)


class Silent:
    """Shows only what needs attention: shards that fail."""

    def update(self, event: Event) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Print the text."""
        console(stderr=True).print(Text(text))


class Lines(Silent):
    """Prints a line now and then."""

    def __init__(self, state: State):
        self.state, self.said = state, time.monotonic()

    def update(self, event: Event) -> None:
        """Print a line if the last one is some seconds old, or all is done."""
        self.state.take(event)
        if time.monotonic() - self.said > PAUSE or (event.what == "done" and self.state.done == self.state.shards):
            self.said = time.monotonic()
            self.note(self.state.text())


class Bar(Silent):
    """Moves a bar."""

    def __init__(self, state: State, bar: Progress):
        self.state, self.bar = state, bar
        self.task = bar.add_task("", total=state.shards, completed=state.done)

    def update(self, event: Event) -> None:
        """Move the bar."""
        self.state.take(event)
        self.bar.update(self.task, completed=self.state.done, description=self.state.text())

    def note(self, text: str) -> None:
        """Print the text above the bar, where it stays."""
        self.bar.console.print(Text(text))


@contextmanager
def show_progress(shards: int, done: int, quiet: bool) -> Iterator[Display]:
    """Give the display that suits standard error, for `shards`, some of which were `done` before."""
    state = State(shards, done)
    if quiet:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Lines(state)
    else:
        columns = (BarColumn(24), TextColumn("{task.description}"))
        with Progress(*columns, console=console(stderr=True), transient=True) as bar:
            yield Bar(state, bar)
