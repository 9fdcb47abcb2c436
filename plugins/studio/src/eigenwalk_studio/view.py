"""A session as HTML. The template escapes every name, label and message. No torch, no gradio."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from eigenwalk.errors import EigenwalkError
from eigenwalk.path import Path, Role, Waypoint
from eigenwalk.runs.command import command_of, quote
from eigenwalk.runs.outputs import words
from eigenwalk_studio import forms
from eigenwalk_studio.session import KEYS, SEEDS, SETTINGS, Session
from eigenwalk_studio.state import LISTS, State
from eigenwalk_studio.trust import short

if TYPE_CHECKING:
    from eigenwalk_studio.walks import Walk

NEAR = 0.85
"""Share of its tolerance from which a held feature is near it."""
FOUND = 30
"""Features that a search shows."""
CONDITIONS = {
    "waiting": "waiting",
    "walking": "walking",
    "paused": "paused",
    "stopped": "stopped",
    "finishing": "making the pictures of the report",
    "finished": "finished",
    "failed": "failed",
}
EXPORTS = (
    ("png", "Pictures of this path"),
    ("sheet", "Contact sheet"),
    ("mp4", "Film"),
    ("gif", "GIF"),
    ("webp", "WebP"),
    ("npz", "Latents .npz"),
    ("npy", ".npy"),
    ("pt", ".pt"),
)
"""Kinds of `eigenwalk.export`, and what the page calls them."""
PLOT_WIDTH, PLOT_HEIGHT = 560, 150


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("eigenwalk_studio", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["act"] = lambda entries: json.dumps(entries, ensure_ascii=False)
    environment.filters["percent"] = words.percent
    return environment


def render(session: Session) -> str:
    """Return the page of a session."""
    with session.lock:
        return _environment().get_template("studio.html.j2").render(describe(session))


def describe(session: Session) -> dict[str, Any]:
    """Return what the template shows."""
    state, walk, path = session.state, session.walk, session.path()
    waypoint = path.waypoints[min(state.waypoint, len(path) - 1)] if path else None
    return {
        "state": state,
        "notice": session.notice,
        "keys": {key: json.dumps(act) for key, act in KEYS.items()},
        "undoes": session.history.undoes,
        "redoes": session.history.redoes,
        "generators": [offer.name for offer in session.engine.registry.generators if not _needs(offer.spec)],
        "seeds": [
            {"seed": seed, "picture": picture_id("seed", state.generator, seed)}
            for seed in range(session.first_seed, session.first_seed + SEEDS)
        ],
        "first_seed": session.first_seed,
        "can_invert": bool(entry_points(group="eigenwalk", name="invert")),
        "picture": _picture(session, path, waypoint),
        "tool": session.tool,
        "masks": session.masks,
        "compare": session.compare and waypoint is not None and waypoint.index > 0,
        "compares": waypoint is not None and waypoint.index > 0,
        "pointed": session.pointed,
        "candidates": session.candidates,
        "lists": [_list(session, part) for part in LISTS],
        "varied": session.varied if not state.vary else (),
        "walk": _walk(session, walk) if walk else None,
        "rows": _rows(session, walk, path, waypoint) if walk else [],
        "shown": _shown(walk, path, waypoint) if walk and path and waypoint else None,
        "position": session.position,
        "plot": _plots(walk, path, waypoint) if walk and path and waypoint else [],
        "settings": [(name, getattr(state, name), low, high) for name, (_, low, high) in SETTINGS.items()],
        "exports": EXPORTS,
        "command": _command(session, walk),
    }


def picture_id(kind: str, *what: Any) -> str:
    """Return the text by which the browser asks for a picture."""
    return json.dumps([kind, *what], ensure_ascii=False)


def _needs(spec: Any) -> bool:
    return any(option.required for option in spec.options)


def _command(session: Session, walk: Walk | None) -> str:
    if walk is not None:
        return f"{command_of(walk.recipe)} {quote(['--out', short(walk.place)])}"
    try:
        return command_of(session.engine.recipe(session.state, session.varied))
    except EigenwalkError:
        return ""


def _picture(session: Session, path: Path | None, waypoint: Waypoint | None) -> dict[str, Any]:
    """Return the ids of the large picture, of the start beside it, and of the masks over it."""
    state = session.state
    start = picture_id("seed", state.generator, state.start or state.seed)
    shown, masks = start, ""
    texts = [*((text, True) for text in state.hold), *((text, False) for text in session.varied)]
    texts = [(forms.without_limit(text), held) for text, held in texts if forms.mask_of(text, session.engine.registry)]
    if path and waypoint:
        kind = _kind(session.walk, path)
        shown = picture_id(kind, state.walk, path.name, waypoint.index)
        start = picture_id(kind, state.walk, path.name, 0)
    if texts and session.masks:
        where = (
            ["walk", state.walk, path.name, waypoint.index] if path and waypoint else ["seed", *json.loads(start)[1:]]
        )
        masks = picture_id("masks", where, texts)
    return {"shown": shown, "start": start, "masks": masks, "alt": _alt(state, path, waypoint)}


def _alt(state: State, path: Path | None, waypoint: Waypoint | None) -> str:
    if path is None or waypoint is None or not waypoint.index:
        return f"The start: {state.generator}, {state.start or f'seed {state.seed}'}"
    return (
        f"{words.label(path)}, waypoint {waypoint.index}: varied {words.percent(words.shares(path, waypoint).varied)}"
    )


def _kind(walk: Walk | None, path: Path) -> str:
    return "walk" if walk and path in walk.paths else "coarse"


def _list(session: Session, part: str) -> dict[str, Any]:
    engine, state = session.engine, session.state
    items = []
    for index, text in enumerate(getattr(state, part)):
        form = forms.read(text, engine.registry)
        opened = session.open == (part, index)
        typical = engine.typical(state.generator, forms.without_limit(text)) if not form.error else None
        share = None if typical is None else (form.tolerance or state.tolerance * typical) / typical
        percent = min(max(round(100 * share), 1), 100) if share is not None else 0
        items.append(
            {"index": index, "form": form, "open": opened, "typical": typical, "share": share, "percent": percent}
        )
    found = forms.offered(engine.registry, session.search, state.generator) if session.adding == part else []
    return {
        "name": part,
        "items": items,
        "searching": session.adding == part,
        "search": session.search if session.adding == part else "",
        "found": [{"spec": spec, "fetched": forms.fetched(spec)} for spec in found[:FOUND]],
        "more": max(0, len(found) - FOUND),
        "follows": [offer.name for offer in engine.registry.features if not _needs(offer.spec)],
    }


def _walk(session: Session, walk: Walk) -> dict[str, Any]:
    place = session.engine.place(walk)
    doing = walk.watch.work.text() if walk.condition == "walking" else ""
    waits = f"{place} before it" if place and walk.is_alive else ""
    return {
        "condition": walk.condition,
        "words": ", ".join(filter(None, (CONDITIONS[walk.condition], waits, doing))),
        "mine": walk.owner in (session.name, ""),
        "error": walk.error,
        "notes": [note for note in (*walk.notes, walk.notice) if note],
        "coarse": walk.shown is not walk.paths,
        "index": max((path.waypoints[-1].index for path in walk.shown), default=0),
        "steps": walk.recipe.most_steps,
        "folder": str(walk.place),
        "finished": walk.condition == "finished",
    }


def _rows(session: Session, walk: Walk, shown: Path | None, at: Waypoint | None) -> list[dict[str, Any]]:
    """Return a row for each direction: sense - from its end to the start, then sense +."""
    rows = []
    for rank in sorted({path.rank for path in walk.shown}):
        senses = {path.sense: path for path in walk.shown if path.rank == rank}
        thumbnails, endings = [], []
        for sense in (-1, 1):
            path = senses.get(sense)
            if path is None:
                continue
            points = list(path)[1:] if sense > 0 and len(senses) > 1 else list(path)
            points = points[::-1] if sense < 0 else points
            thumbnails += [_thumbnail(walk, path, one, shown, at) for one in points]
            if path.status.reason not in ("walking", "length"):
                endings.append(f"{words.label(path)}: {words.brief_ending(path)}")
        moved = [
            f"{'+' if path.sense > 0 else '−'} {words.moved(path)}" for path in senses.values() if words.moved(path)
        ]
        suspicions = [text for path in senses.values() for text in words.suspicions(path)]
        rows.append({"rank": rank, "thumbnails": thumbnails, "endings": endings, "moved": moved, "warn": suspicions})
    return rows


def _thumbnail(walk: Walk, path: Path, waypoint: Waypoint, shown: Path | None, at: Waypoint | None) -> dict[str, Any]:
    what = words.shares(path, waypoint)
    strained = what.fixed / what.tolerance if math.isfinite(what.fixed) and what.tolerance else 0.0
    is_start = waypoint.index == 0
    here = bool(shown and at and at.index == waypoint.index and (is_start or path.name == shown.name))
    here = here and (not is_start or shown is None or shown.rank == path.rank)
    figures = f"varied {words.percent(what.varied)}"
    if math.isfinite(what.fixed):
        figures += f", held {words.percent(what.fixed)} of {words.percent(what.tolerance)}"
    return {
        "path": path.name,
        "waypoint": waypoint.index,
        "picture": picture_id(_kind(walk, path), walk.key, path.name, waypoint.index, "thumbnail"),
        "label": "start" if is_start else f"{words.label(path)}, waypoint {waypoint.index}: {figures}",
        "start": is_start,
        "here": here,
        "coarse": _kind(walk, path) == "coarse",
        "varied": round(100 * min(1.0, what.varied)) if math.isfinite(what.varied) else 0,
        "strained": round(100 * min(1.0, strained)),
        "near": strained >= NEAR,
    }


def _shown(walk: Walk, path: Path, waypoint: Waypoint) -> dict[str, Any]:
    """Return the figures of the picture that is shown, feature by feature."""
    rows = []
    for role in path.roles:
        share = waypoint.changes[role.name] / role.typical if role.typical else math.nan
        limit = words.tolerance(role)
        rows.append(
            {
                "name": role.name,
                "part": {"fixed": "held", "varied": "varied"}.get(role.part, "judged"),
                "share": words.percent(share),
                "limit": words.percent(limit) if math.isfinite(limit) else "",
                "near": math.isfinite(limit) and share >= NEAR * limit,
            }
        )
    title = "the start" if not waypoint.index else f"{words.label(path)}, waypoint {waypoint.index}"
    first, last = _ends(walk, path)
    return {"title": title, "rows": rows, "first": first, "last": last}


def _ends(walk: Walk, path: Path) -> tuple[int, int]:
    """Return the first and the last position in the row of a path's direction."""
    ends = [one.sense * one.waypoints[-1].index for one in walk.shown if one.rank == path.rank]
    return min(0, *ends), max(0, *ends)


