"""What all sessions share: the loaded generator and features, a thread that walks, and a thread that looks.

The walker takes one walk on by one waypoint, then looks again whose turn it is (`turns`). The looker does what takes
moments: pictures of seeds, masks, what lies under a click.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError, ExpressionError, FileError, InputError
from eigenwalk.maths.typical import reference_images, typical_distance
from eigenwalk.names.expression import parse, parse_generator
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_generator, resolve_whole
from eigenwalk.names.tree import Open, bare
from eigenwalk.objects.compose import Built, build_feature, build_generator, compose
from eigenwalk.runs.command import waypoint_name
from eigenwalk.runs.outputs.folder import PATHS, RunFolder
from eigenwalk.runs.ready import check_files
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.starts import file_of, read_latents, settle_space
from eigenwalk.runs.typical_cache import cached_typical
from eigenwalk.store import write_whole
from eigenwalk.walk.start import sample_start
from eigenwalk_studio.forms import mask_of
from eigenwalk_studio.trust import Trust, short
from eigenwalk_studio.turns import Turns
from eigenwalk_studio.walks import Interrupted, Walk

if TYPE_CHECKING:
    from eigenwalk.generator import Generator
    from eigenwalk.path import Path, Waypoint
    from eigenwalk_studio.photographs import Inversion
    from eigenwalk_studio.state import State

T = TypeVar("T")
MOST_WALKS = 64
"""Walks in memory; of more, the oldest that have ended are read again from their folders when they are looked at."""
MOST_IMAGES = 128
"""Images of starts in memory."""


class Engine:
    """Walks and looks for sessions; safe to be called by several threads.

    Args:
        trust: what visitors may open.
        out: folder of the walks, one folder each.
        device, memory: as of a recipe.
        registry: the plugins; by default all that are installed.
        changed: called with a walk's key whenever there is more to see of it.
    """

    def __init__(
        self,
        trust: Trust,
        out: FilePath,
        device: str = "cpu",
        memory: str | None = None,
        registry: Registry | None = None,
        changed: Callable[[str], object] = lambda key: None,
    ):
        self.trust = replace(trust, own=out)
        self.out, self.device, self.memory, self.changed = out, device, memory, changed
        self.registry = registry or Registry.discover()
        self.built: Built = {}
        self.walks: dict[str, Walk] = {}
        self.searches: list[Inversion] = []
        self.turn, self.closed = 0, False
        self.turns: Turns[Walk | Inversion] = Turns()
        self.paces: dict[Any, float] = {}
        self.condition = threading.Condition()
        self._trees: dict[Any, Any] = {}
        self._images: OrderedDict[tuple[str, Any], Tensor] = OrderedDict()
        self._typical: dict[tuple[str, str], float | None] = {}
        self._building = threading.RLock()
        self.looker = ThreadPoolExecutor(1, "looker")
        self.walker = threading.Thread(target=self._walk_for_ever, name="walker", daemon=True)
        self.walker.start()

    # What is typed

    def check_generator(self, text: str) -> Any:
        """Return the resolved tree of a generator's text; raises InputError or FileError where it is not allowed."""
        tree = parse_generator(text)
        self.trust.check(tree)
        file = os.stat(os.path.expanduser(tree.path)) if isinstance(tree, Open) and os.path.exists(tree.path) else None
        key = text, file and (file.st_mtime_ns, file.st_size)
        if key not in self._trees:  # a page is drawn many times, and a file may be large
            self._trees[key] = resolve_generator(tree, self.registry)
        return self._trees[key]

    def node(self, text: str) -> Any:
        """Return the resolved tree of a feature's text; raises as `check_generator`."""
        tree = parse(text)
        self.trust.check(tree)  # before any file is looked for
        tree = resolve_whole(tree, self.registry)
        self.trust.check(tree)  # a word may have turned out to be a function in a file
        return tree

    def recipe(self, state: State, vary: tuple[str, ...]) -> Recipe:
        """Return the recipe of a state, every name looked up.

        Raises:
            InputError, FileError: something in it is wrong, or not allowed.
        """
        for text in (*state.hold, *vary):
            self.node(text)
        generator = self.check_generator(state.generator)
        entries: dict[str, Any] = {"seeds": (state.seed,)}
        if state.start:
            self._check_start(state.start)
            entries = {"starts": (state.start,)}
        settings = {name: getattr(state, name) for name in ("steps", "paths", "stride", "tolerance")}
        recipe = Recipe.of(
            generator=generator,
            fix=state.hold,
            vary=vary,
            device=self.device,
            memory=self.memory,
            **entries,
            **settings,
        )
        recipe = recipe.canonical(self.registry)
        check_files(recipe)
        if state.start:
            with self._building:
                recipe = settle_space(recipe, [read_latents(state.start)], self.registry, self.built)[0]
        return recipe

    def check_state(self, state: State) -> None:
        """Raise where a state names a file or code that visitors may not open; what is merely wrong is seen later."""
        for text in (*state.hold, *state.vary):
            with suppress(ExpressionError):
                self.trust.check(parse(text))
        self.trust.check(parse_generator(state.generator))
        if state.start:
            self._check_start(state.start)

    def _check_start(self, text: str) -> None:
        try:
            file = file_of(text)
        except (OSError, ValueError, RuntimeError) as error:  # a name that is too long, no such ~user
            raise FileError(f"{text!s:.200} is no path: {error}") from None
        self.trust.check_path(file)

    def start_at(self, walk: Walk, path: Path, waypoint: Waypoint) -> str:
        """Return what ``--start`` takes to begin at a waypoint.

        A finished walk's path has a file, by which reports tell what came before; of one that may go on, the latent is
        saved.
        """
        if walk.condition == "finished":
            return waypoint_name(short(walk.place / PATHS / f"{path.name}.json"), waypoint.index)
        folder = self.out / "starts"
        folder.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        np.save(stream, waypoint.latent, allow_pickle=False)
        file = folder / f"{walk.key}.{path.name}.{waypoint.index}.npy"
        write_whole(file, stream.getvalue())
        return short(file)

    # Looking

    def look(self, what: Callable[..., T], *args: Any) -> Future[T]:
        """Have the looker call `what`."""
        return self.looker.submit(what, *args)

    def generator(self, text: str) -> Generator:
        """Return the loaded generator, the same one for all sessions."""
        tree = self.check_generator(text)
        with self._building:
            generator = build_generator(tree, self.registry, self.built)[0]
        return generator.to(torch.device(self.device), torch.float32)

    def feature(self, text: str) -> Any:
        """Return a built feature, the same one for all sessions."""
        node = bare(self.node(text))
        with self._building:
            feature = build_feature(node, self.registry, self.built)[0]
        return feature.to(torch.device(self.device), torch.float32)

    def mask(self, text: str) -> Any:
        """Return the built projection in a feature's text, all of it or its first link; an error where it has none."""
        node = mask_of(text, self.registry)
        if node is None:
            raise InputError(f"{text} is no mask")
        return self.feature(str(node))

    @torch.no_grad()
    def start_image(self, text: str, start: int | str) -> Tensor:
        """Return the image ``(1, 3, height, width)`` of a seed, or of a latent in a file."""
        key = text, start
        if key not in self._images:
            generator = self.generator(text)
            if isinstance(start, int):
                latent = sample_start(generator, start).latent
            else:
                self._check_start(start)
                latents = read_latents(start)
                if latents.rows(generator.latent_dim) is None:
                    recipe = Recipe.of(generator=text, vary=["pixels"], starts=[start]).canonical(self.registry)
                    recipe = settle_space(recipe, [latents], self.registry, self.built)[0]
                    generator = self.generator(str(recipe.generator))
                latent = latents.starts(generator.latent_dim)[0].latent
            self._images[key] = generator(latent[None].to(self.device, torch.float32))
        self._images.move_to_end(key)
        while len(self._images) > MOST_IMAGES:
            self._images.popitem(last=False)
        return self._images[key]

    def typical(self, generator: str, text: str) -> float | None:
        """Return a feature's typical distance, or None while it is not known; the looker then measures it."""
        key = generator, text
        if key not in self._typical:
            self._typical[key] = None
            self.look(self._measure_typical, generator, text)
        return self._typical[key]

    def _measure_typical(self, generator: str, text: str) -> None:
        try:
            tree = self.check_generator(generator)
            node = bare(self.node(text))
            with self._building:
                network, used = build_generator(tree, self.registry, self.built)
                feature, brought = build_feature(node, self.registry, self.built)
            feature.to(torch.device(self.device), torch.float32)
            network.to(torch.device(self.device), torch.float32)
            names = str(node), str(tree), str(torch.float32)
            self._typical[generator, text] = cached_typical(
                names,
                (*used, *brought),
                lambda: typical_distance((str(node), feature), reference_images(network, self.device)),
            )
        except EigenwalkError:
            return  # the walk says why
        self.changed("")

    # Walking

    def walk(self, recipe: Recipe, owner: str) -> Walk:
        """Return the walk of a recipe, which is walked if it was not before. A folder that another walks in is left."""
        with self.condition:
            number, name = 1, recipe.slug()
            key = name
            while (
                (known := self.walks.get(key))
                and known.owner != owner
                and known.condition not in ("finished", "failed")
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
            if known := self.walks.get(key):
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
            return sum(one is not walk and one.condition != "finishing" for one in self._order())

    def close(self) -> None:
        """End both threads; what was walked is saved."""
        with self.condition:
            self.closed = True
            for one in (*self.walks.values(), *self.searches):
                one.wish = "stop"
            self.condition.notify_all()
        self.looker.shutdown(wait=False, cancel_futures=True)

    def _go(self, walk: Walk) -> None:
        self.turn += 1
        walk.wish, walk.condition, walk.turn = "go", "waiting", self.turn

    def _order(self) -> list[Walk | Inversion]:
        """Return the walks and searches that have something to do, the next one first."""
        return self.turns.order((*self.walks.values(), *self.searches))

    def _forget(self) -> None:
        idle = [key for key, walk in self.walks.items() if not walk.is_alive and walk.condition != "paused"]
        for key in idle[: max(0, len(self.walks) - MOST_WALKS)]:
            del self.walks[key]

    def _walk_for_ever(self) -> None:
        while True:
            with self.condition:
                while not self.closed and not self._order():
                    self.condition.wait()
                if self.closed:
                    return
                walk = self._order()[0]
            began = time.monotonic()
            self._take_step(walk)
            with self.condition:
                self.turns.spend(walk, time.monotonic() - began)
            self.changed(walk.key if isinstance(walk, Walk) else "")

    def _build(self, recipe: Recipe) -> None:
        """Build what a walk needs, once for all threads; raises as `check_state`: a folder may hold another's walk."""
        for tree in (recipe.generator, *recipe.fix, *recipe.vary):
            self.trust.check(tree)
        for start in recipe.starts:
            self._check_start(start)
        with self._building:
            build_generator(recipe.generator, self.registry, self.built)
            compose(recipe.fix, recipe.vary, self.registry, self.built)

    def _take_step(self, walk: Walk | Inversion) -> None:
        try:
            if walk.wish != "go" and walk.condition != "finishing":
                raise Interrupted
            if isinstance(walk, Walk) and walk.run is None:
                self._build(walk.recipe)
            walk.take_step(self.registry, self.built)
        except Interrupted:
            walk.interrupt()
        except (EigenwalkError, OSError) as error:
            walk.fail(str(error))
        except Exception as error:  # a fault of ours must not end the thread that everybody waits for
            walk.fail(f"{type(error).__name__}: {error}")
