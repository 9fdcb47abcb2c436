"""A run's folder: claimed by one process, saved after every waypoint, finished with everything in it.

recipe.toml     from the beginning: says whose folder this is
progress/       while the walk goes on; see `progress`
paths/          at the end: every path, as `Path.save` writes it
strip.png, walk.mp4, plot.png, changes.csv, report.html
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal, Self

from safetensors import SafetensorError

from eigenwalk.errors import FileError, OutputError, reason
from eigenwalk.path import Path
from eigenwalk.runs.outputs.lock import NAME as LOCK
from eigenwalk.runs.outputs.lock import Lock
from eigenwalk.runs.outputs.progress import Arrays, load_progress, save_progress
from eigenwalk.store import write_whole

RECIPE, PROGRESS, DONE, PATHS = "recipe.toml", "progress", "progress.done", "paths"
OURS = (RECIPE, PROGRESS, DONE, PATHS, "strip.png", "walk.mp4", "walk.gif", "plot.png", "changes.csv", "report.html")
REMEDY = "give another folder with --out, or replace this one with --overwrite"
State = Literal["fresh", "unfinished", "finished"]


@dataclass
class RunFolder:
    """A folder that this process may write in; a context manager that lets it go.

    Attributes:
        path: the folder.
        state: ``fresh``, ``unfinished`` (to go on from `paths` and `arrays`) or ``finished``.
        paths: what was walked before, or saved since.
        arrays: the solver's state at the last waypoint that was saved.
        recipe: the text of ``recipe.toml`` where there is one.
    """

    path: FilePath
    lock: Lock
    made: tuple[FilePath, ...] = ()
    state: State = "fresh"
    paths: tuple[Path, ...] = ()
    arrays: Arrays = field(default_factory=dict)
    recipe: str = ""

    @classmethod
    def claim(cls, path: FilePath, identity: Mapping[str, Any], overwrite: bool = False) -> RunFolder:
        """The folder, locked, with what an earlier run of the same `identity` left in it.

        `identity` are the entries of ``recipe.toml`` that make it this run and no other.

        Raises:
            OutputError: another process writes there, it belongs to another run, or it is not a run's folder.
            FileError: what was saved there is damaged.
        """
        made = _make(path)
        try:
            lock = Lock(path)
        except OSError as error:
            _unmake(made)
            raise OutputError(f"cannot write in {path}: {reason(error)}; give another folder with --out") from error
        folder = cls(path, lock, made)
        try:
            folder._look(identity, overwrite)
        except BaseException:
            folder.release()
            raise
        return folder

    @property
    def kept(self) -> str:
        """How much is safe on disk, in words."""
        waypoints = sum(len(path) for path in self.paths)
        return f"{waypoints} waypoints of {len(self.paths)} paths" if waypoints else "nothing yet"

    def begin(self, recipe: str) -> None:
        """Makes the folder this run's: what an overwritten run left is removed, `recipe` is written."""
        with _Writing(self):
            if self.state == "fresh":
                self._clear()
            write_whole(self.path / RECIPE, recipe)
            self.recipe = recipe

    def save(self, index: int, paths: Sequence[Path], arrays: Arrays) -> None:
        """Saves what is new at waypoint `index`.

        Raises:
            OutputError: the disk is full or not writable; what was saved before still stands.
        """
        with _Writing(self):
            kept = {path.name: len(path) for path in self.paths}
            save_progress(self.path / PROGRESS, index, paths, kept, arrays)
            self.paths, self.arrays, self.state = tuple(paths), arrays, "unfinished"

    def take_up(self) -> bool:
        """Takes up what is saved of a run that is not finished; whether there is such a run.

        Also after a signal in this process, which may fall between the save and what is known of it.
        """
        if not (self.path / PROGRESS).is_dir():
            return False
        self.paths, self.arrays = load_progress(self.path / PROGRESS)
        self.state = "unfinished" if self.paths else "fresh"
        return True

    def finish(self, paths: Sequence[Path]) -> str:
        """Writes paths, pictures, table and report, and ends the run; a notice where something was made otherwise.

        Raises:
            OutputError: as `save`; the progress is then kept, so that the same command finishes later.
        """
        with _Writing(self):
            for path in paths:
                path.save(self.path / PATHS)
            self.paths = tuple(paths)
            notice = self.write_outputs()
            if (self.path / PROGRESS).exists():
                # Renamed first: a run that is killed while it removes files is finished, not damaged.
                (self.path / PROGRESS).rename(self.path / DONE)
            shutil.rmtree(self.path / DONE, ignore_errors=True)
            self.state = "finished"
        return notice

    def write_outputs(self) -> str:
        """Makes the pictures, the table and the report of `paths`; returns a notice, or nothing."""
        from eigenwalk.runs.outputs.plot import plot_png
        from eigenwalk.runs.outputs.report import report
        from eigenwalk.runs.outputs.strip import strip
        from eigenwalk.runs.outputs.table import table
        from eigenwalk.runs.outputs.video import video

        paths = [path for path in self.paths if len(path)]
        with _Writing(self):
            moving = video(paths)
            write_whole(self.path / "changes.csv", table(paths))
            write_whole(self.path / "strip.png", strip(paths))
            write_whole(self.path / "plot.png", plot_png(paths))
            write_whole(self.path / f"walk{moving.suffix}", moving.data)
            write_whole(self.path / "report.html", report(paths, self.recipe, moving))
        return moving.notice

    def release(self) -> None:
        """Lets the folder go, and removes it where nothing was ever written in it."""
        self.lock.release()
        _unmake(self.made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _look(self, identity: Mapping[str, Any], overwrite: bool) -> None:
        present = {entry.name for entry in self.path.iterdir()} - {LOCK}
        if present and RECIPE not in present:
            if any(not (name in OURS or name.endswith(".part")) for name in present):
                names = ", ".join(sorted(present)[:4]) + (", …" if len(present) > 4 else "")
                raise OutputError(f"{self.path} holds other files ({names}), not a run: give another folder with --out")
            return
        if not present or overwrite:
            return
        self.recipe = (self.path / RECIPE).read_text(encoding="utf-8", errors="replace")
        difference = _difference(self.path, self.recipe, identity)
        if difference:
            raise OutputError(f"{self.path} belongs to another run ({difference}): {REMEDY}")
        if not self.take_up() and list((self.path / PATHS).glob("*.json")):
            self.paths, self.state = load_paths(self.path), "finished"

    def _clear(self) -> None:
        for name in OURS:
            entry = self.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


def load_paths(folder: FilePath) -> tuple[Path, ...]:
    """The saved paths of a finished run, by seed, rank and sense.

    Raises:
        FileError: none is there, or one is damaged.
    """
    files = sorted((folder / PATHS).glob("*.json"))
    if not files:
        raise FileError(f"{folder} holds no finished run: expected saved paths in {folder / PATHS}")
    return tuple(sorted((Path.load(file) for file in files), key=lambda path: (path.seed, path.rank, -path.sense)))


def load_run(folder: FilePath) -> tuple[tuple[Path, ...], str]:
    """The paths of a run, finished or not, and the text of its recipe.

    Raises:
        FileError: `folder` is no run's, or what it holds is damaged.
    """
    if not (folder / RECIPE).is_file():
        raise FileError(f"{folder} is not the folder of a run: it has no {RECIPE}")
    recipe = (folder / RECIPE).read_text(encoding="utf-8", errors="replace")
    paths = load_progress(folder / PROGRESS)[0] if (folder / PROGRESS).is_dir() else load_paths(folder)
    if not paths:
        raise FileError(f"{folder} has no waypoint yet: its run was stopped before the first")
    return paths, recipe


class _Writing:
    """Turns what a file system raises into an OutputError that says what is safe."""

    def __init__(self, folder: RunFolder):
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OSError, SafetensorError)):
            what = getattr(error, "filename", None) or self.folder.path
            raise OutputError(
                f"cannot write {what}: {reason(error)}. Kept in {self.folder.path}: {self.folder.kept}. Make room, and "
                "the same command goes on there"
            ) from error


def _make(path: FilePath) -> tuple[FilePath, ...]:
    """Creates the folder; returns what was created, innermost first."""
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{path} is a file: give a folder with --out") from None
    except OSError as error:
        _unmake(missing)
        raise OutputError(f"cannot create the folder {path}: {reason(error)}; give another with --out") from error
    return tuple(missing)


def _unmake(made: Sequence[FilePath]) -> None:
    for folder in made:
        try:
            folder.rmdir()
        except OSError:  # not empty, or never made: it stays as it is
            return


def _difference(path: FilePath, recipe: str, identity: Mapping[str, Any]) -> str:
    """The entries in which the recipe in the folder differs, in words; nothing where it is the same run."""
    try:
        there = tomllib.loads(recipe)
    except tomllib.TOMLDecodeError as error:
        return f"its {RECIPE} cannot be read: {error}"
    differ = [key for key, value in identity.items() if there.get(key) != value]
    return "; ".join(f"{key}: {there.get(key, 'not given')!r} there, {identity[key]!r} asked" for key in differ[:3])
