"""``report.html``: the whole run on one page that needs nothing else, readable on a phone and in the dark."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import groupby
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import quote

from PIL import Image

from eigenwalk.errors import EigenwalkError, FileError
from eigenwalk.path import Path, Role, Waypoint
from eigenwalk.runs.command import command_of, waypoint_name
from eigenwalk.runs.command import quote as quote_words
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.chain import Chain, chain_of
from eigenwalk.runs.outputs.plot import plot_svg
from eigenwalk.runs.outputs.video import Video
from eigenwalk.runs.recipe import Recipe
from eigenwalk.textfile import parse_toml

PICTURES = 25
"""At most so many pictures of one path; the rest are in the video and in ``paths/``."""
ROOM = 84_000_000
"""Pixels of all pictures of a page, 80 of 1024 x 1024: with more they shrink, so that it can be opened and sent."""
LEAST = 320
"""Pixels of a picture's longer side that it does not shrink below."""


@dataclass(frozen=True)
class Page:
    """Page `number` of the `count` that a report has.

    Attributes:
        facts: of the whole run; see `run_facts`.
        total: paths of the whole run.
        left_out: paths that no page shows.
        folder: where the run is saved, as commands name it; None if it is not.
        link: from the page to that folder, as a link has it; "" if the page lies in it.
    """

    number: int
    count: int
    facts: Sequence[tuple[str, str]]
    total: int
    left_out: int = 0
    folder: FilePath | None = None
    link: str = ""

    @property
    def all(self) -> list[tuple[int, str]]:
        """Number and file name of every page."""
        return [(n, "report.html" if n == 1 else f"report-{n}.html") for n in range(1, self.count + 1)]


def report(paths: Sequence[Path], recipe: str, film: Video, page: Page | None = None) -> str:
    """Return the page of `paths`, with pictures, plot, film and recipe embedded.

    `recipe` is the text of ``recipe.toml``; its ``[installed]`` table becomes the list of versions. Of a run of many
    paths, `page` says where these stand.
    """
    from jinja2 import Environment, StrictUndefined

    page = page or Page(1, 1, run_facts(paths), len(paths))
    source = files("eigenwalk.runs.outputs").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    chains = {path.origin: chain_of(path, page.folder) for path in reversed(paths) if path.given}
    drawn = _Drawn(words.scale([*paths, *(link for one in chains.values() for link in one.links)]), _side(paths), page)
    starts = [(start, _pairs([*of], drawn)) for start, of in groupby(paths, lambda path: path.origin)]
    return environment.from_string(source).render(
        title=words.title(paths[0]),
        varied=[_feature(role) for role in paths[0].varied],
        fixed=[_feature(role) for role in paths[0].fixed],
        judged=[_feature(role) for role in paths[0].judged],
        page=page,
        starts=starts,
        chains={start: _chain(chain, drawn) for start, chain in chains.items()},
        command=_command(recipe),
        roles=paths[0].roles,
        plots=[data_uri(plot_svg(paths, dark=dark), "image/svg+xml") for dark in (False, True)],
        video=data_uri(film.data, film.mime),
        video_is_image=film.suffix == ".gif",
        notice=film.notice,
        recipe=recipe,
        versions=_versions(recipe),
    )


def picture_uri(waypoint: Waypoint, side: int) -> str:
    """The waypoint's image, its longer side at most `side` pixels, as a data URI: PNG where it is small, else JPEG."""
    image, buffer = Image.fromarray(waypoint.image), io.BytesIO()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    if max(image.size) <= 128:
        image.save(buffer, "PNG", optimize=True)
        return data_uri(buffer.getvalue(), "image/png")
    # A large picture is seen whole, where halved colours are not noticed and save half of the bytes.
    image.save(buffer, "JPEG", quality=90, subsampling="4:4:4" if max(image.size) <= LEAST else "4:2:0")
    return data_uri(buffer.getvalue(), "image/jpeg")


