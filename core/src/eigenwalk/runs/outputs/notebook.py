"""Show paths, and the progress of a walk, in a notebook: HTML with inline styles, which every notebook keeps.

Colours of text are the notebook's own, so that it reads in its light and its dark theme.
"""

from __future__ import annotations

import base64
import io
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from PIL import Image

from eigenwalk.path import Path, Waypoint
from eigenwalk.runs.outputs import words
from eigenwalk.runs.watch import Clock, Watch, Work

VARIED, FIXED, TRACK = "#d55e00", "#0072b2", "rgba(128,128,128,0.3)"
SIDE, PICTURES, PATHS = 112, 9, 8
"""Pixels of a picture's longer side, pictures of a path, and paths that are shown with pictures."""
PAUSE = 0.25
"""Seconds between two drawings of a walk under way."""
FRAME = "font:13px/1.45 system-ui,sans-serif;margin:0 0 16px"


def html(paths: Sequence[Path]) -> str:
    """Return the paths as HTML: pictures from the start to the end, every feature's change, and how each ended."""
    shown = [path for path in paths[:PATHS] if len(path)]
    scale = words.scale(shown) if shown else 1.0
    rows = [_path(path, scale) for path in shown]
    if rest := len(paths) - len(paths[:PATHS]):
        rows.append(f"<div>… and {rest:,} more: <code>paths[{PATHS}:{2 * PATHS}]</code> shows the next</div>")
    return "".join(rows) or "<div>no paths</div>"


def _path(path: Path, scale: float) -> str:
    last = path.waypoints[-1]
    # From the end to the start in a reversed row, so that where it is too narrow it begins scrolled to the end.
    cells = "".join(_cell(path, path.waypoints[i], scale) for i in reversed(words.thin(len(path), PICTURES)))
    notes = [words.ending(path), *(f"What else moved: {moved}." for moved in filter(None, [words.moved(path)]))]
    notes += [f"{text}." for text in words.suspicions(path)]
    changes = [
        f"<b>{role.part}</b> {escape(role.name)} "
        f"{words.percent(last.changes[role.name] / role.typical if role.typical else math.nan)} "
        f"({words.figure(last.changes[role.name])} {escape(role.unit)})"
        for role in path.roles
    ]
    return (
        f'<div style="{FRAME}"><div><b>{escape(_name(path))}</b> {escape(" ".join(notes))}</div>'
        f'<div style="display:flex;flex-direction:row-reverse;gap:6px;overflow-x:auto;padding:5px 0">{cells}</div>'
        f"<div>{' · '.join(changes)}</div></div>"
    )


def _name(path: Path) -> str:
    return f"{path.origin}, {words.label(path)}"


def _cell(path: Path, waypoint: Waypoint, scale: float) -> str:
    """Return one waypoint: its picture above its number and two bars."""
    below, what = "start", words.shares(path, waypoint)
    if waypoint.index:
        bars = [_bar(what.varied, VARIED, scale), *([_bar(what.fixed, FIXED, scale)] if path.fixed else [])]
        below = f"{waypoint.index}{''.join(bars)}"
    picture = _picture(
        waypoint, f"{_name(path)}, {f'waypoint {waypoint.index}' if waypoint.index else 'start'}", "100%"
    )
    # A margin at the end takes the room that the pictures leave.
    end = "auto" if waypoint is path.waypoints[-1] else "0"
    return f'<div style="flex:1 0 74px;max-width:104px;margin-right:{end};font-size:11px">{picture}{below}</div>'


def _bar(share: float, colour: str, scale: float) -> str:
    width = 100 * min(1.0, share / scale) if math.isfinite(share) else 0
    return (
        '<div style="display:flex;align-items:center;gap:4px;white-space:nowrap">'
        f'<div style="flex:1;height:5px;background:{TRACK}"><div style="width:{width:.0f}%;height:5px;'
        f'background:{colour}"></div></div>'
        f'<span style="width:3.2em;text-align:right">{words.percent(share)}</span></div>'
    )


