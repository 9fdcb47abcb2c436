"""Take a run's pictures, films and latents to other programs.

eigenwalk.export("runs/hair")                                    # into runs/hair/export
eigenwalk.export("runs/hair", "slides", ["mp4", "gif"], names=["seed0-1+"], between=16)
eigenwalk.export(paths, "slides", ["png"])                       # of paths in memory
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from eigenwalk.errors import FileError, InputError, OutputError, reason
from eigenwalk.path import Path
from eigenwalk.runs.command import command_of
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.outputs.pages import PAGE
from eigenwalk.runs.ready import own_files, usable_device
from eigenwalk.runs.recipe import Recipe
from eigenwalk.store import write_output

if TYPE_CHECKING:
    from eigenwalk.generator import Generator

PICTURES, FILMS, LATENTS = ("png", "sheet"), ("mp4", "gif", "webp"), ("npz", "npy", "pt")
KINDS = (*PICTURES, *FILMS, *LATENTS)
DEFAULT = ("png", "sheet", "mp4", "npz")
FOLDER = "export"
"""Where the files go in the folder of a run."""
PIXELS = 1 << 22
"""Of the images in one generator call: four of 1024 x 1024."""


def export(
    run: str | os.PathLike[str] | Sequence[Path],
    folder: str | os.PathLike[str] | None = None,
    kinds: Sequence[str] = DEFAULT,
    *,
    names: Sequence[str] = (),
    between: int = 8,
    generator: Generator | str | None = None,
    device: str = "cpu",
    progress: Callable[[str], object] = lambda text: None,
) -> tuple[FilePath, ...]:
    """Write pictures, films and latents of a run for other programs; return the files.

    Args:
        run: the folder of a run, finished or stopped, or walked paths.
        folder: where to write; by default ``export`` in the run's folder.
        kinds: ``png``: every waypoint, with its numbers in the file's text fields; ``sheet``: all pictures in rows,
            without labels; ``mp4``, ``gif``, ``webp``: a film per path; ``npz``, ``npy``, ``pt``: latents per path, in
            the generator's own shape.
        names: of paths, such as ``seed0-1+``; all if empty.
        between: frames between two waypoints of a film, images of the latents on the straight line between them, which
            the walk has not measured. 0: the waypoints alone, for which no generator is needed.
        generator: of the paths, where it has no name or its file has moved; by default the one that they name, unless
            a folder's paths name one that runs code in a Python file.
        device: where frames are computed.
        progress: is told what is being made.

    Raises:
        InputError: an unknown kind, the run has no path of that name, or its generator runs code.
        FileError: it is no run's folder, or the generator cannot be opened.
        OutputError: `folder` cannot be written, or there is no room for the frames.
    """
    from eigenwalk.runs.outputs import export as outputs  # draws: commands name kinds before they load that

    kinds = check_kinds(kinds)
    paths, command = _paths_of(run)
    paths, in_memory = _choose(paths, names), not isinstance(run, (str, os.PathLike))
    if folder is None:
        if in_memory:
            raise InputError("folder must be given where paths are exported, and not the folder of a run")
        folder = FilePath(cast(Any, run)) / FOLDER
        if folder.is_symlink():
            raise OutputError(f"{folder} is a symbolic link: give another folder with -o")
    open_generator = _Opened(generator, paths[0], device, may_run=in_memory or generator is not None)
    made = _Made(FilePath(folder))
    for path in paths if "png" in kinds else ():
        progress(f"{path.name}: pictures")
        for waypoint in path:
            file = f"{path.name}/{waypoint.index:03d}.png"
            made.write(file, outputs.picture_png(path, waypoint, command))
    if "sheet" in kinds:
        progress("contact sheet")
        for number in range(0, len(paths), PAGE):
            page = f"-{number // PAGE + 1}" if number else ""
            made.write(f"sheet{page}.png", outputs.sheet(paths[number : number + PAGE]))
    for path in paths:
        for kind in (kind for kind in LATENTS if kind in kinds):
            opened = open_generator()
            made.write(f"{path.name}.{kind}", outputs.latents_file(kind, path, opened.space, opened.latent_shape))
    for path in (path for path in paths if set(kinds) & set(FILMS) and len(path) > 1):
        with frames(path, open_generator, between, device, progress) as pictures:
            for kind in (kind for kind in FILMS if kind in kinds):
                progress(f"{path.name}: {kind}")
                made.write(f"{path.name}.{kind}", outputs.film(kind, pictures))
    return tuple(made.files)


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds, each once, where ``all`` is every one; raises InputError at one that there is not."""
    kinds = tuple(dict.fromkeys(kinds))
    for kind in kinds:
        if kind not in (*KINDS, "all"):
            raise InputError(f"what to export is one of {', '.join(KINDS)} or all, got {kind!r:.60}")
    return KINDS if "all" in kinds else kinds


def named_generator(run: str | os.PathLike[str], names: Sequence[str] = ()) -> str:
    """Return the expression of the generator that `export` opens where none is given; raises as `export`."""
    return _choose(_paths_of(run)[0], names)[0].generator


def opens_generator(kinds: Iterable[str], between: int) -> bool:
    """Whether the generator is opened for these kinds: for frames between waypoints, and for latents' own shape."""
    wanted = set(check_kinds(kinds))
    return bool(wanted & set(LATENTS) or (between and wanted & set(FILMS)))


