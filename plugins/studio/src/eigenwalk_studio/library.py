"""What all sessions share to look at: generators, features, images of starts, typical distances; and who may open what.

The looker, a thread, does what takes moments: pictures of seeds, masks, what lies under a click. The measurer, another,
measures typical distances, of features that may never answer.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError, ExpressionError, FileError, InputError
from eigenwalk.maths.typical import reference_images, typical_distance
from eigenwalk.names.expression import parse, parse_generator
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_generator, resolve_whole
from eigenwalk.names.tree import Open, bare
from eigenwalk.objects.compose import build_feature, build_generator, compose
from eigenwalk.runs.memory.allocator import give_back
from eigenwalk.runs.memory.fitting import total
from eigenwalk.runs.memory.words import in_bytes
from eigenwalk.runs.ready import check_files
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.starts import file_of, read_latents, settle_space
from eigenwalk.runs.typical_cache import cached_typical
from eigenwalk.walk.start import sample_start
from eigenwalk_studio.forms import mask_of
from eigenwalk_studio.kept import Kept, Shelf, size_of
from eigenwalk_studio.state import LONGEST
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.worker import Worker

if TYPE_CHECKING:
    from eigenwalk.generator import Generator
    from eigenwalk_studio.state import State

T = TypeVar("T")
IMAGES, TEXTS = 256 << 20, 4 << 20
"""Bytes in memory, at most: of images of starts, and of what is known about texts that were typed."""
BUILT = 0.25
"""Of the machine's memory, or half of what a walk may take: for generators and features that nobody walks with."""
FAULTY = 60.0
"""Seconds until a feature that raised is tried again."""


@dataclass(frozen=True)
class Fault:
    """What a feature raised, and until when that is believed."""

    words: str
    until: float


