"""Walks for all sessions: a thread that takes one walk on by one waypoint, then looks again whose turn it is.

A feature or a generator that somebody installed may never answer, and no thread can be ended from outside. So another
thread, the minder, listens: a walker that is not heard of for `PATIENCE` is left alone with what it walks, and a new
one goes on with what others wait for. Once `MOST_HUNG` are left, nothing is walked any more, and all are told. The
library's threads are minded too. Code that never lets the interpreter go stops the minder as well.
"""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from eigenwalk.errors import EigenwalkError, InputError, OutOfMemory
from eigenwalk.runs.command import waypoint_name
from eigenwalk.runs.outputs.files import PATHS
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from eigenwalk.store import write_whole
from eigenwalk_studio.kept import LEAST, Kept, size_of_paths
from eigenwalk_studio.library import TEXTS, Library
from eigenwalk_studio.trust import short
from eigenwalk_studio.turns import Turns
from eigenwalk_studio.walks import ENDED, Drawer, Interrupted, Walk
from eigenwalk_studio.worker import MOST_HUNG, PATIENCE

if TYPE_CHECKING:
    from eigenwalk.path import Path, Waypoint
    from eigenwalk_studio.photographs import Inversion

WALKS = 256 << 20
"""Bytes in memory of walks that have ended, at most: of others, folders are read again when they are looked at."""
HELD_UP = "features or generators do not answer, and nothing is walked any more: the studio must be started anew"


