"""A session as HTML. The template escapes every name, label and message. No torch, no gradio."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from eigenwalk.errors import EigenwalkError
from eigenwalk.path import Path, Role, Waypoint
from eigenwalk.runs.command import command_of, quote
from eigenwalk.runs.outputs import words
from eigenwalk_studio import forms
from eigenwalk_studio.acts import KEYS, SEEDS
from eigenwalk_studio.look import Look
from eigenwalk_studio.session import Session
from eigenwalk_studio.state import LISTS, SETTINGS, State
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
MEANINGS = {
    "steps": "waypoints of each path",
    "paths": "the two senses of a direction counted apart",
    "stride": "varied change per step, 1 as between two random images",
    "tolerance": "of what is held and names none, 1 as between two random images",
}
"""What the settings say."""
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
    state, look = session.state, session.look()
    lists = [_list(session, part) for part in LISTS]
    moved = look.waypoint is not None and look.waypoint.index > 0
    return {
        "state": state,
        "notice": session.notice,
        "keys": {key: json.dumps(act) for key, act in KEYS.items()},
        "undoes": session.history.undoes,
        "redoes": session.history.redoes,
        "generators": [offer.name for offer in session.library.registry.generators if not _needs(offer.spec)],
        "seeds": [
            {"seed": seed, "picture": picture_id("seed", state.generator, seed)}
            for seed in range(session.first_seed, session.first_seed + SEEDS)
        ],
        "first_seed": session.first_seed,
        "can_invert": any(offer.name == "invert" for offer in session.library.registry.commands),
        "search": _search(session),
        "picture": _picture(session, look),
        "tool": session.tool,
        "masks": session.masks,
        "compare": session.compare and moved,
        "compares": moved,
        "pointed": session.pointed,
        "candidates": _candidates(session),
        "looking": session.pointed is not None and not any(one.label == "this box" for one in session.candidates),
        "said": _said(session, look.walk),
        "plan": _plan(state, lists),
        "lists": lists,
        "varied": session.varied if not state.vary else (),
        "walk": _walk(session, look, look.walk) if look.walk else None,
        "rows": _rows(look),
        "shown": _shown(look, look.path, look.waypoint) if look.path and look.waypoint else None,
        "position": look.position,
        "plot": _plots(look, look.path) if look.path else [],
        "settings": [(name, getattr(state, name), MEANINGS[name]) for name in SETTINGS],
        "exports": EXPORTS,
        "command": _command(session, look.walk),
    }


def picture_id(kind: str, *what: Any) -> str:
    """Return the text by which the browser asks for a picture."""
    return json.dumps([kind, *what], ensure_ascii=False)


def _needs(spec: Any) -> bool:
    return any(option.required for option in spec.options)


def _command(session: Session, walk: Walk | None) -> str:
    device = ["--device", session.library.device] if session.library.device != "cpu" else []
    if walk is not None:
        return f"{command_of(walk.recipe)} {quote([*device, '--out', short(walk.place)])}"
    try:
        command = command_of(session.library.recipe(session.state, session.varied))
        return " ".join(filter(None, (command, quote(device))))
    except EigenwalkError:
        return ""


def _said(session: Session, walk: Walk | None) -> str:
    """Return what a screen reader reads out: what happens, without the waypoints that go by."""
    if session.candidates:
        return "This may be: " + ", ".join(one.label for one in session.candidates)
    if session.inversion is not None and session.inversion.is_looking:
        return "looking for the photograph"
    if walk is None:
        return ""
    if walk.condition == "walking" and walk.has_shown:
        return f"walking, {'' if any(len(path) > 1 for path in walk.paths) else 'rough '}pictures are there"
    place = session.engine.place(walk) if walk.is_alive else 0
    return f"waiting, {place} before it" if place else CONDITIONS[walk.condition]


def _plan(state: State, lists: list[dict[str, Any]]) -> str:
    """Return what pressing Walk would do."""
    if any(item["form"].error for part in lists for item in part["items"]):
        return "Mend what is marked in the lists, then press Walk."
    if state.hold:
        return f"What is held stays, {'what is named' if state.vary else 'all else'} varies: press Walk."
    return "What is named varies, nothing is held: press Walk." if state.vary else ""


def _candidates(session: Session) -> list[dict[str, Any]]:
    """Return what a click may mean, each with the id of a picture of what it covers."""
    return [
        {"label": one.label, "text": one.text, "cover": one.cover, "picture": picture_id("candidate", one.text, index)}
        for index, one in enumerate(session.candidates)
    ]


def _search(session: Session) -> dict[str, Any] | None:
    """Return how far the search for a photograph's latent is; None where there is none."""
    search = session.inversion
    if search is None or not search.is_looking:
        return None
    step = round(100 * search.done)
    place = session.engine.place(search)
    picture = picture_id("search", search.key, search.stage, step) if search.has_shown else ""
    said = f"{step}\u00a0% of the search in {search.stage}" if search.stage else "beginning"
    return {"words": said + (f", {place} before it" if place else ""), "picture": picture}