class Library:
    """Finds, builds and keeps what is named; safe to be called by several threads.

    Args:
        trust: what visitors may open.
        out: folder of the walks, one folder each.
        device, memory: as of a recipe.
        registry: the plugins; by default all that are installed.
        changed: called with a walk's key whenever there is more to see of it; "" where it is of no walk.
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
        self.built = Shelf()
        self.condition = threading.Condition()
        self.looker, self.measurer = Worker("looker"), Worker("measurer")
        self._trees: Kept[Any, Any] = Kept(TEXTS)
        self._images: Kept[tuple[str, Any], Tensor] = Kept(IMAGES, size_of)
        self._typical: Kept[tuple[str, str], float | Fault | None] = Kept(TEXTS)
        self._most_built = in_bytes(memory) // 2 if memory else int(BUILT * total(torch.device(device)))
        self._on_shelf = 0
        self._building, self._built_since = threading.RLock(), math.inf

    def close(self) -> None:
        """End its threads."""
        for worker in (self.looker, self.measurer):
            worker.close()

    def mind(self, patience: float) -> None:
        """Go on without what has hung for `patience` seconds: in new threads, and building anew."""
        self.looker.mind(patience)
        self.measurer.mind(patience)
        if time.monotonic() - self._built_since > patience:
            self._building, self._built_since = threading.RLock(), math.inf

    # What is typed

    def check_generator(self, text: str) -> Any:
        """Return the resolved tree of a generator's text; raises InputError or FileError where it is not allowed."""
        check_length(text)
        tree = parse_generator(text)
        self.trust.check(tree)
        file = os.stat(os.path.expanduser(tree.path)) if isinstance(tree, Open) and os.path.exists(tree.path) else None
        key = text, file and (file.st_mtime_ns, file.st_size)
        if known := self._trees.get(key):  # a page is drawn many times, and a file may be large
            return known
        tree = resolve_generator(tree, self.registry)
        self.trust.check(tree)
        return self._trees.put(key, tree)

    def node(self, text: str) -> Any:
        """Return the resolved tree of a feature's text; raises as `check_generator`."""
        check_length(text)
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
            self.check_start(state.start)
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
            with self._alone():
                recipe = settle_space(recipe, [read_latents(state.start)], self.registry, self.built)[0]
        return recipe

    def check_state(self, state: State) -> None:
        """Raise where a state names a file or code that visitors may not open; what is merely wrong is seen later."""
        for text in (*state.hold, *state.vary):
            with suppress(ExpressionError):
                self.trust.check(parse(text))
        self.trust.check(parse_generator(state.generator))
        if state.start:
            self.check_start(state.start)

    def check_start(self, text: str) -> None:
        """Raise FileError where a start names a file that visitors may not open."""
        try:
            file = file_of(text)
        except (OSError, ValueError, RuntimeError) as error:  # a name that is too long, no such ~user
            raise FileError(f"{text!s:.200} is no path: {error}") from None
        self.trust.check_path(file)

    # Looking

    def look(self, what: Callable[..., T], *args: Any) -> Future[T]:
        """Have the looker call `what`."""
        return self.looker.submit(what, *args)

    def generator(self, text: str) -> Generator:
        """Return the loaded generator, the same one for all sessions."""
        tree = self.check_generator(text)
        with self._alone():
            generator = build_generator(tree, self.registry, self.built)[0]
        self._notice_built()
        return generator.to(torch.device(self.device), torch.float32)

    def feature(self, text: str) -> Any:
        """Return a built feature, the same one for all sessions."""
        node = bare(self.node(text))
        with self._alone():
            feature = build_feature(node, self.registry, self.built)[0]
        self._notice_built()
        return feature.to(torch.device(self.device), torch.float32)

    def _notice_built(self) -> None:
        if self.is_full:
            with self.condition:
                self.condition.notify_all()

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
        image = self._images.get(key)
        if image is None:
            generator = self.generator(text)
            if isinstance(start, int):
                latent = sample_start(generator, start).latent
            else:
                self.check_start(start)
                latents = read_latents(start)
                recipe = Recipe.of(generator=text, vary=["pixels"], starts=[start]).canonical(self.registry)
                recipe = settle_space(recipe, [latents], self.registry, self.built)[0]  # as a walk from there
                generator = self.generator(str(recipe.generator))
                latent = latents.starts(generator)[0].latent
            image = self._images.put(key, generator(latent[None].to(self.device, torch.float32)))
        return image

    def typical(self, generator: str, text: str) -> float | None:
        """Return a feature's typical distance, or None while it is not known; the measurer then measures it."""
        key = generator, text
        known = self._typical.get(key)
        if key not in self._typical or (isinstance(known, Fault) and time.monotonic() > known.until):
            self._typical.put(key, None)
            self.measurer.submit(self._measure_typical, generator, text)
        return None if isinstance(known, Fault) else known

    def fault(self, generator: str, text: str) -> str:
        """Return why a feature's typical distance cannot be measured, and no walk taken with it; "" otherwise."""
        known = self._typical.get((generator, text))
        return known.words if isinstance(known, Fault) else ""

    def _measure_typical(self, generator: str, text: str) -> None:
        try:
            tree = self.check_generator(generator)
            node = bare(self.node(text))
            with self._alone():
                network, used = build_generator(tree, self.registry, self.built)
                feature, brought = build_feature(node, self.registry, self.built)
            feature.to(torch.device(self.device), torch.float32)
            network.to(torch.device(self.device), torch.float32)
            names = str(node), str(tree), str(torch.float32)
            known = cached_typical(
                names,
                (*used, *brought),
                lambda: typical_distance((str(node), feature), reference_images(network, self.device)),
            )
        except EigenwalkError as error:
            known = Fault(str(error), time.monotonic() + FAULTY)
        self._typical.put((generator, text), known)
        self.changed("")

    def build(self, recipe: Recipe) -> None:
        """Build what a walk needs, once for all threads; raises as `check_state`: a folder may hold another's walk."""
        for tree in recipe.trees:
            self.trust.check(tree)
        for start in recipe.starts:
            self.check_start(start)
        recipe = recipe.canonical(self.registry)
        for tree in recipe.trees:
            self.trust.check(tree)
        with self._alone():
            build_generator(recipe.generator, self.registry, self.built)
            compose(recipe.fix, recipe.vary, self.registry, self.built)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Build while no other thread does."""
        while not (lock := self._building).acquire(timeout=0.5):
            pass  # `mind` may have replaced it meanwhile
        self._built_since = time.monotonic()
        try:
            yield
        finally:
            self._built_since = math.inf
            lock.release()

    @property
    def is_full(self) -> bool:
        """Whether more was built since `make_room` looked last."""
        return len(self.built) != self._on_shelf

    def make_room(self, in_use: Iterable[Any], most: int | None = None) -> int:
        """Drop what was built and is not in use until it takes at most so many bytes; return how many bytes went.

        The walker alone calls this: the core, which it runs, must not miss what it has just found.
        """
        with self._alone():
            went = self.built.trim(self._most_built if most is None else most, in_use)
            self._on_shelf = len(self.built)
        if went:
            give_back()
        return went


def check_length(text: str) -> None:
    """Raise InputError where a text that was typed is too long to be looked at."""
    if len(text) > LONGEST:
        raise InputError(f"an expression has at most {LONGEST:,} characters")
