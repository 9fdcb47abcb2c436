"""Invert photographs, step by step: an iterator that says where it stands, and can be left at any time.

    from eigenwalk_invert import invert

    for event in invert("faces", ["me.png"], out="found/me"):
        event.stage, event.done, event.images       # "w", 0.4, (photos, 3, height, width): the picture so far
    event.found.latents                             # (photos, latent)

With `out`, everything lies in that folder, and the same call goes on where it was left.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eigenwalk.generator import Generator
from eigenwalk.images import read
from eigenwalk.maths.linearise.calls import images_of
from eigenwalk.names.registry import Registry
from eigenwalk.objects.build import provenance
from eigenwalk.runs.starts import IN_FOLDER, SPACES
from eigenwalk.runs.watch import Watch
from eigenwalk.walk.start import picture
from eigenwalk_invert.found import TUNED, Folder, Saved, check_folder, read_latents, read_tensors
from eigenwalk_invert.measure import measure
from eigenwalk_invert.pictures import page, picture_name, png, strip
from eigenwalk_invert.result import Result
from eigenwalk_invert.search import Inverter, Search
from eigenwalk_invert.task import Options, Task, prepare
from eigenwalk_invert.tune import Tuning, apply

EVERY = 10.0
"""Seconds between two saved states of a search, and six times as many of tuning, whose states are large."""


@dataclass(frozen=True)
class Found:
    """Photographs found in a generator.

    Attributes:
        task: what was to be inverted; after tuning, its generator is the tuned one.
        latents: ``(photos, latent)``.
        results: of every stage, in their order.
        passes: generator passes of the search, over all photographs.
        tuned: the tensors that tuning changed, by name; empty without tuning.
    """

    task: Task
    latents: Tensor
    results: tuple[Result, ...]
    passes: float
    tuned: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def generator(self) -> Generator:
        """The generator in which the photographs are, tuned if that was asked for."""
        return self.task.generator


@dataclass(frozen=True)
class Event:
    """Where an inversion stands.

    Attributes:
        stage: ``w``, ``w+``, ``z`` or ``tuned``.
        done: share of this stage, from 0 to 1.
        value: what is minimised, of each photograph: of two random samples it would be 1 for each feature.
        latents: the best so far ``(photos, latent)``.
        images: the picture so far ``(photos, 3, height, width)``, not clipped; None before the first step.
        passes: generator passes so far.
        found: the end; None until then.
    """

    stage: str
    done: float
    value: tuple[float, ...]
    latents: Tensor = field(repr=False)
    images: Tensor | None = field(repr=False)
    passes: float
    found: Found | None = field(default=None, repr=False)


def invert(
    generator: str | Generator,
    photos: Sequence[Any],
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    registry: Registry | None = None,
    watch: Watch | None = None,
    notes: Callable[[str], object] = lambda text: None,
    **options: Any,
) -> Iterator[Event]:
    """Yield an `Event` after every step; the last one has what was found.

    Args:
        generator: its expression, or a `Generator`, which tuning then changes itself.
        photos: files, or images ``(3, height, width)`` in [0, 1].
        out: folder to save in and to go on from.
        overwrite: whether to replace another inversion there.
        device: where to compute.
        registry: the plugins to use; by default, all that are installed.
        watch: is told what is being done before the first step.
        notes: is called with messages for the user.
        **options: of `eigenwalk_invert.task.Options`: match, region, align, passes, restarts, tune …

    Raises:
        EigenwalkError: as `prepare` and `Folder`.
    """
    if out is not None:
        check_folder(Path(out))  # at once: what follows takes a while
    options = {k: tuple(v) if k in ("match", "judge") else v for k, v in options.items()}
    task = prepare(generator, list(photos), Options(**options), registry or Registry.discover(), device, watch)
    for text in task.notes:
        notes(text)
    if out is None:
        yield from _Work(task, None, watch or Watch(), notes).run()
        return
    folder = Folder(Path(out), task.key, overwrite)
    try:
        yield from _Work(task, folder, watch or Watch(), notes).run()
    finally:
        folder.release()


class _Work:
    """One inversion, in a folder or in memory alone."""

    def __init__(self, task: Task, folder: Folder | None, watch: Watch, notes: Callable[[str], object]):
        self.task, self.folder, self.watch, self.notes = task, folder, watch, notes
        self.inverter = Inverter(task, watch)
        self.results: list[Result] = []
        self.passes, self.latents, self.changed = 0.0, torch.empty(0), dict[str, Tensor]()
        self.sums: dict[str, Any] = {}
        self.began, self.before, self.saved = time.monotonic(), 0.0, 0.0
        self.tune = json.dumps([task.options.tune, task.options.rate])

    def run(self) -> Iterator[Event]:
        """Search, tune, and write what was found, from where the folder stands."""
        known = (self.folder.document if self.folder else None) or {}
        if self.folder and known:
            self.results = list(self._saved_results(self.folder, known))
        state = self.folder.load_state() if self.folder else None
        wanted = bool(self.task.options.tune) and known.get("tune") != self.tune
        if self.folder and known.get("latents"):
            self.sums = {name: known[name] for name in ("latents", "tuned", "tune") if known.get(name)}
            self.latents, self.passes = read_latents(self.folder.path).to(self.task.device), known["passes"]
            if known.get("tuned") and not wanted:
                self.changed = read_tensors(self.folder.path, TUNED, known["tuned"])
                apply(self.task.generator, self.changed)
        else:
            yield from self._search(state)
            self._write()
        if wanted:
            yield from self._tune(state)
            self._write()
        found = Found(self.task, self.latents.cpu(), tuple(self.results), self.passes, self.changed)
        last = self.results[-1]
        yield Event(last.name, 1.0, (), found.latents, last.images, self.passes, found)

    def _search(self, state: Saved | None) -> Iterator[Event]:
        inverter = self.inverter
        if self.folder and not self.folder.document:
            self.folder.write(self._entries())
        if state and state.kind == "search":
            search, self.before = Search.restore(state.tensors, state.facts, self.task.device), state.seconds
            self.notes(f"going on after {search.total:.0f} generator passes")
        else:
            self.watch.stage("looking for starts among samples", inverter.looks)
            search = inverter.begin()
            with torch.no_grad():
                nearest = images_of(self.task.generator, inverter.latents(search)).cpu()
            value = tuple(search.value[inverter.best(search)].tolist())
            yield Event(inverter.names[0], 0.0, value, inverter.latents(search).cpu(), nearest, search.total)
        while (after := inverter.advance(search)) is not None:
            if after.stage != search.stage:
                self._end_stage(inverter.names[search.stage], inverter.latents(search))
            search = after
            if self.folder and self._is_due(EVERY):
                self.folder.save_state("search", search.tensors(), search.facts(), self._seconds())
            yield self._event(search)
        self._end_stage(inverter.names[search.stage], inverter.latents(search))
        self.passes, self.latents = search.total, inverter.latents(search)

    def _event(self, search: Search) -> Event:
        inverter = self.inverter
        best = inverter.best(search)
        value = tuple(float(search.value[row]) for row in best)
        images = None if search.images is None else search.images[best].cpu()
        name, latents = inverter.names[search.stage], inverter.latents(search).cpu()
        return Event(name, inverter.share(search), value, latents, images, search.total)

    def _tune(self, state: Saved | None) -> Iterator[Event]:
        tuning, total = Tuning(self.task, self.latents), self.task.options.tune
        if state and state.kind == "tune" and state.tune == self.tune:
            tuning.restore(state.tensors, state.facts)
            self.before = state.seconds
            self.notes(f"going on after {tuning.steps} steps of tuning")
        done, self.saved, self.began = False, 0.0, time.monotonic()
        try:
            while tuning.steps < total:
                tuning.advance(self.inverter.objective)
                if self.folder and self._is_due(6 * EVERY):
                    self.folder.save_state("tune", tuning.tensors(), tuning.facts(), self._seconds(), self.tune)
                assert tuning.value is not None and tuning.images is not None
                value = tuple(tuning.value.tolist())
                yield Event("tuned", tuning.steps / total, value, self.latents.cpu(), tuning.images.cpu(), self.passes)
            self.changed, done = tuning.changed(), True
        finally:
            if not done:
                tuning.undo()
        self._end_stage("tuned", self.latents)

    def _end_stage(self, name: str, latents: Tensor) -> None:
        with torch.no_grad():
            images = torch.cat([images_of(self.task.generator, row[None]) for row in latents])
        self.watch.stage(f"measuring what was found in {name}")
        result = Result(name, measure(self.task, images), images.cpu(), self._seconds())
        self.results = [*(one for one in self.results if one.name != name), result]
        self.began, self.before = time.monotonic(), 0.0
        if self.folder:
            for photo, image in zip(self.task.photos, picture(images), strict=True):
                self.folder.write_file(picture_name(photo, name), png(image))
            self.folder.write(self._entries())

    def _saved_results(self, folder: Folder, known: Mapping[str, Any]) -> Iterator[Result]:
        """Yield the results of stages that ended before, their images as they were saved."""
        for one in known.get("results", []):
            images = [read(folder.path / picture_name(photo, one["name"])) for photo in self.task.photos]
            distances = {k: tuple(math.nan if v is None else v for v in of) for k, of in one["distances"].items()}
            yield Result(one["name"], distances, torch.stack(images), one["seconds"])

    def _write(self) -> None:
        """Write everything that was found: the document last, which names the others' sums."""
        if not self.folder:
            return
        key, layers = self.task.generator.space, self.inverter.charts[0].layers
        key = "w" if key == "w+" else key if key in SPACES else "latents"
        latents = self.latents.unflatten(1, (layers, -1)) if layers > 1 else self.latents
        self.sums = {"latents": self.folder.save_tensors(IN_FOLDER, {key: latents})}
        if self.changed:
            self.sums |= {"tuned": self.folder.save_tensors(TUNED, self.changed), "tune": self.tune}
        for photo, image in zip(self.task.photos, picture(self.task.photographs), strict=True):
            self.folder.write_file(picture_name(photo, "photo"), png(image))
        self.folder.write_file("strip.png", strip(self.task, self.results))
        self.folder.write_file("report.html", page(self.task, self.results, self.passes, self.folder.path))
        self.folder.write(self._entries())
        self.folder.remove_state()

    def _entries(self) -> dict[str, Any]:
        """Return what the folder's document says: the sums of what was found too, once there is something."""
        task = self.task
        used = provenance(task.used)
        results = [
            {
                "name": one.name,
                "seconds": one.seconds,
                "distances": {k: [None if math.isnan(v) else v for v in of] for k, of in one.distances.items()},
            }
            for one in self.results
        ]
        return {
            "generator": task.text,
            "space": task.generator.space,
            "photos": [{"label": p.label, "name": p.name, "sha256": p.sha256, "note": p.note} for p in task.photos],
            "options": vars(task.options),
            "typical": {one.name: one.typical for one in (*task.matches, *task.judges)},
            "results": results,
            "passes": self.passes,
            "sums": used["weights"] | used["files"],
            "installed": used["installed"],
            **self.sums,
        }

    def _seconds(self) -> float:
        """Return how long this stage has taken, before it was stopped too."""
        return self.before + time.monotonic() - self.began

    def _is_due(self, seconds: float) -> bool:
        """Whether a state is to be saved now; the first is, at once."""
        now = time.monotonic()
        if self.saved and now - self.saved < seconds:
            return False
        self.saved = now
        return True
