"""What a person can do: each act changes a session as the browser's JSON asks. No torch, no gradio."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eigenwalk.errors import InputError
from eigenwalk_studio import forms
from eigenwalk_studio.history import History
from eigenwalk_studio.state import LISTS, SETTINGS, List

if TYPE_CHECKING:
    from eigenwalk_studio.session import Session

SEEDS = 12
"""In the gallery at once."""
MOST_SEED = 1_000_000
"""The first of those in the gallery, at most."""
KEYS: Mapping[str, dict[str, Any]] = {
    "ArrowRight": {"act": "along", "by": 1},
    "ArrowLeft": {"act": "along", "by": -1},
    "ArrowDown": {"act": "across", "by": 1},
    "ArrowUp": {"act": "across", "by": -1},
    "Home": {"act": "along", "by": -1_000_000},
    "End": {"act": "along", "by": 1_000_000},
    "w": {"act": "walk"},
    "p": {"act": "pause"},
    "s": {"act": "stop"},
    "b": {"act": "branch"},
    "m": {"act": "masks"},
    "c": {"act": "compare"},
    "u": {"act": "undo"},
    "r": {"act": "redo"},
}
"""What keys do, unless one writes into a field."""

Act = Callable[["Session", Mapping[str, Any]], object]


def list_of(request: Mapping[str, Any]) -> List:
    """Return which list a request names; raises InputError where there is no such list."""
    part = request["list"]
    if part not in LISTS:
        raise InputError(f"there are the lists hold and vary, not {part!s:.20}")
    return part


def _generator(session: Session, request: Mapping[str, Any]) -> None:
    text = str(request["value"]).strip()
    session.library.check_generator(text)
    state = session.state.from_start(generator=text)
    own = re.split(r"[(:]", text)[0]
    worlds = {offer.name for offer in session.library.registry.generators} - {own}
    kept = {
        part: tuple(one for one in getattr(state, part) if one.lstrip("~").split(".")[0] not in worlds)
        for part in LISTS
    }
    session.first_seed = 0
    session.add(f"open {text}", replace(state, **kept))


def _seed(session: Session, request: Mapping[str, Any]) -> None:
    seed = int(request["value"])
    session.add(f"seed {seed}", session.state.from_start(seed=seed))


def _start(session: Session, request: Mapping[str, Any]) -> None:
    text = str(request["value"]).strip()
    state = session.state.from_start(start=text)
    session.library.recipe(state, ("pixels",))
    session.add(f"start at {text}", state)


def _photograph(session: Session, request: Mapping[str, Any]) -> None:
    from eigenwalk_studio.photographs import begin

    begin(session, str(request["path"]))


def _leave(session: Session, request: Mapping[str, Any]) -> None:
    if session.inversion is not None:
        session.inversion.wish = "stop"


def _seeds(session: Session, request: Mapping[str, Any]) -> None:
    session.first_seed = min(max(0, session.first_seed + SEEDS * int(request["by"])), MOST_SEED)


def _add(session: Session, request: Mapping[str, Any]) -> None:
    part, name = list_of(request), str(request["value"]).strip()
    spec = next((offer.spec for offer in session.library.registry.features if offer.name == name), None)
    session.put(part, forms.example(spec) if spec else name)
    session.open, session.adding, session.search = (part, len(getattr(session.state, part)) - 1), "", ""


def _remove(session: Session, request: Mapping[str, Any]) -> None:
    part, index = list_of(request), int(request["index"])
    text = getattr(session.state, part)[index]
    session.open = None
    session.add(f"remove {text}", session.state.without_feature(part, index))


def _move(session: Session, request: Mapping[str, Any]) -> None:
    part, index = list_of(request), int(request["index"])
    text = getattr(session.state, part)[index]
    session.open = None
    session.put("vary" if part == "hold" else "hold", text)
    if text in getattr(session.state, part):  # its tolerance or weight stayed behind
        gone = replace(session.state.without_feature(part, index))
        session.history = session.history.amend(gone)


def _text(session: Session, request: Mapping[str, Any]) -> None:
    part, index, text = list_of(request), int(request["index"]), str(request["value"]).strip()
    session.add(f"write {text}", session.state.with_text(part, index, forms.canonical(text, session.library.registry)))


def _option(session: Session, request: Mapping[str, Any]) -> None:
    value = request["value"]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    change = forms.Change(link=int(request.get("link", 0)), option=str(request["option"]), value=text)
    session.edit(request, change, f"{request['option']} = {text}")


def _negate(session: Session, request: Mapping[str, Any]) -> None:
    session.edit(request, forms.Change(link=int(request.get("link", 0)), negate=True), "turn over")


def _follow(session: Session, request: Mapping[str, Any]) -> None:
    name = str(request["value"])
    session.edit(request, forms.Change(follow=name), f"measure {name} of it" if name else "take the last part away")


def _tolerance(session: Session, request: Mapping[str, Any]) -> None:
    text = session.state.hold[int(request["index"])]
    typical = session.library.typical(session.state.generator, forms.without_limit(text))
    if not typical:
        raise InputError("the typical distance of this feature is not known yet: wait a moment")
    tolerance = float(f"{float(request['value']) / 100 * typical:.3g}")
    session.edit({**request, "list": "hold"}, forms.Change(tolerance=tolerance), f"tolerance {request['value']} %")


def _weight(session: Session, request: Mapping[str, Any]) -> None:
    session.edit(
        {**request, "list": "vary"}, forms.Change(weight=float(request["value"])), f"weight {request['value']}"
    )


def _point(session: Session, request: Mapping[str, Any]) -> None:
    x, y = float(request["x"]), float(request["y"])
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError("a point lies in the picture")
    session.point(x, y)


def _box(session: Session, request: Mapping[str, Any]) -> None:
    from eigenwalk_studio.pointing import box

    found = box(*(float(side) for side in request["box"]))
    session.forget_point()
    session.candidates = (found,)


def _brush(session: Session, request: Mapping[str, Any]) -> None:
    from eigenwalk_studio.pointing import brush

    found = brush(str(request["picture"]), session.library.out / "masks")
    session.forget_point()
    session.candidates = (found,)


def _choose(session: Session, request: Mapping[str, Any]) -> None:
    part, one = list_of(request), session.candidates[int(request["index"])]
    session.forget_point()
    session.put(part, one.text, f"{part} {one.label}")


def _forget(session: Session, request: Mapping[str, Any]) -> None:
    session.forget_point()
    session.adding, session.open = "", None


def _setting(session: Session, request: Mapping[str, Any]) -> None:
    name = str(request["name"])
    kind, low, high = SETTINGS[name]
    try:
        value = kind(number := float(request["value"]))
    except (ValueError, OverflowError):  # an empty field, or one that holds inf
        value, number = None, math.nan
    if value != number:
        whole = "whole " if kind is int else ""
        raise InputError(f"{name} is a {whole}number from {low} to {high}, got {request['value']!s:.40}")
    session.add(f"{name} {value}", replace(session.state, **{name: value}))


def _look(session: Session, request: Mapping[str, Any]) -> None:
    session.look_at(str(request["path"]), int(request["waypoint"]))


def _scrub(session: Session, request: Mapping[str, Any]) -> None:
    look = session.look()
    if look.path is not None:
        session.look_at(*look.at(look.path.rank, int(request["value"])))


def _refused(session: Session, request: Mapping[str, Any]) -> None:
    raise InputError(f"the file was not taken: {request['value']!s:.200}")


def _search(session: Session, request: Mapping[str, Any]) -> None:
    session.search, session.adding = str(request["value"])[:200], list_of(request)


def _expand(session: Session, request: Mapping[str, Any]) -> None:
    one = list_of(request), int(request["index"])
    session.open = None if session.open == one else one


def _toggle(name: str) -> Act:
    def act(session: Session, request: Mapping[str, Any]) -> None:
        setattr(session, name, not getattr(session, name))

    return act


def _tool(session: Session, request: Mapping[str, Any]) -> None:
    tool = request["value"]
    if tool not in ("point", "box", "brush"):
        raise InputError("one points, draws a box, or paints")
    session.tool = tool


def _undo(session: Session, request: Mapping[str, Any]) -> None:
    session.history, session.open = session.history.undo(), None


def _redo(session: Session, request: Mapping[str, Any]) -> None:
    session.history, session.open = session.history.redo(), None


def _open(session: Session, request: Mapping[str, Any]) -> None:
    history = History.parse(str(request["value"]))
    for _, state in history.entries:
        session.library.check_state(state)
    session.history, session.open = history, None


ACTS: Mapping[str, Act] = {
    "generator": _generator,
    "seed": _seed,
    "start": _start,
    "photograph": _photograph,
    "leave": _leave,
    "seeds": _seeds,
    "add": _add,
    "remove": _remove,
    "move": _move,
    "text": _text,
    "option": _option,
    "negate": _negate,
    "follow": _follow,
    "tolerance": _tolerance,
    "weight": _weight,
    "point": _point,
    "box": _box,
    "brush": _brush,
    "choose": _choose,
    "forget": _forget,
    "setting": _setting,
    "walk": lambda session, request: session.begin_walk(),
    "pause": lambda session, request: session.wish("pause"),
    "go": lambda session, request: session.wish("go"),
    "stop": lambda session, request: session.wish("stop"),
    "look": _look,
    "along": lambda session, request: session.along(int(request["by"])),
    "across": lambda session, request: session.across(int(request["by"])),
    "branch": lambda session, request: session.branch(),
    "scrub": _scrub,
    "refused": _refused,
    "read": lambda session, request: None,  # every act takes the notice away
    "search": _search,
    "expand": _expand,
    "masks": _toggle("masks"),
    "compare": _toggle("compare"),
    "tool": _tool,
    "undo": _undo,
    "redo": _redo,
    "open": _open,
}
"""What a person can do, by name."""
