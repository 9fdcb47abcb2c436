"""``strip.png`` and ``report.html``: every photograph beside its reconstructions, with distances under each."""

from __future__ import annotations

import base64
import io
import math
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from eigenwalk.runs.outputs import theme
from eigenwalk.walk.start import picture
from eigenwalk_invert.photo import Photo
from eigenwalk_invert.result import Result
from eigenwalk_invert.task import Task

Pixels = NDArray[np.uint8]
SIDE, GAP, MARGIN, LINE = 256, 16, 40, 24
LARGEST = 512
"""Pixels of a picture's longer side on the page."""
UNIT = "% of typical in"
TITLES = {"photo": "photograph", "tuned": "generator tuned"}
"""Of columns; those of spaces are called by their names."""


def picture_name(photo: Photo, stage: str) -> str:
    """Return the file of a photograph's picture: ``me-photo.png``, ``me-w.png``, ``me-tuned.png``."""
    return f"{photo.name}-{stage}.png"


def png(pixels: Pixels | Image.Image) -> bytes:
    """Return a picture ``(height, width, 3)`` as PNG."""
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def side_by_side(photographs: Sequence[Pixels], reconstructions: Sequence[Pixels]) -> bytes:
    """Return the picture so far as PNG: a row for every photograph, its reconstruction on the right."""
    return png(np.concatenate([np.concatenate(pair, 1) for pair in zip(photographs, reconstructions, strict=True)]))


def percent(share: float) -> str:
    """Return a share of typical as people read it.

    >>> percent(0.034), percent(0.0004), percent(math.nan)
    ('3.4 %', '0.0 %', 'no value')
    """
    return "no value" if math.isnan(share) else f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def walk_command(folder: Path) -> str:
    """Return the command that walks from an inversion's folder.

    >>> walk_command(Path("me")), walk_command(Path("found/me"))
    ('eigenwalk walk ./me --vary pixels', 'eigenwalk walk found/me --vary pixels')
    """
    named = str(folder) if len(folder.parts) > 1 else f"./{folder}"
    return f"eigenwalk walk {shlex.quote(named)} --vary pixels"


def columns(task: Task, results: Sequence[Result]) -> list[tuple[str, list[Pixels]]]:
    """Return titles and pictures: the photographs, then every stage."""
    stages = [(TITLES.get(one.name, one.name), picture(one.images)) for one in results]
    return [(TITLES["photo"], picture(task.photographs)), *stages]


def strip(task: Task, results: Sequence[Result]) -> bytes:
    """Return the strip as PNG: a row for every photograph."""
    names = list(results[-1].distances)
    height, width = task.generator.resolution
    size = max(1, round(SIDE * width / max(height, width))), max(1, round(SIDE * height / max(height, width)))
    row = size[1] + LINE * (len(names) + 1) + GAP
    bold, small = theme.font(19, bold=True), theme.font(15)
    widths = [small.getlength(text) for text in (UNIT, *names)]
    widths += [bold.getlength(Path(photo.label).name) for photo in task.photos]
    label = min(420, round(max(widths)) + 2 * GAP)
    shown = columns(task, results)
    canvas = Image.new(
        "RGB",
        (2 * MARGIN + label + len(shown) * (size[0] + GAP), 2 * MARGIN + 76 + row * len(task.photos)),
        theme.PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    title = f"found in {task.text or type(task.generator).__name__}"
    room = canvas.width - 2 * MARGIN
    draw.text(
        (MARGIN, MARGIN), theme.shorten(title, room, theme.font(26, bold=True)), theme.INK, theme.font(26, bold=True)
    )
    for n, (name, pictures) in enumerate(shown):
        x = MARGIN + label + n * (size[0] + GAP)
        draw.text((x, MARGIN + 46), name, theme.INK, bold)
        for i, pixels in enumerate(pictures):
            y = MARGIN + 76 + i * row
            method = Image.Resampling.NEAREST if max(height, width) <= 64 else Image.Resampling.LANCZOS
            canvas.paste(Image.fromarray(pixels).resize(size, method), (x, y))
            for j, feature in enumerate(names if n else ()):
                text = percent(results[n - 1].distances[feature][i])
                draw.text((x, y + size[1] + 6 + j * LINE), text, theme.INK, small)
    for i, photo in enumerate(task.photos):
        y = MARGIN + 76 + i * row
        draw.text((MARGIN, y), theme.shorten(Path(photo.label).name, label - GAP, bold), theme.INK, bold)
        draw.text((MARGIN, y + size[1] - 18), UNIT, theme.GREY, small)
        for j, feature in enumerate(names):
            text = theme.shorten(feature, label - GAP, small)
            draw.text((MARGIN, y + size[1] + 6 + j * LINE), text, theme.GREY, small)
    return png(canvas)


def page(task: Task, results: Sequence[Result], passes: float, folder: Path) -> str:
    """Return the page of an inversion, which needs no other file."""
    from jinja2 import Environment, StrictUndefined

    text = files("eigenwalk_invert").joinpath("report.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    shown = columns(task, results)
    rows = [
        {
            "label": photo.label,
            "note": photo.note,
            "pictures": [
                {
                    "title": title,
                    "image": _embedded(pictures[i]),
                    "distances": [(k, percent(of[i])) for k, of in results[n - 1].distances.items()] if n else [],
                }
                for n, (title, pictures) in enumerate(shown)
            ],
        }
        for i, photo in enumerate(task.photos)
    ]
    times = ", ".join(f"{TITLES.get(one.name, one.name)} {one.seconds / 60:.1f} min" for one in results)
    facts = {
        "generator": task.text or type(task.generator).__name__,
        "space": task.generator.space,
        "matched": ", ".join(
            f"{w:g} * {m.name}" if w != 1 else m.name for m, w in zip(task.matches, task.weights, strict=True)
        ),
        "region": task.options.region or "the whole photograph",
        "took": f"{times}; {passes:,.0f} generator passes",
    }
    return template.from_string(text).render(
        title=f"found in {facts['generator']}", rows=rows, facts=facts, command=walk_command(folder)
    )


def _embedded(pixels: Pixels) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST))
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()