class Engine:
    """Walks for sessions, with what is in the `library`."""

    def __init__(self, library: Library):
        self.library = library
        self.condition = library.condition  # one for both: the walker waits for walks, and for what was built
        self.walks: dict[str, Walk] = {}
        self.searches: list[Inversion] = []
        self.turn, self.closed = 0, False
        self.turns: Turns[Walk | Inversion] = Turns()
        self.paces: Kept[tuple[str, ...], float] = Kept(TEXTS)
        self.drawer = Drawer()
        self.hung: dict[threading.Thread, Walk | Inversion] = {}
        self.taken_on: tuple[Walk | Inversion, float] | None = None  # by the walker, and since when
        self.walker = self._new_walker()
        threading.Thread(target=self._mind, name="minder", daemon=True).start()

    def walk(self, recipe: Recipe, owner: str) -> Walk:
        """Return the walk of a recipe, which is walked if it was not before. A folder that another walks in is left.

        Raises:
            InputError: it hangs already, or too many do.
        """
        with self.condition:
            self._check_walker()
            if recipe.slug() in (one.recipe.slug() for one in self.hung.values() if isinstance(one, Walk)):
                raise InputError(f"this walk was left alone: {_silence()}, and may never do so")
            number, name = 1, recipe.slug()
            key = name
            while (
                (known := self.walks.get(key))
                and known.owner != owner
                and known.condition not in ("finishing", "finished", "failed")
            ):
                number += 1
                key = f"{name}-{number}"
            if known is None or known.condition == "failed":
                self.turn += 1
                known = self.walks[key] = Walk(key, recipe, self.library.out / key, self.turn, owner, self.paces)
            elif known.condition in ("paused", "stopped"):
                self._go(known)
            self._forget()
            self.condition.notify_all()
            return known

    def add(self, search: Inversion) -> None:
        """Put the search for a photograph's latent into the queue."""
        with self.condition:
            self._check_walker()
            self.turn += 1
            search.turn = self.turn
            self.searches = [one for one in self.searches if one.is_alive] + [search]
            self.condition.notify_all()

    def find(self, key: str) -> Walk | None:
        """Return a walk by its key, from memory or from its folder; None where there is none any more."""
        with self.condition:
            if known := self.walks.pop(key, None):
                self.walks[key] = known  # looked at last
                return known
            place = self.library.out / key
            if key in ("", "..") or FilePath(key).name != key or not place.is_dir():
                return None
            try:
                with RunFolder.open(place) as folder:
                    recipe = Recipe.parse(folder.recipe)
                    self.turn += 1
                    walk = Walk(key, recipe, place, self.turn, "", self.paces, paths=folder.paths)
                    walk.condition = "finished" if folder.state == "finished" else "stopped"
            except EigenwalkError:
                return None
            self.walks[key] = walk
            self._forget()
            return walk

    def wish(self, walk: Walk, wish: str, owner: str) -> None:
        """Let a walk of `owner` go on, pause or stop."""
        with self.condition:
            walk.owner = walk.owner or owner
            if walk.owner != owner:
                raise InputError("this walk is another visitor's: branch from it to walk on")
            if wish == "go" and walk.condition in ("paused", "stopped"):
                self._go(walk)
            elif wish in ("pause", "stop") and walk.condition in ("waiting", "walking", "paused"):
                walk.wish = wish  # type: ignore[assignment]
                if walk.condition != "walking":
                    walk.interrupt()
            self.condition.notify_all()
        self.library.changed(walk.key)

    def place(self, walk: Walk | Inversion) -> int:
        """Return how many come before a walk that has shown nothing yet; 0 for one that has: it takes turns."""
        with self.condition:
            order = self._order()
            return order.index(walk) if walk in order and not walk.has_shown else 0

    def others(self, walk: Walk | Inversion) -> int:
        """Return how many others a walk takes turns with."""
        with self.condition:
            return sum(one is not walk for one in self._order())

    def start_at(self, walk: Walk, path: Path, waypoint: Waypoint) -> str:
        """Return what ``--start`` takes to begin at a waypoint.

        A finished walk's path has a file, by which reports tell what came before; of one that may go on, the latent is
        saved.
        """
        if walk.condition in ("finishing", "finished"):
            return waypoint_name(short(walk.place / PATHS / f"{path.name}.json"), waypoint.index)
        folder = self.library.out / "starts"
        folder.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        np.save(stream, waypoint.latent, allow_pickle=False)
        file = folder / f"{walk.key}.{path.name}.{waypoint.index}.npy"
        write_whole(file, stream.getvalue())
        return short(file)

    def close(self) -> None:
        """End all threads; what was walked is saved."""
        with self.condition:
            self.closed = True
            for one in (*self.walks.values(), *self.searches):
                one.wish = "stop"
            self.condition.notify_all()
        self.drawer.close()
        self.library.close()

    def _check_walker(self) -> None:
        """Raise InputError if nothing is walked any more."""
        if len(self.hung) >= MOST_HUNG:
            raise InputError(HELD_UP)

    def _go(self, walk: Walk) -> None:
        self._check_walker()
        self.turn += 1
        walk.wish, walk.condition, walk.turn = "go", "waiting", self.turn

    def _order(self) -> list[Walk | Inversion]:
        """Return the walks and searches that are to be taken on, the next one first."""
        walks = (walk for walk in self.walks.values() if walk.condition != "finishing")
        return self.turns.order((*walks, *self.searches))

    def _forget(self) -> None:
        """Forget walks that have ended, those that were looked at longest ago first."""
        idle = {key: size_of_paths(walk.paths) + LEAST for key, walk in self.walks.items() if walk.condition in ENDED}
        total = sum(idle.values())
        for key, size in idle.items():
            if total > WALKS:
                del self.walks[key]
                total -= size

    def _in_use(self) -> list[Any]:
        """Return the objects of all walks that have begun and not ended."""
        with self.condition:
            walks = [one for one in (*self.walks.values(), *self.hung.values()) if isinstance(one, Walk)]
            looks = [walk.run.problem.linearisation for walk in walks if walk.run is not None]
        return [one for look in looks for one in (look.generator, look.features)]

    def _new_walker(self) -> threading.Thread:
        walker = threading.Thread(target=self._walk_for_ever, name="walker", daemon=True)
        walker.start()
        return walker

    def _mind(self) -> None:
        """Leave threads alone that hang, until the engine is closed."""
        while True:
            with self.condition:
                self.condition.wait(PATIENCE / 10)
                if self.closed:
                    return
                self.library.mind(PATIENCE)
                if self.taken_on is None:
                    continue
                walk, began = self.taken_on
                if time.monotonic() - max(began, walk.heard) < PATIENCE:
                    continue
                self._leave(walk, time.monotonic() - began)
            self.library.changed(walk.key if isinstance(walk, Walk) else "")

    def _leave(self, walk: Walk | Inversion, seconds: float) -> None:
        """Leave the walker alone with what it walks, and go on with a new one."""
        self.hung[self.walker] = walk
        self.taken_on, walk.wish = None, "stop"  # should it answer, it ends at the next pass and lets its folder go
        self.turns.spend(walk, seconds)
        if isinstance(walk, Walk):
            self.walks[walk.key] = walk.left(f"left alone: {_silence()}")
        else:
            walk.fail(_silence())
        if len(self.hung) < MOST_HUNG:
            self.walker = self._new_walker()
        else:
            for one in self._order():
                one.fail(HELD_UP)

    def _walk_for_ever(self) -> None:
        while True:
            with self.condition:
                while not self.closed and not self._order() and not self.library.is_full:
                    self.condition.wait()
                if self.closed:
                    return
                walk = next(iter(self._order()), None)
                self.taken_on = (walk, time.monotonic()) if walk else None
            if self.library.is_full:
                self.library.make_room(self._in_use())
            if walk is None:
                continue
            began = time.monotonic()
            self._take_step(walk)
            with self.condition:
                if self.hung.pop(threading.current_thread(), None):  # it has answered after all
                    if self.walker not in (threading.current_thread(), *self.hung):
                        return
                    self.walker = threading.current_thread()  # nobody else walks
                    continue
                self.taken_on = None
                self.turns.spend(walk, time.monotonic() - began)
            self.library.changed(walk.key if isinstance(walk, Walk) else "")

    def _take_step(self, walk: Walk | Inversion) -> None:
        try:
            if walk.wish != "go":
                raise Interrupted
            try:
                self._begin_or_go_on(walk)
            except OutOfMemory:
                if not self.library.make_room(self._in_use(), 0):
                    raise
                self._begin_or_go_on(walk)
        except Interrupted:
            walk.interrupt()
        except (EigenwalkError, OSError) as error:
            walk.fail(str(error))
        except Exception as error:  # a fault of ours must not end the thread that everybody waits for
            walk.fail(f"{type(error).__name__}: {error}")

    def _begin_or_go_on(self, walk: Walk | Inversion) -> None:
        if isinstance(walk, Walk) and walk.run is None:
            self.library.build(walk.recipe)
        walk.take_step(self.library.registry, self.library.built)
        if isinstance(walk, Walk) and walk.condition == "finishing":
            self.drawer.draw(walk, lambda: self.library.changed(walk.key))


def _silence() -> str:
    return f"a feature or the generator of it has not answered for {PATIENCE:g} s"
