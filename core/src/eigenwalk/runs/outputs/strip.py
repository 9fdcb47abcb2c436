"""``strip.png``: a row per path, what people look at first.

Each row begins with the start, set apart, and goes to the path's last waypoint. Under every image stand
two figures: how far the varied features have gone, and how far the fixed one nearest its tolerance.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from eigenwalk.path import Path, Waypoint
from eigenwalk.runs.outputs import theme, words

MARGIN = 40
LABEL = 226
GAP = 8
START_GAP = 24
FIGURES = 50
SEED = 48
LEAST_WIDTH = 960
"""Room for the names in the header, however short the walk."""

NOTE = "change from the start, in % of the typical distance between two random images"


@dataclass(frozen=True)
class Layout:
    """Where things stand: `columns` are waypoint indices, a cell is `width` by `height` pixels of image."""

    columns: tuple[int, ...]
    width: int
    height: int
    scale: float
    header: int

    def left(self, column: int) -> int:
        """Return the left edge of a column's images; the start stands apart from the rest."""
        return MARGIN + LABEL + column * (self.width + GAP) + (START_GAP if column else 0)

    @property
    def row(self) -> int:
        """The height of a row, with its figures and the space below them."""
        return self.height + FIGURES + 22


def strip(paths: Sequence[Path]) -> bytes:
    """Return the PNG of a strip with a row for every path."""
    buffer = io.BytesIO()
    draw_strip(paths).save(buffer, "PNG")
    return buffer.getvalue()


def draw_strip(paths: Sequence[Path]) -> Image.Image:
    """Return the strip as an image: header, column numbers, a row per path, grouped by start."""
    layout = lay_out(paths)
    starts = list(dict.fromkeys(path.origin for path in paths))
    top = layout.header
    height = top + layout.row * len(paths) + SEED * len(starts) + MARGIN // 2
    width = max(layout.left(len(layout.columns)) - GAP + MARGIN, LEAST_WIDTH)
    canvas = Image.new("RGB", (width, height), theme.PAPER)
    draw = ImageDraw.Draw(canvas)
    _header(draw, paths, layout, canvas.width)
    for start in starts:
        _start(draw, start, top, layout, canvas.width)
        top += SEED
        for path in (path for path in paths if path.origin == start):
            _row(canvas, draw, path, top, layout)
            top += layout.row
    return canvas


def lay_out(paths: Sequence[Path], columns: int = words.COLUMNS) -> Layout:
    """Columns and sizes that fit these paths: small images grow to 160 pixels, large ones shrink to 192."""
    shown = words.thin(max(path.waypoints[-1].index for path in paths) + 1, columns)
    height, width = paths[0].waypoints[0].image.shape[:2]
    longest = max(height, width)
    # Many paths have smaller cells, so that the strip can still be opened and scrolled.
    ratio = (128 if len(paths) > 24 else min(max(160, longest), 192)) / longest
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return Layout(tuple(shown), *size, words.scale(paths), MARGIN + 40 + 2 * 32 + 22)


def place(path: Path, columns: Sequence[int]) -> list[tuple[int, Waypoint]]:
    """(column, waypoint) for the columns that the path reaches, and its last waypoint in the next free one."""
    by_index = {waypoint.index: waypoint for waypoint in path}
    placed = [(column, by_index[index]) for column, index in enumerate(columns) if index in by_index]
    last = path.waypoints[-1]
    if placed[-1][1].index != last.index:
        placed.append((placed[-1][0] + 1, last))
    return placed


def resized_image(waypoint: Waypoint, width: int, height: int) -> Image.Image:
    """Return the waypoint's picture at this size: pixel art keeps its pixels, everything else is resampled smoothly."""
    image = Image.fromarray(waypoint.image)
    method = Image.Resampling.NEAREST if max(image.size) <= 32 else Image.Resampling.LANCZOS
    return image if image.size == (width, height) else image.resize((width, height), method)


def draw_bars(draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, what: words.Shares, scale: float) -> None:
    """Draw two bars with their percentages: varied above, fixed with a tick at its tolerance below."""
    x, y = at
    face = theme.font(15)
    room = width - 54
    rows = [(what.varied, theme.VARIED, math.inf), (what.fixed, theme.FIXED, what.tolerance)]
    for offset, (share, colour, limit) in zip((0, 20), rows, strict=True):
        if math.isnan(share) and colour == theme.FIXED:
            continue
        middle = y + offset + 8
        draw.rectangle((x, middle - 3, x + room, middle + 3), fill=theme.TRACK)
        if math.isfinite(share) and room * share >= 0.5 * scale:
            draw.rectangle((x, middle - 3, x + round(room * min(1, share / scale)), middle + 3), fill=colour)
        if limit <= scale:
            tick = x + round(room * limit / scale)
            draw.line((tick, middle - 7, tick, middle + 7), fill=theme.INK, width=2)
        draw.text((x + width, middle), words.percent(share), font=face, fill=theme.INK, anchor="rm")


