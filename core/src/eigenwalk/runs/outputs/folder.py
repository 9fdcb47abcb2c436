"""A run's folder: claimed by one process, saved after every waypoint, finished with everything in it.

run.json        from the beginning: says that the folder is a run's and, at the end, which files it holds
recipe.toml     whose run it is
progress/       while the walk goes on; see `journal`
paths/          at the end: every path, as `Path.save` writes it
state.safetensors   at the end: the solver's state there, to go on from; left out where it takes much room
strip.png, walk.mp4, plot.png, changes.csv, report.html; of many paths also strip-2.png, walk-2.mp4, report-2.html …
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from eigenwalk.errors import FileError, InputError, OutputError, reason
from eigenwalk.path import Path, leave_on_disk
from eigenwalk.runs.further import compare
from eigenwalk.runs.outputs.chain import RUN, places
from eigenwalk.runs.outputs.files import (
    DONE,
    OURS,
    PART,
    PATHS,
    PROGRESS,
    RECIPE,
    STATE,
    clear,
    clear_folder,
    clear_pictures,
    create,
    ours,
    remove_empty,
)
from eigenwalk.runs.outputs.journal import NOTHING, STATES, Arrays, Journal, load_journal, save_waypoint
from eigenwalk.runs.outputs.lock import NAME as LOCK
from eigenwalk.runs.outputs.lock import Lock
from eigenwalk.runs.outputs.mark import Mark, read_mark, write_mark
from eigenwalk.runs.outputs.pages import draw_pages
from eigenwalk.sealed import read_tensors, sum_of
from eigenwalk.store import write_whole
from eigenwalk.textfile import parse_toml, read_text

REMEDY = "give another folder with --out, or replace this one with --overwrite"
State = Literal["fresh", "unfinished", "walked", "finished"]


@dataclass
class RunFolder:
    """A folder that this process may write in; a context manager that lets it go.

    Attributes:
        path: the folder.
        state: ``fresh``, ``unfinished`` (to go on from `paths` and `arrays`), ``walked`` (pictures are missing) or
            ``finished``.
        journal: what was walked before, or saved since; the pictures of its paths lie on disk.
        recipe: the text of ``recipe.toml`` where there is one.
        damage: which saved files are missing or damaged, in words.
        starts: files that its paths start in, and where they lie relative to the folder.
        back: paths that were taken back, by name, and the waypoint that each is shown up to.
        state_sum: the SHA-256 of the solver's state at the end of a finished run; None if it is not kept.
    """

    path: FilePath
    lock: Lock
    made: tuple[FilePath, ...] = ()
    state: State = "fresh"
    journal: Journal = NOTHING
    recipe: str = ""
    damage: str = ""
    starts: Mapping[str, str] = field(default_factory=dict)
    back: Mapping[str, int] = field(default_factory=dict)
    state_sum: str | None = None

    @classmethod
    def claim(cls, path: FilePath, identity: Mapping[str, Any], overwrite: bool = False) -> RunFolder:
        """Return the folder, locked, with what an earlier run of the same `identity` left in it.

        `identity` are the entries of ``recipe.toml`` that make it this run and no other.

        Raises:
            OutputError: another process writes there, it belongs to another run, or it is not a run's folder.
        """
        made = create(path)
        try:
            return cls._locked(path, made, identity, overwrite)
        except OSError as error:
            remove_empty(made)
            raise OutputError(f"cannot write in {path}: {reason(error)}; give another folder with --out") from error

    @classmethod
    def open(cls, path: FilePath, *, writes: bool = True) -> RunFolder:
        """Return the folder of any earlier run, locked, with those of its paths that can be read.

        Without `writes` it may lie where nobody can write.

        Raises:
            FileError: it is no run's folder, or holds no waypoint that can be read.
            OutputError: another process writes there, or this one may not.
        """
        if not ((path / RECIPE).is_file() or (path / RUN).is_file()):
            why = "name the folder that holds it" if path.is_file() else f"it has no {RECIPE}"
            raise FileError(f"{path} is not the folder of a run: {why}")
        try:
            folder = cls._locked(path, (), None, False, writes)
        except OSError as error:
            raise OutputError(f"cannot write in {path}: {reason(error)}") from error
        if not folder.paths:
            folder.release()
            lost = f"{folder.damage}; the same walk into it begins again" if folder.damage else "its run was stopped"
            raise FileError(f"{path} holds no waypoint: {lost}")
        if not folder.recipe:
            folder.damage = "; ".join(filter(None, (folder.damage, f"{path / RECIPE} is missing or empty")))
        return folder

    @classmethod
    def _locked(
        cls,
        path: FilePath,
        made: tuple[FilePath, ...],
        identity: Mapping[str, Any] | None,
        overwrite: bool,
        writes: bool = True,
    ) -> RunFolder:
        folder = cls(path, Lock(path, writes=writes), made)
        try:
            folder._look(identity, overwrite)
        except BaseException:
            folder.release()
            raise
        return folder

    @property
    def paths(self) -> tuple[Path, ...]:
        """What was walked before, or saved since."""
        return self.journal.paths

    @property
    def shown(self) -> tuple[Path, ...]:
        """The paths as people are to see them: those that were taken back end there."""
        return tuple(
            path.back_to(index) if (index := self.back.get(path.name, len(path))) < len(path) - 1 else path
            for path in self.paths
        )

    @property
    def arrays(self) -> Arrays:
        """The solver's state at the last waypoint that was saved."""
        return self.journal.arrays

    @property
    def kept(self) -> str:
        """How much is safe on disk, in words."""
        waypoints = sum(len(path) for path in self.paths)
        return f"{waypoints} waypoints of {len(self.paths)} paths" if waypoints else "nothing yet"

    def begin(self, recipe: str) -> None:
        """Make the folder this run's: mark it, remove what an overwritten run left, and write `recipe`."""
        with self._writing():
            if self.state == "fresh" and not self.damage:  # what replaces a damaged file comes before it goes
                self._mark(None)
                clear(self.path)
                self.state_sum = None
            write_whole(self.path / RECIPE, recipe)
            self.recipe = recipe

    def save(self, index: int, paths: Sequence[Path], arrays: Arrays) -> None:
        """Save what is new at waypoint `index`, whose pictures are from then on read from disk.

        Raises:
            OutputError: the disk is full or not writable; what was saved before still stands.
        """
        with self._writing():
            self.journal = save_waypoint(self.path / PROGRESS, index, paths, arrays, self.journal)
            self.state = "unfinished"

    def take_up(self) -> bool:
        """Take up what is saved of a run that is not finished; return whether there is such a run.

        Also after a signal in this process, which may fall between the save and what is known of it.
        """
        if not (self.path / PROGRESS).is_dir():
            return False
        self.journal = load_journal(self.path / PROGRESS)
        self.damage = self.journal.damage
        self.state = "unfinished" if self.paths else "fresh"
        return True

    def take_back(self, name: str, index: int | None) -> None:
        """Show path `name` only up to waypoint `index` from now on, or whole if that is None; all of it stays saved.

        Raises:
            InputError: there is no such path or waypoint, or the run has not come to its end.
        """
        if self.state not in ("walked", "finished"):
            raise InputError(f"{self.path} has not come to its end: go on with the same command, or wait for it")
        path = next((path for path in self.paths if path.name == name), None)
        if path is None:
            names = ", ".join(path.name for path in self.paths[:12])
            raise InputError(f"there is no path {name!r:.60} in {self.path}; there are {names}")
        if index is not None and index >= len(path):
            raise InputError(f"{name} has waypoints 0 to {len(path) - 1}, and cannot be taken back to {index}")
        back = {key: value for key, value in self.back.items() if key != name}
        self.back = back if index in (None, len(path) - 1) else {**back, name: index}

    def end_state(self) -> Arrays | None:
        """Return the solver's state at the end of a finished run; None if it was not kept, or is damaged."""
        if self.state_sum is None:
            return None
        try:
            return read_tensors(self.path / STATE, self.state_sum)
        except (FileError, SafetensorError):
            return None

    def go_on(self, paths: Sequence[Path], arrays: Arrays) -> None:
        """Make a finished run an unfinished one whose `paths` go on; its pictures stay until new ones are made."""
        with self._writing():
            first = min(path.waypoints[-1].index for path in paths if path.status.reason == "walking")
            self.journal = save_waypoint(self.path / PROGRESS, first, paths, arrays)
            self.state = "unfinished"

    def finish(self, paths: Sequence[Path], draws: bool = True) -> str:
        """Write paths, pictures, table and report, and end the run; return a notice if something was made otherwise.

        Unless `draws`, the run is ``walked``, and `write_outputs` ends it later, in another process if need be.

        Raises:
            OutputError: as `save`; the progress is then kept, so that the same command finishes later.
        """
        with self._writing():
            for path in paths:
                file = path.save(self.path / PATHS)
                leave_on_disk(path.waypoints, file.with_suffix(".safetensors"))
            if self.arrays:
                self._keep_state(self.arrays)
            self.journal, self.damage, self.state = Journal(tuple(paths)), "", "walked"
            if draws:
                notice = self.write_outputs()
            else:
                notice = ""
                clear_pictures(self.path)
                self._mark(["report.html", *self._saved()])
            if (self.path / PROGRESS).exists():
                # Renamed first: a run that is killed while it removes files is finished, not damaged.
                (self.path / PROGRESS).rename(self.path / DONE)
            clear_folder(self.path, DONE)
        return notice

    def _keep_state(self, arrays: Arrays) -> None:
        tensors = save({name: np.ascontiguousarray(value) for name, value in arrays.items()})
        self.state_sum = sum_of(tensors) if len(tensors) <= STATES else None
        if self.state_sum:
            write_whole(self.path / STATE, tensors)
        else:
            (self.path / STATE).unlink(missing_ok=True)

    def write_outputs(self, whole: bool = False) -> str:
        """Make the pictures, the table and the report; return a notice, or nothing.

        Unless `whole` asks for all, of many paths only the first pages are made; see `draw_pages`.
        """
        with self._writing():
            written, notice = self._draw(whole)
            clear_pictures(self.path, written)
            if self.state in ("walked", "finished"):
                self._mark([*written, *self._saved()])
                self.state = "finished"
        return notice

    def _saved(self) -> list[str]:
        return [f"{PATHS}/{path.name}{ending}" for path in self.paths for ending in (".json", ".safetensors")]

    def _draw(self, whole: bool) -> tuple[list[str], str]:
        paths = sorted((path for path in self.shown if len(path)), key=_order)
        return draw_pages(self.path, paths, self.recipe, whole)

    def release(self) -> None:
        """Let the folder go, and remove it if nothing was ever written in it."""
        self.lock.release()
        remove_empty(self.made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _look(self, identity: Mapping[str, Any] | None, overwrite: bool) -> None:
        """Find out what the folder holds; raise OutputError if it is not this run's."""
        present = {one.name for one in self.path.iterdir() if one.name != LOCK and not re.fullmatch(PART, one.name)}
        if not present:
            return
        for name in OURS:
            if (self.path / name).is_symlink():
                raise OutputError(f"{self.path / name} is a symbolic link, and no run writes through one: {REMEDY}")
        if (self.path / RECIPE).is_file():
            self.recipe = read_text(self.path / RECIPE, "recipe")
        files = self._finished_files(present)
        if overwrite:
            self.recipe, self.state_sum, self.starts, self.back = "", None, {}, {}
            return
        if not (self.recipe or files or any(ours(self.path, name) for name in OURS)):
            return  # a run that was killed before it wrote its recipe
        if identity is not None:
            self._check_identity(identity)
        if self.take_up() or files is None:
            return
        paths, damage = _load_paths(sorted({self.path / file for file in files if file.startswith(PATHS)}))
        self.damage = "; ".join(damage)
        if not damage:
            self.state = "finished" if all((self.path / file).is_file() for file in files) else "walked"
        if not damage or identity is None:  # a walk goes on with all of its paths or with none
            self.journal = Journal(paths)

    def _check_identity(self, identity: Mapping[str, Any]) -> None:
        """Raise OutputError unless the folder's recipe has these entries."""
        if not self.recipe:
            raise OutputError(
                f"{self.path / RECIPE} is missing or empty, and only it says which run this folder holds: {REMEDY}"
            )
        try:
            there = parse_toml(self.recipe, str(self.path / RECIPE))
        except FileError as error:
            raise OutputError(f"{error}; only it says which run this folder holds: {REMEDY}") from error
        result, differ = compare(there, identity)
        if result == "other":
            raise OutputError(f"{self.path} belongs to another run ({differ}): {REMEDY}")

    def _finished_files(self, present: set[str]) -> list[str] | None:
        """What the folder must hold, as its run wrote at its end; None if it has not come to its end.

        Raises:
            OutputError: nothing says that the folder is a run's.
        """
        if mark := read_mark(self.path):
            self.state_sum, self.starts, self.back = mark.state, mark.starts, mark.back
            return mark.files
        # Versions before 0.2 wrote no run.json: theirs are a recipe with versions, and files that none else names so.
        saved = [f"{PATHS}/{file.name}" for file in ours(self.path, PATHS)]
        walked = saved or any(ours(self.path, name) for name in OURS)
        if "\n[installed]\n" in self.recipe and (walked or present == {RECIPE}):
            return [*saved, "strip.png", "plot.png", "changes.csv", "report.html"] if saved else None
        names = ", ".join(sorted(present)[:4]) + (", …" if len(present) > 4 else "")
        raise OutputError(f"{self.path} holds other files ({names}), not a run: give another folder with --out")

    def _mark(self, files: list[str] | None) -> None:
        """Write that the folder is a run's and, unless None, that it is finished with these `files`."""
        self.starts = places(self.paths, self.path, self.starts)
        write_mark(self.path, Mark(files, self.state_sum, self.starts, self.back))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what a file system raises into an OutputError that says what is safe."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"cannot write {getattr(error, 'filename', None) or self.path}: {reason(error)}. Kept in {self.path}: "
                f"{self.kept}. Make room, and the same command goes on there"
            ) from error


def _load_paths(files: Sequence[FilePath]) -> tuple[tuple[Path, ...], list[str]]:
    """Return the paths saved in `files`, by seed, rank and sense, and what is wrong with those that cannot be read."""
    paths, damage = [], []
    for file in sorted({file.with_suffix(".json") for file in files}):
        try:
            paths.append(Path.load(file, hold_images=False))
        except FileError as error:
            damage.append(str(error))
    return tuple(sorted(paths, key=_order)), damage


def _order(path: Path) -> tuple[bool, int, int, int]:
    return path.given != "", path.seed, path.rank, -path.sense