def _picture(session: Session, look: Look) -> dict[str, Any]:
    """Return the ids of the large picture, of the start beside it, and of the masks over it."""
    state, path, waypoint = session.state, look.path, look.waypoint
    start = picture_id("seed", state.generator, state.start or state.seed)
    shown, alt = start, f"The start: {state.generator}, {state.start or f'seed {state.seed}'}"
    if path and waypoint:
        shown = picture_id(look.kind, state.walk, path.name, waypoint.index)
        start = picture_id(look.kind, state.walk, path.name, 0)
        if waypoint.index:
            varied = words.percent(words.shares(path, waypoint).varied)
            alt = f"{words.label(path)}, waypoint {waypoint.index}: varied {varied}"
    texts = [*((text, True) for text in state.hold), *((text, False) for text in state.vary)]
    texts = [(forms.without_limit(text), held) for text, held in texts if forms.mask_of(text, session.library.registry)]
    masks = picture_id("masks", json.loads(shown), texts) if texts and session.masks else ""
    return {"shown": shown, "start": start, "masks": masks, "alt": alt}


def _list(session: Session, part: str) -> dict[str, Any]:
    library, state = session.library, session.state
    items = []
    for index, text in enumerate(getattr(state, part)):
        form = forms.read(text, library.registry)
        opened = session.open == (part, index)
        key = state.generator, forms.without_limit(text)
        typical = library.typical(*key) if not form.error else None
        form = replace(form, error=form.error or library.fault(*key))
        share = None if typical is None else (form.tolerance or state.tolerance * typical) / typical
        percent = min(max(round(100 * share), 1), 100) if share is not None else 0
        items.append(
            {"index": index, "form": form, "open": opened, "typical": typical, "share": share, "percent": percent}
        )
    found = forms.offered(library.registry, session.search, state.generator) if session.adding == part else []
    return {
        "name": part,
        "items": items,
        "searching": session.adding == part,
        "search": session.search if session.adding == part else "",
        "found": [{"spec": spec, "fetched": forms.fetched(spec)} for spec in found[:FOUND]],
        "more": max(0, len(found) - FOUND),
        "follows": [offer.name for offer in library.registry.features if not _needs(offer.spec)],
    }


def _walk(session: Session, look: Look, walk: Walk) -> dict[str, Any]:
    place = session.engine.place(walk)
    doing = walk.watch.work.text() if walk.condition == "walking" else ""
    others = session.engine.others(walk) if walk.condition in ("waiting", "walking") else 0
    waits = f"{place} before it" if place else f"taking turns with {others}" if others else ""
    wished = {"pause": "pausing", "stop": "stopping"}.get(walk.wish, "") if walk.is_alive else ""
    return {
        "condition": walk.condition,
        "words": ", ".join(filter(None, (wished or CONDITIONS[walk.condition], waits, doing))),
        "mine": walk.owner in (session.name, ""),
        "error": walk.error,
        "notes": [note for note in (*walk.notes, walk.notice) if note],
        "coarse": look.kind == "coarse",
        "index": max((path.waypoints[-1].index for path in look.paths), default=0),
        "steps": walk.recipe.most_steps,
        "folder": str(walk.place),
        "finished": walk.condition == "finished",
    }