def _side(paths: Sequence[Path]) -> int:
    """Return how long the longer side of a picture may be: its own length, where all pictures fit into `ROOM`."""
    height, width = paths[0].waypoints[0].image.shape[:2]
    every = height * width * sum(min(len(path), PICTURES) for path in paths)
    return max(LEAST, round(max(height, width) * min(1.0, math.sqrt(ROOM / every))))


def data_uri(data: bytes, mime: str) -> str:
    """Return the address of `data` that holds all of it."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _feature(role: Role) -> dict[str, str]:
    """Return a feature's line in the head of the page: name, typical distance, tolerance in both units."""
    held = ""
    if role.tolerance is not None:
        held = f"{words.percent(words.tolerance(role))} of typical, {words.figure(role.tolerance)} {role.unit}"
    weight = "" if role.weight == 1 else f"weight {role.weight:g}"
    return {"name": role.name, "typical": f"{words.figure(role.typical)} {role.unit}", "held": held, "weight": weight}


def run_facts(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """(figure, what it is): a run in a few figures."""
    complete = sum(path.status.reason == "length" for path in paths)
    steps = sum(len(path) - 1 for path in paths)
    walked = sum(waypoint.cost.passes for path in paths for waypoint in path if waypoint.index)
    ends = [share for path in paths if math.isfinite(share := words.shares(path, path.waypoints[-1]).varied)]
    fixed = [share for path in paths for w in path if math.isfinite(share := words.shares(path, w).fixed)]
    alike = [share for path in paths for share in path.alike.values()]
    apart = [(words.percent(max([0.0, *alike])), "of varied change in common, the two most alike paths of a start")]
    return [
        (f"{complete} of {len(paths)}", "paths walked their full length"),
        (words.percent(sum(ends) / len(ends)) if ends else "–", "varied change at the end, mean of the paths"),
        (words.percent(max(fixed)) if fixed else "–", "largest fixed change at any waypoint"),
        (f"{walked / steps:.0f}" if steps else "–", "generator passes per waypoint"),
        (f"{sum(path.cost.passes for path in paths):,.0f}", "generator passes in all"),
        *(apart if alike else ()),
    ]


@dataclass(frozen=True)
class _Drawn:
    """What the drawing of every path of a page has in common.

    Attributes:
        scale: the share that a bar of full length stands for.
        side: pixels of a picture's longer side, at most.
        page: which of the pages it is.
    """

    scale: float
    side: int
    page: Page

    def saved(self, path: Path) -> tuple[str, str]:
        """Return where `path` is saved: as `--start` names it, and as a link to its tensors; "" where it is not."""
        file = self.page.folder and self.page.folder / "paths" / f"{path.name}.json"
        if not file or not file.is_file():
            return "", ""
        return str(file), f"{self.page.link}paths/{quote(path.name)}.safetensors"


def _pairs(paths: Sequence[Path], drawn: _Drawn) -> list[dict[str, Any]]:
    """Return the directions of one start as the page shows them: both senses in one row, through the start."""
    pairs = []
    for rank, of in groupby(paths, lambda path: path.rank):
        ways = sorted(of, key=lambda path: path.sense)  # − before +, as they stand in the row
        begun = _picture(ways[-1], ways[-1].waypoints[0], drawn)
        pairs.append({"title": f"direction {rank}", "begun": begun, "ways": [_way(path, drawn) for path in ways]})
    return pairs


def _chain(chain: Chain, drawn: _Drawn) -> dict[str, Any]:
    """Return the walks that lead to a start as the page shows them, each up to where the next one starts."""
    apart, links = replace(drawn, page=replace(drawn.page, folder=None)), []
    for number, (path, walked) in enumerate(zip(chain.links, chain.walked, strict=True), 1):
        way = _way(path, apart)
        there = path.waypoints[-1].index
        way |= {"side": "plus", "complete": True, "moved": "", "suspicions": [], "since": "", "title": f"walk {number}"}
        way["ending"] = (
            f"From {path.origin}, {words.label(path)}. Varied: {words.names(path.varied)}. Fixed: "
            f"{words.names(path.fixed)}. The next walk starts at waypoint {there}{f' of {walked}' if walked else ''}."
        )
        title, begun = f"walk {number} of {len(chain.links) + 1}", _picture(path, path.waypoints[0], apart)
        links.append({"title": title, "begun": begun, "ways": [way]})
    return {"links": links, "lost": chain.lost}


def _way(path: Path, drawn: _Drawn) -> dict[str, Any]:
    """Return one path as the page shows it, its pictures from the end to the one after the start."""
    last = path.waypoints[-1]
    file, tensors = drawn.saved(path)
    return {
        "sign": "+" if path.sense > 0 else "−",
        "side": "plus" if path.sense > 0 else "minus",
        "title": words.label(path),
        "ending": f"{words.ending(path)} {words.likeness(path)}".strip(),
        "moved": words.moved(path),
        "since": words.since(path),
        "suspicions": words.suspicions(path),
        "complete": path.status.reason == "length",
        "tensors": tensors,
        "end": _start(file, last),
        "pictures": [_picture(path, path.waypoints[i], drawn) for i in reversed(words.thin(len(path), PICTURES)) if i],
        "changes": [
            (role.part, _relative(last, role), f"{words.figure(last.changes[role.name])} {role.unit}")
            for role in path.roles
        ],
        "passes": f"{path.cost.passes:,.0f}",
        "steps": last.index,
    }


def _picture(path: Path, waypoint: Waypoint, drawn: _Drawn) -> dict[str, Any]:
    """Return one waypoint as the page shows it: an embedded image, its two figures, and how a walk starts there."""
    what, file = words.shares(path, waypoint), drawn.saved(path)[0]
    height, width = waypoint.image.shape[:2]
    return {
        "index": waypoint.index,
        "source": picture_uri(waypoint, drawn.side),
        "size": f"{width} × {height}",
        "width": width,
        "height": height,
        "start": _start(file, waypoint),
        "varied": words.percent(what.varied),
        "fixed": words.percent(what.fixed),
        "varied_width": _width(what.varied, drawn.scale),
        "fixed_width": _width(what.fixed, drawn.scale),
        "tolerance_at": _width(what.tolerance, drawn.scale) if math.isfinite(what.tolerance) else None,
    }


def _command(text: str) -> str:
    """Return the command that walks as the recipe in `text` does, but for its starts; "" if that is no recipe."""
    with suppress(EigenwalkError):
        return command_of(Recipe.parse(text).model_copy(update={"seeds": (0,), "starts": ()}))
    return ""


def _start(file: str, waypoint: Waypoint) -> str:
    """Return how a command starts at `waypoint` of the path saved in `file`; "" if that is nowhere."""
    return quote_words([waypoint_name(file, waypoint.index)]) if file else ""


def _width(share: float, scale: float) -> float:
    return round(100 * min(1.0, share / scale), 1) if math.isfinite(share) else 0.0


def _relative(waypoint: Waypoint, role: Role) -> str:
    return words.percent(waypoint.changes[role.name] / role.typical if role.typical else math.nan)


def _versions(recipe: str) -> list[tuple[str, str]]:
    """(distribution, version), with the versions that a resumed walk went on with."""
    versions: dict[str, str] = {}
    with suppress(FileError, AttributeError, LookupError, TypeError):  # a recipe that is none has no versions to show
        document = parse_toml(recipe, "recipe")
        versions |= {str(name): str(version) for name, version in document.get("installed", {}).items()}
        for again in document.get("resumed", ()):
            for name, version in again["installed"].items():
                versions[name] = f"{versions.get(name, '–')}, from waypoint {again['waypoint']} on {version}"
    return sorted(versions.items())
