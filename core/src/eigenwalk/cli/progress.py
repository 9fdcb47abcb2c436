"""A walk as it goes on: a live table on a terminal, a line per waypoint elsewhere. All on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.path import Path
from eigenwalk.runs.outputs import words
from eigenwalk.runs.watch import Clock, Watch, Work

VARIED, FIXED = "color(208)", "color(39)"
BAR = 16
PATIENCE, LONGEST_PAUSE = 3.0, 60.0
"""Seconds of silence after which a log is told how far a stage is: at first, and after ever longer pauses at most."""
LONGEST = 24
"""Characters of a start's name; of a longer one, its end."""


class Progress(Watch):
    """Where a walk's progress is shown; this one shows nothing."""

    def note(self, text: str) -> None:
        """Say something that happened once."""

    def front(self, index: int, paths: Sequence[Path]) -> None:
        """Show the paths after waypoint `index`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def progress(steps: int, quiet: bool) -> Progress:
    """What suits standard error: nothing, a live table, or plain lines."""
    if quiet:
        return Progress()
    return LiveTable(steps) if sys.stderr.isatty() else Lines(steps)


class Lines(Progress):
    """A line for each stage and waypoint, and for every path that ends; during a long stage some more."""

    def __init__(self, steps: int):
        self.steps, self.clock, self.ended, self.work = steps, Clock(steps), set(), Work()
        self.said, self.pause = time.monotonic(), PATIENCE

    def stage(self, text: str, passes: float = 0.0) -> None:
        """Print what begins and about how long it takes; not before waypoints that come faster than one would read."""
        self.work.begin(text, passes)
        self.pause = PATIENCE
        if not 0 < self.clock.pace < PATIENCE:
            self.note(self.work.text())

    def passed(self, passes: float) -> None:
        """Print how far the stage is, if nothing was printed for a while: at ever longer intervals."""
        self.work.add(passes)
        if time.monotonic() - self.said >= self.pause:
            self.pause = min(2 * self.pause, LONGEST_PAUSE)
            self.note(self.work.text())

    def note(self, text: str) -> None:
        """Print the text."""
        print(text, file=sys.stderr, flush=True)
        self.said = time.monotonic()

    def front(self, index: int, paths: Sequence[Path]) -> None:
        """Print where the paths stand on average."""
        ends = [words.shares(path, path.waypoints[-1]) for path in paths if len(path)]
        figures = [f"varied {words.percent(sum(end.varied for end in ends) / max(1, len(ends)))} (mean)"]
        if paths and paths[0].fixed:
            figures.append(f"fixed {words.percent(max(end.fixed for end in ends))} (largest)")
        figures.append(f"{sum(path.cost.passes for path in paths):,.0f} passes")
        self.note(f"waypoint {index} of {self.steps}: {', '.join(figures)}, {self.clock.at(index)}")
        for path in paths:
            if path.status.reason not in ("walking", "length") and path.name not in self.ended:
                self.ended.add(path.name)
                self.note(f"  {path.origin}, {words.label(path)}: {words.ending(path)}")


class LiveTable(Progress):
    """A table that is redrawn in place: a row per path with two bars, and the whole below it."""

    def __init__(self, steps: int):
        self.steps, self.clock, self.work = steps, Clock(steps), Work()
        self.index, self.paths = 0, ()
        screen = console(stderr=True, soft_wrap=False)
        self.live = Live(get_renderable=self.render, console=screen, refresh_per_second=4, transient=True)

    def note(self, text: str) -> None:
        """Print the text above the table, where it stays."""
        self.live.console.print(Text(text, style="dim"))

    def stage(self, text: str, passes: float = 0.0) -> None:
        """Take what begins into the line."""
        self.work.begin(text, passes)
        self.live.refresh()

    def passed(self, passes: float) -> None:
        """Take the passes into the line; it is redrawn four times a second."""
        self.work.add(passes)

    def front(self, index: int, paths: Sequence[Path]) -> None:
        """Take the paths into the table."""
        self.clock.at(index)
        self.work.begin("", 0.0)
        self.index, self.paths = index, tuple(paths)
        self.live.refresh()

    def render(self) -> RenderableType:
        """The table as it stands now."""
        if not self.paths:
            return Text(f"{self.work.text()}   {self.clock.text(0)}", style="dim")
        room = max(4, self.live.console.height - 7)
        shown = self.paths if len(self.paths) <= room else self.paths[: room - 1]
        table = path_table(shown, self.live.console.width)
        rest = len(self.paths) - len(shown)
        passes = sum(path.cost.passes for path in self.paths)
        done = f"waypoint {self.index} of {self.steps}"
        line = Text.assemble((done, "bold"), f"   {passes:,.0f} generator passes   {self.clock.text(self.index)}")
        doing = Text(self.work.text(), style="dim")
        return Group(table, *([Text(f"… and {rest} more paths", style="dim")] if rest else []), line, doing)

    def __enter__(self) -> Self:
        self.live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.live.__exit__(None, None, None)


def path_table(paths: Sequence[Path], width: int) -> Table:
    """A row per path, at most `width` characters wide: where it stands, its two figures, how it ended."""
    starts = len({path.origin for path in paths}) > 1
    bars = BAR if width >= 90 else 0
    used = (16 + 10 * starts) + 6 + 2 * (bars + 8) + 9
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("path", "step", "varied", "fixed", "passes", ""):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("step", "passes") else "left")
    for path in paths:
        what = words.shares(path, path.waypoints[-1])
        name = Text.assemble((f"{path.origin[-LONGEST:]}  " if starts else "", "dim"), (words.label(path), "bold"))
        ended = Text("" if path.status.reason == "walking" else words.brief_ending(path).partition(", ")[2])
        ended.stylize("dim" if path.status.reason == "length" else "yellow")
        ended.truncate(max(8, width - used), overflow="ellipsis")
        figures = [bar(what.varied, VARIED, bars), bar(what.fixed, FIXED, bars, what.tolerance)]
        table.add_row(name, str(path.waypoints[-1].index), *figures, f"{path.cost.passes:,.0f}", ended)
    return table


def bar(share: float, colour: str, length: int, limit: float = math.inf) -> Text:
    """The figure after a bar up to 100 % of typical, with a mark at the limit; no bar where `length` is 0."""
    figure = Text(f"{words.percent(share):>5}")
    if not length or not math.isfinite(share):
        return Text(" " * length) + figure
    filled = min(length, round(length * share))
    text = Text.assemble(("━" * filled, colour), ("─" * (length - filled), "bright_black"))
    if limit <= 1:
        mark = min(length - 1, int(length * limit))
        text = text[:mark] + Text("┃") + text[mark + 1 :]
    return Text.assemble(text, " ", figure)


def path_lines(paths: Sequence[Path]) -> list[str]:
    """A line per path, for a log."""
    lines = []
    for path in paths:
        what = words.shares(path, path.waypoints[-1])
        shares = f"varied {words.percent(what.varied)}, fixed {words.percent(what.fixed)}"
        ended = f"{path.origin}, {words.label(path)}: {words.brief_ending(path)}"
        lines.append(f"{ended}; {shares}, {path.cost.passes:,.0f} passes")
    return lines