def _rows(look: Look) -> list[dict[str, Any]]:
    """Return a row for each direction: sense - from its end to the start, then sense +.

    The starts stand one below the other, and there is room for what is still to come.
    """
    rows, walk = [], look.walk
    ahead = walk.recipe.most_steps if walk and walk.condition not in ("finished", "failed") else 0
    left, right = (
        max((ahead or len(path) - 1 for path in look.paths if path.sense == sense), default=0) for sense in (-1, 1)
    )
    for rank in sorted({path.rank for path in look.paths}):
        row = look.row(rank)
        thumbnails = []
        for path in row:
            points = list(path)[1:] if path.sense > 0 and len(row) > 1 else list(path)
            thumbnails += [_thumbnail(look, path, one) for one in points[:: path.sense]]
        chosen = next((one for one in thumbnails if one["here"]), next(one for one in thumbnails if one["start"]))
        chosen["tab"] = True  # the others are reached by arrows
        for one in thumbnails:
            one["column"] = left + 1 + one["position"]
        rows.append(
            {
                "rank": rank,
                "thumbnails": thumbnails,
                "columns": left + 1 + right,
                "ends": [_end(path) for path in row],
                "warn": [text for path in row for text in words.suspicions(path)],
            }
        )
    return rows


def _end(path: Path) -> dict[str, str]:
    """Return what moved most along a path and why it ended early: briefly for its side of the row, and all of it."""
    moved = words.moved(path)
    ended = "" if path.status.reason in ("walking", "length") else words.brief_ending(path)
    brief = "; ".join(filter(None, ("" if moved.startswith("still") else moved.split("; still")[0], ended)))
    return {
        "side": "minus" if path.sense < 0 else "plus",
        "text": (f"◂ {brief}" if path.sense < 0 else f"{brief} ▸") if brief else "",
        "whole": "; ".join(filter(None, (moved, ended))),
    }


def _thumbnail(look: Look, path: Path, waypoint: Waypoint) -> dict[str, Any]:
    what = words.shares(path, waypoint)
    strained = what.fixed / what.tolerance if math.isfinite(what.fixed) and what.tolerance else 0.0
    is_start, shown = waypoint.index == 0, look.path
    here = look.position == path.sense * waypoint.index and shown is not None and shown.rank == path.rank
    figures = f"varied {words.percent(what.varied)}"
    if math.isfinite(what.fixed):
        figures += f", held {words.percent(what.fixed)} of {words.percent(what.tolerance)}"
    figures += ", near its tolerance" if strained >= NEAR else ""
    return {
        "path": path.name,
        "waypoint": waypoint.index,
        "position": path.sense * waypoint.index,
        "picture": picture_id(look.kind, look.walk.key if look.walk else "", path.name, waypoint.index, "thumbnail"),
        "label": "start" if is_start else f"{words.label(path)}, waypoint {waypoint.index}: {figures}",
        "start": is_start,
        "here": here,
        "tab": False,
        "coarse": look.kind == "coarse",
        "varied": round(100 * min(1.0, what.varied)) if math.isfinite(what.varied) else 0,
        "strained": round(100 * min(1.0, strained)),
        "near": strained >= NEAR,
    }


def _shown(look: Look, path: Path, waypoint: Waypoint) -> dict[str, Any]:
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
    first, last = look.ends()
    near = ", ".join(f"{row['name']} near its tolerance" for row in rows if row["near"])
    return {"title": title, "said": f"{title}; {near}" if near else title, "rows": rows, "first": first, "last": last}


def _plots(look: Look, path: Path) -> list[dict[str, Any]]:
    """Return a plot for each feature along the row of a direction: lines in pixels, the limit, what is said of it."""
    row = look.row(path.rank)
    if not any(len(one) > 1 for one in row):
        return []
    return [_plot(role, row, look.ends(), look.position) for role in path.roles]


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
    span = max(1, ends[1] - ends[0])
    ticks = [(round(100 * (x - ends[0]) / span, 1), f"{x:+d}".replace("-", "−") if x else "start") for x in {0, *ends}]
    return {
        "rank": pair[0].rank,
        "near": at in by_x and math.isfinite(limit) and abs(by_x[at]) >= NEAR * limit,
        "ticks": ticks,
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