def _plots(walk: Walk, path: Path, waypoint: Waypoint) -> list[dict[str, Any]]:
    """Return a plot for each feature along the row of a direction: lines in pixels, the limit, what is said of it."""
    pair = sorted((one for one in walk.shown if one.rank == path.rank), key=lambda one: one.sense)
    if not any(len(one) > 1 for one in pair):
        return []
    return [_plot(role, pair, _ends(walk, path), path.sense * waypoint.index) for role in path.roles]


def _plot(role: Role, pair: Sequence[Path], ends: tuple[int, int], at: int) -> dict[str, Any]:
    points = sorted(
        {
            (one.sense * w.index, w.changes.get(role.name, math.nan) / (role.typical or math.nan))
            for one in pair
            for w in one
        }
    )
    points = [(x, y) for x, y in points if math.isfinite(y)]
    limit = words.tolerance(role)
    heights: list[float] = [0.1, *(abs(y) for _, y in points), *([limit] if math.isfinite(limit) else [])]
    top = 1.08 * max(heights)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - ends[0]) / max(1, ends[1] - ends[0])
        return round(8 + across * (PLOT_WIDTH - 16), 1), round(PLOT_HEIGHT - 6 - abs(y) / top * (PLOT_HEIGHT - 12), 1)

    by_x = dict(points)
    return {
        "name": role.name,
        "part": {"fixed": "held", "varied": "varied"}.get(role.part, "judged"),
        "line": " ".join("{},{}".format(*place(x, y)) for x, y in points),
        "limit": place(0, limit)[1] if math.isfinite(limit) else None,
        "limit_words": words.percent(limit) if math.isfinite(limit) else "",
        "here": place(at, by_x[at]) if at in by_x else None,
        "now": words.percent(by_x[at]) if at in by_x else "",
        "most": words.percent(max((abs(y) for _, y in points), default=0.0)),
        "width": PLOT_WIDTH,
        "height": PLOT_HEIGHT,
    }