def _picture(waypoint: Waypoint, alt: str, width: str) -> str:
    image, buffer = Image.fromarray(waypoint.image), io.BytesIO()
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(buffer, "WEBP", quality=82)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    style = f"width:{width};height:auto;margin:0;display:block"
    return f'<img src="data:image/webp;base64,{data}" alt="{escape(alt)}" style="{style}">'


class Shown(Watch):
    """Where a walk started from Python shows its progress; this one hands each front to a function, if there is one."""

    def __init__(self, progress: Callable[[Any], object] | None = None):
        self.progress = progress

    def front(self, front: Any) -> None:
        """Take the paths as they stand after a waypoint."""
        if self.progress:
            self.progress(front)


class _Output:
    """HTML in a cell's output, which can be replaced."""

    def __init__(self, html: str):
        # Loaded already, by the kernel in which this runs: so IPython is nothing that this package requires.
        self.ipython = import_module("IPython.display")
        self.shown = self.ipython.display(self.ipython.HTML(html), display_id=True)

    def update(self, html: str) -> None:
        """Show this instead."""
        self.shown.update(self.ipython.HTML(html))


class Live(Shown):
    """A cell's output that is redrawn in place: the stage, how far it is, and a picture for each path."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.clock, self.work = steps, Clock(steps), Work()
        self.index, self.paths, self.drawn = 0, (), 0.0
        self.output = _Output(self.html())

    def stage(self, text: str, passes: float = 0.0) -> None:
        """Show what begins."""
        self.work.begin(text, passes)
        self.draw()

    def passed(self, passes: float) -> None:
        """Count the passes."""
        self.work.add(passes)
        self.draw()

    def front(self, front: Any) -> None:
        """Show the paths after a waypoint."""
        self.clock.at(front.index)
        self.index, self.paths = front.index, front.paths
        self.draw()

    def draw(self) -> None:
        """Draw the output again, unless that was done a moment ago."""
        if time.monotonic() - self.drawn >= PAUSE:
            self.output.update(self.html())
            self.drawn = time.monotonic()

    def close(self) -> None:
        """Leave nothing behind: the paths show themselves, and times differ from run to run."""
        self.output.update("")

    def html(self) -> str:
        """Return the walk as it stands now."""
        done = f"waypoint {self.index} of {self.steps}" if self.paths else "getting ready"
        lines = [f"<b>{done}</b> {self.clock.text(self.index)}", escape(self.work.text())]
        far = f'<progress max="{self.steps}" value="{self.index}" style="width:24em"></progress>'
        scale = words.scale(self.paths) if self.paths else 1.0
        rows = [self._row(path, scale) for path in self.paths[:PATHS]]
        rest = len(self.paths) - len(rows)
        rows += [f"<div>… and {rest:,} more paths</div>"] if rest else []
        return f'<div style="{FRAME}">{"<br>".join([*lines, far])}{"".join(rows)}</div>'

    def _row(self, path: Path, scale: float) -> str:
        last = path.waypoints[-1]
        what = words.shares(path, last)
        bars = [_bar(what.varied, VARIED, scale), *([_bar(what.fixed, FIXED, scale)] if path.fixed else [])]
        ended = "" if path.status.reason == "walking" else words.brief_ending(path)
        return (
            '<div style="display:flex;gap:10px;align-items:center;margin-top:6px">'
            f"{_picture(last, f'{_name(path)}, waypoint {last.index}', '56px')}"
            f'<div style="width:15em">{escape(_name(path))}{"".join(bars)}</div><div>{escape(ended)}</div></div>'
        )


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Say in a notebook that `what` is loaded, while it is."""
    if not _in_notebook():
        yield
        return
    output = _Output(f'<div style="{FRAME}">loading {what}</div>')
    try:
        yield
    finally:
        output.update("")


@contextmanager
def shown_progress(steps: int, progress: Callable[[Any], object] | None) -> Iterator[Shown]:
    """Yield what a walk tells how far it is: `progress` if there is one, else the notebook that it runs in, if any."""
    if progress or not _in_notebook():
        yield Shown(progress)
        return
    live = Live(steps)
    try:
        yield live
    finally:
        live.close()


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython in a terminal shows no HTML."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None
