"""One walk in its folder, a waypoint at a time; a person may stop it between two generator passes, and go on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Literal

from eigenwalk.errors import WalkError
from eigenwalk.names.registry import Registry
from eigenwalk.path import Path
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.watch import Watch, Work

if TYPE_CHECKING:
    from eigenwalk.objects.compose import Built
    from eigenwalk.runs.api import Run
    from eigenwalk.walk import Front
    from eigenwalk_studio.kept import Kept

Wish = Literal["go", "pause", "stop"]
Condition = Literal["waiting", "walking", "paused", "stopped", "finishing", "finished", "failed"]
ENDED = ("stopped", "finished", "failed")
"""Conditions of a walk that holds nothing but its paths."""
DRAW = """
import os, sys
from pathlib import Path
if hasattr(os, "nice"):
    os.nice(5)
from eigenwalk.runs.outputs.folder import RunFolder
with RunFolder.open(Path(sys.argv[1])) as folder:
    print(folder.write_outputs())
"""
"""What makes the pictures of the folder that it is called with."""
ROUGH = 8
"""Expansions for a rough first direction, half of a real one's: at six starts of two generators its cosine with the
real one was 0.87 to 1.00, and its quotient 0.98 to 1.09 times as large."""
PATIENCE = 2.0
"""Seconds that a first waypoint may take; where it takes longer, one direction is shown coarsely before."""


class Interrupted(KeyboardInterrupt):
    """A person wants the walk to stop where it is. No plugin catches it as an error of its own."""


class Watching(Watch):
    """Counts passes, says what goes on, and stops a walk that is no longer wished."""

    def __init__(self, walk: Walk):
        self.walk, self.work = walk, Work()
        self._before = 0.0, 0.0

    def stage(self, text: str, passes: float = 0.0) -> None:
        """Begin a stage."""
        self._before = self.work.passes, self.work.busy
        self.work.begin(text, passes)
        self.passed(0.0)

    def pace(self) -> float:
        """Return the seconds of a pass in this stage; passes that look for what fits into memory take longer."""
        passes, busy = self._before
        return (self.work.busy - busy) / max(1.0, self.work.passes - passes)

    def passed(self, passes: float) -> None:
        """Count passes; raise Interrupted where the walk is to stop."""
        self.walk.heard = time.monotonic()
        if passes:
            self.work.add(passes)
        if self.walk.wish != "go":
            raise Interrupted


@dataclass
class Walk:
    """A walk that sessions look at while the engine takes it on.

    Attributes:
        key: the name of its folder in the studio's.
        recipe: canonical.
        folder: claimed while it walks; let go when it is finished or stopped.
        paths: as far as they are walked.
        coarse: one direction, walked roughly, shown until there is better.
        wish: what people want of it.
        condition: what it does.
        error, notice: what went wrong; what else to say.
        turn: its place among all walks that were asked for; `served`: when it was taken on last.
        owner: the session that may stop it.
        paces: seconds that first waypoints took, by `kind`; of all walks of an engine.
        heard: when it gave a sign of life last, of `time.monotonic`.
    """

    key: str
    recipe: Recipe
    place: FilePath
    turn: int
    owner: str
    paces: Kept[tuple[str, ...], float]
    served: int = 0
    heard: float = 0.0
    folder: RunFolder | None = None
    paths: tuple[Path, ...] = ()
    coarse: tuple[Path, ...] = ()
    wish: Wish = "go"
    condition: Condition = "waiting"
    error: str = ""
    notice: str = ""
    notes: tuple[str, ...] = ()
    watch: Watching = field(init=False, repr=False)
    run: Run | None = field(default=None, repr=False)
    front: Front | None = field(default=None, repr=False)
    fronts: Iterator[Front] | None = field(default=None, repr=False)
    has_looked: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        self.watch = Watching(self)

    @property
    def is_alive(self) -> bool:
        """Whether it has something to do."""
        return self.condition in ("waiting", "walking", "finishing")

    @property
    def has_shown(self) -> bool:
        """Whether there is a step to look at."""
        return any(len(path) > 1 for path in (*self.paths, *self.coarse))

    @property
    def kind(self) -> tuple[str, ...]:
        """What its first waypoint's time depends on."""
        recipe = self.recipe
        return str(recipe.generator), str(recipe.paths), *map(str, recipe.fix), "", *map(str, recipe.vary)

    def take_step(self, registry: Registry, built: Built) -> None:
        """Take the walk on by a waypoint, to a rough first one, or to its pictures and its end.

        Raises:
            EigenwalkError: as the run and its folder raise it.
            Interrupted: it is no longer wished; what was walked is saved, and `take_step` goes on from there.
        """
        self.condition = "walking"
        if self.run is None:
            self._start(registry, built)
            return
        is_first = self.front is not None and not self.front.index
        if self.front is not None and is_first and not self.has_looked:
            self.has_looked = True
            if self._look_ahead(self.front):
                return
        if self.fronts is None:
            self.fronts = self._rest()
        began = time.monotonic()
        front = next(self.fronts, None)
        if is_first:
            self.paces.put(self.kind, time.monotonic() - began)
        if front is None:
            self._end()
        else:
            self.front, self.paths = front, front.paths

    def interrupt(self) -> None:
        """Note that it was interrupted: its run goes on from the last waypoint."""
        self.condition = "paused" if self.wish == "pause" else "stopped"
        self.fronts = None
        if self.run is not None and self.front is not None:
            self.front = replace(self.front, arrived=None)  # holds the activations of a pass
        if self.condition == "stopped":
            self.let_go()

    def fail(self, error: str) -> None:
        """Note what ended it."""
        self.condition, self.error = "failed", error
        self.let_go()

    def left(self, error: str) -> Walk:
        """Return what is seen of it from now on, where it hangs and may still change."""
        seen = Walk(self.key, self.recipe, self.place, self.turn, self.owner, self.paces, self.served, paths=self.paths)
        seen.condition, seen.error, seen.coarse, seen.notes = "failed", error, self.coarse, self.notes
        return seen

    def let_go(self) -> None:
        """Let the folder and the run go; what is saved stays."""
        if self.folder is not None:
            self.folder.release()
        self.folder = self.run = self.front = self.fronts = None
        if any(len(path) > 1 for path in self.paths):
            self.coarse = ()  # its pictures are in memory

    def _start(self, registry: Registry, built: Built) -> None:
        from eigenwalk.runs import api

        if self.folder is None:
            self.folder = RunFolder.claim(self.place, self.recipe.identity())
        if self.folder.state in ("walked", "finished"):
            self.paths = self.folder.paths
            self.condition = "finished" if self.folder.state == "finished" else "finishing"
            self.let_go()
            return
        resumed = {"paths": self.folder.paths, "arrays": self.folder.arrays} if self.folder.paths else {}
        self.run = api.start(self.recipe, registry=registry, watch=self.watch, built=built, **resumed)
        self.notes, self.paths = self.run.notes, self.folder.paths
        if not self.paths:  # the pictures of the starts, at once
            self.fronts = self._rest()
            self.front = next(self.fronts)
            self.paths = self.front.paths

    def _rest(self) -> Iterator[Front]:
        from eigenwalk.runs.saved import walk_and_save

        assert self.run is not None and self.folder is not None
        run = self.run.go_on(self.front) if self.front is not None else self.run
        return walk_and_save(run, self.recipe, self.folder)

    def _look_ahead(self, front: Front) -> bool:
        """Walk one direction roughly where the first waypoint of all of them keeps people waiting; say whether it did.

        How long that takes is known from an earlier walk, or reckoned from its most passes and how long a pass took.
        """
        from eigenwalk.maths.methods.outward import Outward

        assert self.run is not None
        _, passes = self.run.ahead(front)
        seconds = self.paces.get(self.kind) or passes * self.watch.pace()
        if seconds < PATIENCE:
            return False
        method = self.run.options.method
        if isinstance(method, Outward):
            method = replace(method, lead=replace(method.lead, cold=ROUGH))
        rough = replace(self.run.options, paths=2, steps=1, smooth=0.0, method=method)
        for found in replace(self.run, options=rough, resume=None).fronts():
            if any(len(path) > 1 for path in found.paths):
                self.coarse = found.paths
                return True
        return False

    def _end(self) -> None:
        """End the walk, but for its pictures."""
        from eigenwalk.runs.saved import finish

        if not any(len(path) > 1 for path in self.paths):
            said = "; ".join(dict.fromkeys(words.ending(path) for path in self.paths))
            raise WalkError(f"no path could take a step: {said}")
        assert self.run is not None and self.folder is not None
        finish(self.run, self.recipe, self.folder, self.paths, draws=False)
        self.paths = self.folder.paths
        self.condition = "finishing"
        self.let_go()


class Drawer:
    """Makes the pictures and the report of walks that have ended, one after another, each in a process of its own.

    Plots take the interpreter for seconds, in which no walk would get on; and what drawing takes of memory is freed.
    """

    def __init__(self) -> None:
        self._pool, self._process = ThreadPoolExecutor(1, "drawer"), None

    def draw(self, walk: Walk, done: Callable[[], object]) -> None:
        """Have a walk's pictures made; it is then finished, and `done` is called."""
        self._pool.submit(self._draw, walk, done)

    def close(self) -> None:
        """Leave off; the pictures are made when the walk is asked for again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._process is not None:
            self._process.kill()

    def _draw(self, walk: Walk, done: Callable[[], object]) -> None:
        command = [sys.executable, "-c", DRAW, str(walk.place.resolve())]
        try:
            self._process = subprocess.Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True)
            said, wrong = self._process.communicate()
            if self._process.returncode:
                raise OSError(
                    (wrong.strip().splitlines() or [f"the process ended with {self._process.returncode}"])[-1]
                )
            walk.notice, walk.condition = said.strip(), "finished"
        except OSError as error:
            walk.fail(f"the pictures of the report were not made: {error}")
        done()
