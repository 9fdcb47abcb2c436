"""``report.html``: the whole run on one page that needs nothing else, readable on a phone and in the dark."""

from __future__ import annotations

import base64
import io
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from PIL import Image

from eigenwalk.path import Path, Role, Waypoint
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.plot import plot_svg
from eigenwalk.runs.outputs.strip import thin
from eigenwalk.runs.outputs.video import Video

PICTURES = 25
"""At most so many pictures of one path; the rest are in the video and in ``paths/``."""
LARGEST = 320
"""Pixels of a picture's longer side on the page."""


@dataclass(frozen=True)
class Picture:
    """One waypoint as the page shows it: an embedded image and its two figures."""

    index: int
    source: str
    varied: str
    fixed: str
    varied_width: float
    fixed_width: float
    tolerance_at: float | None


@dataclass(frozen=True)
class Row:
    """One path as the page shows it."""

    title: str
    ending: str
    complete: bool
    pictures: tuple[Picture, ...]
    changes: tuple[tuple[str, str, str], ...]
    passes: str
    steps: int


def report(paths: Sequence[Path], recipe: str, video: Video) -> str:
    """The page, with pictures, plot, video and recipe embedded.

    `recipe` is the text of ``recipe.toml``; its ``[installed]`` table becomes the list of versions.
    """
    from jinja2 import Environment, StrictUndefined

    paths = sorted(paths, key=lambda path: (path.seed, path.rank, -path.sense))
    source = files("eigenwalk.runs.outputs").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(source).render(
        title=words.title(paths[0]),
        varied=[_feature(role) for role in paths[0].varied],
        fixed=[_feature(role) for role in paths[0].fixed],
        facts=_facts(paths),
        seeds=[
            (seed, [_row(path, paths) for path in paths if path.seed == seed])
            for seed in sorted({p.seed for p in paths})
        ],
        roles=paths[0].roles,
        plots=[_uri(plot_svg(paths, dark=dark), "image/svg+xml") for dark in (False, True)],
        video=_uri(video.data, video.mime),
        video_is_image=video.suffix == ".gif",
        notice=video.notice,
        recipe=recipe,
        versions=_versions(recipe),
    )


def picture_uri(waypoint: Waypoint) -> str:
    """The waypoint's image as a data URI: PNG where it is small, JPEG of at most 320 pixels where it is large."""
    image = Image.fromarray(waypoint.image)
    buffer = io.BytesIO()
    if max(image.size) <= 128:
        image.save(buffer, "PNG", optimize=True)
        return _uri(buffer.getvalue(), "image/png")
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    image.save(buffer, "JPEG", quality=90, subsampling=0)
    return _uri(buffer.getvalue(), "image/jpeg")


def _uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _feature(role: Role) -> dict[str, str]:
    """A feature's line in the head of the page: name, typical distance, tolerance in both units."""
    held = ""
    if role.tolerance is not None:
        held = f"{words.percent(words.tolerance(role))} of typical, {words.figure(role.tolerance)} {role.unit}"
    weight = "" if role.weight == 1 else f"weight {role.weight:g}"
    return {"name": role.name, "typical": f"{words.figure(role.typical)} {role.unit}", "held": held, "weight": weight}


def _facts(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """(figure, what it is): the run in five figures."""
    ends = [words.moved(path, path.waypoints[-1]) for path in paths]
    complete = sum(path.status.reason == "length" for path in paths)
    steps = sum(len(path) - 1 for path in paths)
    walked = sum(waypoint.cost.passes for path in paths for waypoint in path if waypoint.index)
    varied = [end.varied for end in ends if math.isfinite(end.varied)]
    fixed = [share for path in paths for w in path if math.isfinite(share := words.moved(path, w).fixed)]
    return [
        (f"{complete} of {len(paths)}", "paths walked their full length"),
        (words.percent(sum(varied) / len(varied)) if varied else "–", "varied change at the end, mean of the paths"),
        (words.percent(max(fixed)) if fixed else "–", "largest fixed change at any waypoint"),
        (f"{walked / steps:.0f}" if steps else "–", "generator passes per waypoint"),
        (f"{sum(path.cost.passes for path in paths):,.0f}", "generator passes in all"),
    ]


def _row(path: Path, paths: Sequence[Path]) -> Row:
    scale = max((_extent(words.moved(p, w)) for p in paths for w in p), default=0.0) or 1.0
    shown = [path.waypoints[i] for i in thin(len(path), PICTURES)]
    last = path.waypoints[-1]
    changes = tuple(
        (role.part, _relative(last, role), f"{words.figure(last.changes[role.name])} {role.unit}")
        for role in path.roles
    )
    return Row(
        title=words.label(path),
        ending=words.ending(path),
        complete=path.status.reason == "length",
        pictures=tuple(_picture(path, waypoint, scale) for waypoint in shown),
        changes=changes,
        passes=f"{path.cost.passes:,.0f}",
        steps=last.index,
    )


def _picture(path: Path, waypoint: Waypoint, scale: float) -> Picture:
    what = words.moved(path, waypoint)
    return Picture(
        index=waypoint.index,
        source=picture_uri(waypoint),
        varied=words.percent(what.varied),
        fixed=words.percent(what.fixed),
        varied_width=_width(what.varied, scale),
        fixed_width=_width(what.fixed, scale),
        tolerance_at=_width(what.tolerance, scale) if math.isfinite(what.tolerance) else None,
    )


def _width(share: float, scale: float) -> float:
    return round(100 * min(1.0, share / scale), 1) if math.isfinite(share) else 0.0


def _extent(what: words.Moved) -> float:
    return max((v for v in (what.varied, what.fixed, what.tolerance) if math.isfinite(v)), default=0.0)


def _relative(waypoint: Waypoint, role: Role) -> str:
    return words.percent(waypoint.changes[role.name] / role.typical if role.typical else math.nan)


def _versions(recipe: str) -> list[tuple[str, str]]:
    try:
        document: dict[str, Any] = tomllib.loads(recipe)
    except tomllib.TOMLDecodeError:
        return []
    return sorted((str(name), str(version)) for name, version in document.get("installed", {}).items())
