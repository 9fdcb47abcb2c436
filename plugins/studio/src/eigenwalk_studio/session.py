"""One person's session: a history of states, and what the engine does for the one that is shown. No torch, no gradio.

The browser sends acts, JSON objects with the act's name; `Session.act` takes them. Whatever goes wrong becomes a notice
that the person reads; nothing else changes then.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from eigenwalk import store
from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk_studio import forms
from eigenwalk_studio.acts import ACTS, list_of
from eigenwalk_studio.history import LOOKING, History
from eigenwalk_studio.look import Look
from eigenwalk_studio.state import LONGEST, List, State

if TYPE_CHECKING:
    from eigenwalk_studio.engine import Engine
    from eigenwalk_studio.photographs import Inversion
    from eigenwalk_studio.pointing import Candidate
    from eigenwalk_studio.walks import Walk


class Session:
    """What one person sees and does. Its acts come one at a time; the engine may say at any time that there is more.

    Attributes:
        name: that nobody guesses; who knows it is this person.
        version: grows with everything that changes what is seen, over a new beginning of the studio too.
    """

    def __init__(self, name: str, engine: Engine, state: State, home: FilePath):
        self.name, self.engine, self.library, self.home = name, engine, engine.library, home
        self.history = History.of(state)
        self.version, self.seen = new_version(), time.monotonic()
        self.notice, self.search, self.first_seed, self.adding = "", "", 0, ""
        self.masks, self.compare, self.tool = True, False, "point"
        self.open: tuple[str, int] | None = None
        self.candidates: tuple[Candidate, ...] = ()
        self.pointed: tuple[float, float] | None = None
        self.inversion: Inversion | None = None
        self._pointing = 0
        self.lock = threading.RLock()

    @property
    def state(self) -> State:
        """What is shown."""
        return self.history.state

    @property
    def walk(self) -> Walk | None:
        """The walk that is shown."""
        return self.engine.find(self.state.walk) if self.state.walk else None

    @property
    def varied(self) -> tuple[str, ...]:
        """What a walk varies: the list, or, where it is empty, all that is outside what is held."""
        return self.state.vary or (forms.default_vary(self.state.hold, self.library.registry),)

    @property
    def is_new(self) -> bool:
        """Whether nothing was done in it yet."""
        return len(self.history.entries) == 1

    def look(self) -> Look:
        """Return what is seen at this moment."""
        return Look.of(self.walk, self.state)

    def changed(self) -> None:
        """Note that there is more to see."""
        self.version += 1

    def act(self, request: Mapping[str, Any]) -> None:
        """Do what the browser asks for; an error becomes a notice."""
        with self.lock:
            self.seen, self.notice = time.monotonic(), ""
            before = self.state
            try:
                json.dumps(request, ensure_ascii=False).encode()  # half a character could not be shown
                act = ACTS.get(str(request.get("act")))
                if act is None:
                    raise InputError(f"the studio knows no act {request.get('act')!s:.40}")
                act(self, request)
            except EigenwalkError as error:
                self.notice = str(error)[:LONGEST]
            except (
                LookupError,
                TypeError,
                ValueError,
                ArithmeticError,
                OSError,
                RuntimeError,
            ) as error:  # JSON that no page of ours sends
                self.notice = f"the act {request.get('act')!s:.40} lacks something: {error!s:.200}"
            if self.state != before:
                self._interrupt(before)
                self._save()
            self.changed()

    def add(self, label: str, state: State) -> None:
        """Show another state; raises FileError or InputError where it names what visitors may not open."""
        self.library.check_state(state)
        self.history = self.history.add(label, state)

    def _interrupt(self, before: State) -> None:
        """Stop the walk that was shown where something else is wanted now."""
        asked = ("generator", "seed", "start", "hold", "vary")
        if before.walk and any(getattr(before, name) != getattr(self.state, name) for name in asked):
            walk = self.engine.find(before.walk)
            if walk and walk.owner == self.name and walk.condition in ("waiting", "walking", "paused"):
                self.engine.wish(walk, "stop", self.name)
            self.forget_point()

    def _save(self) -> None:
        with suppress(OSError):  # a full disk costs the saved history alone
            self.home.mkdir(parents=True, exist_ok=True)
            store.write_whole(self.home / f"{self.name}.json", self.history.text())

    # Lists

    def put(self, part: List, text: str, label: str = "") -> None:
        """Add a feature to a list, or take it there from the other one."""
        text = forms.canonical(forms.moved(text, part), self.library.registry)
        self.add(label or f"{part} {text}", self.state.with_feature(part, text))

    def edit(self, request: Mapping[str, Any], change: forms.Change, label: str) -> None:
        """Change one feature through its form."""
        part, index = list_of(request), int(request["index"])
        text = forms.edit(getattr(self.state, part)[index], change, self.library.registry)
        self.add(label, self.state.with_text(part, index, text))

    def forget_point(self) -> None:
        """Drop what was pointed at, and what is still being found out about it."""
        self._pointing += 1
        self.candidates, self.pointed = (), None

    def point(self, x: float, y: float) -> None:
        """Have the engine find out what lies at (x, y) of the picture that is shown."""
        self.forget_point()
        self.pointed = x, y
        self.library.look(self._look_under, self._pointing, x, y)

    def _look_under(self, number: int, x: float, y: float) -> None:
        from eigenwalk_studio.pointing import candidates

        try:
            for one in candidates(self.library, self.state.generator, self.image(), x, y):
                if number != self._pointing:
                    return
                self.candidates = (*self.candidates, one)
                self.changed()
        except EigenwalkError as error:
            self.notice = str(error)
            self.changed()

    def image(self) -> Any:
        """Return the image that is shown, ``(1, 3, height, width)``."""
        from eigenwalk_studio.pictures import as_image

        if (waypoint := self.look().waypoint) is not None:
            return as_image(waypoint.image)
        return self.library.start_image(self.state.generator, self.state.start or self.state.seed)

    # Walking

    def begin_walk(self) -> None:
        """Walk what the state says; a walk that was walked before is there at once."""
        walk = self.engine.walk(self.library.recipe(self.state, self.varied), self.name)
        before = self.walk
        going = ("waiting", "walking", "paused")
        if before and before is not walk and before.owner == self.name and before.condition in going:
            self.engine.wish(before, "stop", self.name)
        self.add("walk", replace(self.state, walk=walk.key, path="", waypoint=0))

    def wish(self, wish: str) -> None:
        """Let the walk that is shown go on, pause or stop."""
        walk = self.walk
        if walk is None:
            raise InputError("there is no walk yet: press Walk")
        self.engine.wish(walk, wish, self.name)

    def look_at(self, name: str, waypoint: int) -> None:
        """Show a waypoint of a path."""
        path = next((one for one in self.look().paths if one.name == name), None)
        if path is None:
            raise InputError(f"there is no path {name!s:.40}")
        waypoint = min(max(waypoint, 0), len(path) - 1)
        self.add(LOOKING, replace(self.state, path=path.name, waypoint=waypoint))

    def along(self, by: int) -> None:
        """Move along the row of a direction, through the start from one sense to the other."""
        look = self.look()
        if look.path is not None:
            self.look_at(*look.at(look.path.rank, look.position + by))

    def across(self, by: int) -> None:
        """Move to the direction above or below, at the same place."""
        look = self.look()
        if look.path is not None:
            most = max(one.rank for one in look.paths)
            self.look_at(*look.at(min(max(look.path.rank + by, 1), most), look.position))

    def branch(self) -> None:
        """Take the picture that is shown as the start of further walks."""
        look = self.look()
        if look.path is None or look.waypoint is None or not look.waypoint.index:
            raise InputError("choose a picture to branch from: any after the start")
        if look.kind == "coarse":
            raise InputError("this picture is a rough one: wait for the walk's own")
        assert look.walk is not None
        start = self.engine.start_at(look.walk, look.path, look.waypoint)
        state = self.state.from_start(start=start, generator=look.path.generator)
        self.add(f"branch at {look.waypoint.index}", state)

    def recipe_text(self) -> str:
        """Return the recipe of what is shown, as TOML."""
        walk = self.walk
        return (walk.recipe if walk else self.library.recipe(self.state, self.varied)).text()


def new_version() -> int:
    """Return a version that is larger than those of before, of an earlier process too."""
    return time.time_ns() // 10**6
