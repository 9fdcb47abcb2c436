"""Write ``index.html``: the whole evaluation on one self-contained page, for phones and dark mode too."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eigenwalk.runs.outputs import words
from eigenwalk_evaluate import tables
from eigenwalk_evaluate.paths import Paths, value_at
from eigenwalk_evaluate.plan import Pair
from eigenwalk_evaluate.plots import pair_png, summary_png
from eigenwalk_evaluate.summary import Read, Summary

LARGEST = 192
"""Pixels of a picture's longer side on the page."""


@dataclass(frozen=True)
class Strip:
    """One method's pictures from one start: image and drift at each level, None beyond the path's end."""

    method: str
    pictures: tuple[tuple[str | None, str], ...]


def page(summary: Summary, grid: str) -> str:
    """Return the page, with tables, plots, pictures and grid embedded."""
    from jinja2 import Environment, StrictUndefined

    source = files("eigenwalk_evaluate").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pairs = [pair for pair in summary.plan.pairs if pair.is_ordinary and summary.of(pair)]
    return environment.from_string(source).render(
        notes=tables.notes(summary),
        failures=summary.failures,
        level=words.percent(summary.plan.grid.levels[-1]),
        overview=tables.overview(summary) if pairs else None,
        methods=tables.by_method(summary) if pairs else None,
        ratios=found if (found := tables.ratio_table(summary))[1] else None,
        said=tables.RATIOS,
        plot=_png(summary_png(summary)) if pairs else None,
        pairs=[_pair(summary, pair) for pair in pairs],
        reads=[(table, _reads(by)) for table, by in tables.reads_by(summary).items()],
        said_of_readings=tables.READINGS,
        attributes=[_attributes(name, by) for name, by in tables.edits_by(summary).items()],
        grid=grid,
    )


def _pair(summary: Summary, pair: Pair) -> dict[str, Any]:
    rows = summary.of(pair)
    judges = tables.judge_table(summary, pair)
    return {
        "title": f"{pair.generator}: {pair.name}",
        "fixed": [str(one) for one in pair.recipe.fix],
        "varied": [str(one) for one in pair.recipe.vary],
        "table": tables.pair_table(summary, pair),
        "judges": judges if judges[1] else None,
        "plot": _png(pair_png(rows, summary.limit_of(pair))),
        "seeds": _strips(pair, summary.pictures.get((pair.generator, pair.name), [])),
        "level": words.percent(pair.levels[-1]),
    }


def _strips(pair: Pair, walks: list[tuple[str, Paths]]) -> list[tuple[int, list[str], list[Strip]]]:
    """Return the levels and each method's strip, for every shown seed."""
    found = []
    for n, seed in enumerate(pair.recipe.seeds[: pair.shown]):
        strips = [_strip(method, walked, n) for method, walked in walks if n < len(walked.shown)]
        if strips:
            levels = [words.percent(level) for level in walks[0][1].picture_levels]
            found.append((seed, levels, strips))
    return found


def _strip(method: str, walked: Paths, n: int) -> Strip:
    row = walked.shown[n]
    assert walked.pictures is not None
    pictures = []
    for level, image in zip(walked.picture_levels, walked.pictures[n], strict=True):
        drift = float(value_at(walked.drift[row : row + 1], walked.varied[row : row + 1], level)[0])
        pictures.append((_picture(image) if np.isfinite(drift) else None, f"{100 * drift:.0f} %"))
    return Strip(method, tuple(pictures))


def _reads(by_method: dict[str, list[Read]]) -> list[tuple[str, str, tables.Table]]:
    """Return method, level and table for each method."""
    return [(m, words.percent(r[0].pair.levels[-1]), tables.reading_table(r)) for m, r in by_method.items()]


def _attributes(generator: str, by_method: dict[str, list]) -> dict[str, Any]:
    every = [edit for edits in by_method.values() for edit in edits]
    return {
        "title": generator,
        "move": f"{every[0].pair.move:g}",
        "dependency": tables.dependency_table(every),
        "rescoring": [(method, tables.rescoring_table(edits)) for method, edits in by_method.items()],
    }


def _picture(image: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    if max(picture.size) <= 96:
        picture.save(buffer, "PNG", optimize=True)
        return _uri(buffer.getvalue(), "image/png")
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=88)
    return _uri(buffer.getvalue(), "image/jpeg")


def _png(data: bytes) -> str:
    return _uri(data, "image/png")


def _uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