def _header(draw: ImageDraw.ImageDraw, paths: Sequence[Path], layout: Layout, width: int) -> None:
    first, room = paths[0], width - 2 * MARGIN
    title, small = theme.font(30, bold=True), theme.font(16)
    free = room
    if width > 1500:  # beside the title; narrower, the title needs the room
        draw.text((width - MARGIN, MARGIN), NOTE, font=small, fill=theme.GREY, anchor="rt")
        free -= round(small.getlength(NOTE)) + MARGIN
    draw.text((MARGIN, MARGIN), theme.shorten(words.title(first), free, title), font=title, fill=theme.INK, anchor="lt")
    limits = ", ".join(
        f"{role.name} (within {words.percent(words.tolerance(role))})" if role.tolerance is not None else role.name
        for role in first.fixed
    )
    lines = [(theme.VARIED, "varied", words.names(first.varied)), (theme.FIXED, "fixed", limits or "nothing")]
    for row, (colour, word, names) in enumerate(lines):
        y = MARGIN + 58 + 32 * row
        draw.rectangle((MARGIN, y - 8, MARGIN + 15, y + 7), fill=colour)
        draw.text((MARGIN + 28, y), word, font=theme.font(19, bold=True), fill=theme.INK, anchor="lm")
        face = theme.font(19)
        draw.text((MARGIN + 112, y), theme.shorten(names, room - 112, face), font=face, fill=theme.INK, anchor="lm")


def _start(draw: ImageDraw.ImageDraw, start: str, top: int, layout: Layout, width: int) -> None:
    draw.line((MARGIN, top, width - MARGIN, top), fill=theme.LINE)
    face, room = theme.font(16), LABEL + layout.width // 2 - 40  # up to the word "start"
    draw.text((MARGIN, top + 24), theme.shorten(start, room, face), font=face, fill=theme.GREY, anchor="lm")
    for column, index in enumerate(layout.columns):
        text = str(index) if index else "start"
        middle = layout.left(column) + layout.width // 2
        draw.text((middle, top + 24), text, font=theme.font(16), fill=theme.GREY, anchor="mm")


def _row(canvas: Image.Image, draw: ImageDraw.ImageDraw, path: Path, top: int, layout: Layout) -> None:
    draw.text((MARGIN, top + 12), words.label(path), font=theme.font(21, bold=True), fill=theme.INK, anchor="lm")
    short = path.status.reason not in ("length", "walking")
    face = theme.font(16)
    lines = [(line, short) for line in theme.wrap(words.brief_ending(path), LABEL - 16, face, lines=5)]
    lines += [("may have been fooled", True)] if words.suspicions(path) else []
    room = (layout.height + FIGURES - 42) // 22 + 1 - len(lines)
    lines += [(line, False) for line in theme.wrap(words.moved(path), LABEL - 16, face, lines=max(1, room))]
    for row, (line, marked) in enumerate(lines):
        colour = theme.VARIED if marked else theme.GREY
        draw.text((MARGIN, top + 42 + 22 * row), line, font=face, fill=colour, anchor="lm")
    for column, waypoint in place(path, layout.columns):
        x = layout.left(column)
        if waypoint.index == 0:
            box = (x - 4, top - 4, x + layout.width + 3, top + layout.height + 3)
            draw.rectangle(box, outline=theme.INK, width=2)
        canvas.paste(resized_image(waypoint, layout.width, layout.height), (x, top))
        if waypoint.index not in layout.columns:
            _badge(draw, (x, top), f"{waypoint.index}")
        if waypoint.index:
            what = words.shares(path, waypoint)
            draw_bars(draw, (x, top + layout.height + 6), layout.width, what, layout.scale)


def _badge(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str) -> None:
    """The number of a waypoint that stands in another's column."""
    face = theme.font(14, bold=True)
    x, y = at
    draw.rectangle((x, y, x + face.getlength(text) + 10, y + 20), fill=theme.INK)
    draw.text((x + 5, y + 10), text, font=face, fill=theme.PAPER, anchor="lm")
