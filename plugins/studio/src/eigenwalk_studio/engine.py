"""Walks for all sessions: a thread that takes one walk on by one waypoint, then looks again whose turn it is."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from eigenwalk.errors import EigenwalkError, InputError, OutOfMemory
from eigenwalk.names.registry import Registry
from eigenwalk.runs.command import waypoint_name
from eigenwalk.runs.outputs.folder import PATHS, RunFolder
from eigenwalk.runs.recipe import Recipe
from eigenwalk.store import write_whole
from eigenwalk_studio.kept import LEAST, Kept, size_of_paths
from eigenwalk_studio.library import TEXTS, Library
from eigenwalk_studio.trust import Trust, short
from eigenwalk_studio.turns import Turns
from eigenwalk_studio.walks import ENDED, Drawer, Interrupted, Walk

if TYPE_CHECKING:
    from eigenwalk.path import Path, Waypoint
    from eigenwalk_studio.photographs import Inversion

WALKS = 256 << 20
"""Bytes in memory of walks that have ended, at most: of others, folders are read again when they are looked at."""


class Engine(Library):
    """Walks and looks for sessions; its arguments are those of `Library`."""

    def __init__(
        self,
        trust: Trust,
        out: FilePath,
        device: str = "cpu",
        memory: str | None = None,
        registry: Registry | None = None,
        changed: Callable[[str], object] = lambda key: None,
    ):
        super().__init__(trust, out, device, memory, registry, changed)
        self.walks: dict[str, Walk] = {}
        self.searches: list[Inversion] = []
        self.turn, self.closed = 0, False
        self.turns: Turns[Walk | Inversion] = Turns()
        self.paces: Kept[tuple[str, ...], float] = Kept(TEXTS)
        self.drawer = Drawer()
        self.walker = threading.Thread(target=self._walk_for_ever, name="walker", daemon=True)
        self.walker.start()

    def walk(self, recipe: Recipe, owner: str) -> Walk:
        """Return the walk of a recipe, which is walked if it was not before. A folder that another walks in is left."""
        with self.condition:
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
                known = self.walks[key] = Walk(key, recipe, self.out / key, self.turn, owner, self.paces)
            elif known.condition in ("paused", "stopped"):
                self._go(known)
            self._forget()
            self.condition.notify_all()
            return known

    def add(self, search: Inversion) -> None:
        """Put the search for a photograph's latent into the queue."""
        with self.condition:
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
            place = self.out / key
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
        self.changed(walk.key)

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
        folder = self.out / "starts"
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
        for pool in (self.looker, self.measurer):
            pool.shutdown(wait=False, cancel_futures=True)

    def _go(self, walk: Walk) -> None:
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
            looks = [walk.run.problem.linearisation for walk in self.walks.values() if walk.run is not None]
        return [one for look in looks for one in (look.generator, look.features)]

    def _walk_for_ever(self) -> None:
        while True:
            with self.condition:
                while not self.closed and not self._order() and not self.is_full:
                    self.condition.wait()
                if self.closed:
                    return
                walk = next(iter(self._order()), None)
            if self.is_full:
                self.make_room(self._in_use())
            if walk is None:
                continue
            began = time.monotonic()
            self._take_step(walk)
            with self.condition:
                self.turns.spend(walk, time.monotonic() - began)
            self.changed(walk.key if isinstance(walk, Walk) else "")

    def _take_step(self, walk: Walk | Inversion) -> None:
        try:
            if walk.wish != "go":
                raise Interrupted
            try:
                self._begin_or_go_on(walk)
            except OutOfMemory:
                if not self.make_room(self._in_use(), 0):
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
            self.build(walk.recipe)
        walk.take_step(self.registry, self.built)
        if isinstance(walk, Walk) and walk.condition == "finishing":
            self.drawer.draw(walk, lambda: self.changed(walk.key))