@contextmanager
def frames(
    path: Path,
    open_generator: Callable[[], Generator],
    between: int,
    device: str = "cpu",
    progress: Callable[[str], object] = lambda text: None,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a path, ``(frames, height, width, 3)``: its pictures, and `between` images after each.

    They lie in a file that is removed afterwards: those of a large path may not fit into memory.
    """
    count, shape = (len(path) - 1) * (between + 1) + 1, path.waypoints[0].image.shape
    with tempfile.TemporaryFile() as file:
        _take_room(file.fileno(), count * math.prod(shape))
        pictures = np.memmap(file, np.uint8, "w+", shape=(count, *shape))
        for waypoint in path:
            pictures[waypoint.index * (between + 1)] = waypoint.image
        if between:
            _render(path, open_generator(), between, pictures, device, progress)
        yield pictures


def _take_room(file: int, size: int) -> None:
    """Have the disk keep `size` bytes for a temporary file: writing to memory that a full disk stands behind kills."""
    try:
        if hasattr(os, "posix_fallocate"):  # not on Windows and macOS
            os.posix_fallocate(file, 0, size)
    except OSError as error:
        raise OutputError(
            f"a film's frames take {size / 1e6:,.0f} MB in {tempfile.gettempdir()}: {reason(error)}; ask for fewer "
            "with --between, or name another folder in TMPDIR"
        ) from error


def _render(
    path: Path,
    generator: Generator,
    between: int,
    pictures: NDArray[np.uint8],
    device: str,
    progress: Callable[[str], object],
) -> None:
    """Put the images between waypoints where they belong among `pictures`."""
    import torch

    from eigenwalk.maths.linearise.calls import images_of
    from eigenwalk.walk.start import picture

    latents, each = torch.from_numpy(path.latents).to(device), between + 1
    places = [n for n in range(len(pictures)) if n % each]
    size = max(1, PIXELS // (pictures.shape[1] * pictures.shape[2]))
    for first in range(0, len(places), size):
        progress(f"{path.name}: frame {first} of {len(places)}")
        at = torch.tensor(places[first : first + size])
        share = ((at % each) / each).to(latents)[:, None]
        with torch.no_grad():
            images = images_of(generator, torch.lerp(latents[at // each], latents[at // each + 1], share))
        pictures[at.numpy()] = np.stack(picture(images))


class _Opened:
    """The generator of paths, by default the one that they name, opened when it is first needed.

    It may be in a Python file only if it `may_run`: paths in a folder may be a stranger's.
    """

    def __init__(self, what: Any, path: Path, device: str, may_run: bool):
        self.what, self.path, self.device, self.may_run, self.opened = what, path, device, may_run, None

    def __call__(self) -> Generator:
        if self.opened is None:
            import torch

            from eigenwalk.names.expression import as_tree, parse_generator
            from eigenwalk.names.registry import Registry
            from eigenwalk.names.resolve import resolve_generator
            from eigenwalk.objects.compose import build_generator

            device, registry = usable_device(self.device), Registry.discover()
            tree = resolve_generator(as_tree(self.what or self.path.generator, parse_generator), registry)
            if not self.may_run and own_files(tree):
                raise InputError(f"{tree} runs code in a Python file: read it, then give generator={str(tree)!r}")
            generator = build_generator(tree, registry)[0]
            dim = self.path.waypoints[0].latent.size
            if generator.latent_dim != dim:
                raise FileError(
                    f"{tree} has latents of {generator.latent_dim} coordinates, and the paths have {dim}: give "
                    "the generator that they were walked with"
                )
            self.opened = generator.to(device, torch.from_numpy(self.path.waypoints[0].latent).dtype)
        return self.opened


class _Made:
    """The files that were written into a folder."""

    def __init__(self, folder: FilePath):
        self.folder, self.files = folder, []

    def write(self, name: str, data: bytes) -> None:
        """Write one of them, whole or not at all."""
        target = self.folder / name
        try:
            if target.parent != self.folder and target.parent.is_symlink():
                raise OutputError(f"{target.parent} is a symbolic link: give another folder with -o")
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {error.filename or target}: {reason(error)}") from error
        write_output(target, data)
        self.files.append(target)


def _paths_of(run: str | os.PathLike[str] | Sequence[Path]) -> tuple[tuple[Path, ...], str]:
    """Return the paths of a run that have a waypoint, and the command that walked them, "" where nobody knows it."""
    if not isinstance(run, (str, os.PathLike)):
        return tuple(path for path in run if len(path)), ""
    with RunFolder.open(FilePath(run), writes=False) as folder:
        command = ""
        if folder.recipe:
            command = command_of(Recipe.parse(folder.recipe, f"{run}/recipe.toml"))
        return folder.shown, command


def _choose(paths: Sequence[Path], names: Sequence[str]) -> list[Path]:
    have = {path.name: path for path in paths}
    if missing := [name for name in names if name not in have]:
        raise InputError(f"there is no path {missing[0]!r:.60}; there are {', '.join(list(have)[:12])}")
    if not paths:
        raise InputError("there is nothing to export: no path has a waypoint")
    return [have[name] for name in names] if names else list(have.values())
