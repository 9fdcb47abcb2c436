"""Pictures of walked paths, from Python: the files of a run's folder without the folder.

    paths = eigenwalk.run("rooms", vary=["pixels"])
    eigenwalk.strip(paths)                       # an image: a row per path
    eigenwalk.film(paths, "walk.mp4")
    eigenwalk.report("runs/hair", "hair.html")   # also of a run's folder

What is handed over is walked paths, one path, or the folder of a run, finished or stopped. `eigenwalk.export` makes
pictures and films of single paths, without labels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from eigenwalk.errors import InputError, OutputError
from eigenwalk.path import Path
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.store import write_output

if TYPE_CHECKING:
    from PIL.Image import Image

Walked = Path | Sequence[Path] | str | os.PathLike[str]
"""Paths, one path, or the folder of a run."""


def strip(paths: Walked) -> Image:
    """Return an RGB image with a row per path, grouped by start: pictures, and how far each feature has moved.

    Raises:
        InputError: there is no path, or none has a waypoint.
        FileError: it is no run's folder.
    """
    from eigenwalk.runs.outputs.strip import draw_strip

    return draw_strip(_opened(paths)[0])


def film(paths: Walked, file: str | os.PathLike[str]) -> FilePath:
    """Write an MP4 of all paths side by side, from the start to their ends and back; return the file.

    Raises:
        InputError, FileError: as `strip`; or `file` does not end with ``.mp4``.
        OutputError: `file` cannot be written, or there is no H.264 encoder.
    """
    from eigenwalk.runs.outputs.video import video

    target = FilePath(file)
    if target.suffix.lower() != ".mp4":
        raise InputError(f"file should end with .mp4, got {str(file)!r}; eigenwalk.export makes GIF and WebP")
    made = video(_opened(paths)[0])
    if made.suffix != ".mp4":
        raise OutputError(f"{made.notice.partition(':')[0]}; pip install av brings one")
    return _write(target, made.data)


def report(paths: Walked, file: str | os.PathLike[str]) -> FilePath:
    """Write the HTML page that a run's folder holds as ``report.html``; return the file.

    It needs no other file. Of a run's folder it also links to the latents, and says how a walk goes on from them.

    Raises:
        InputError, FileError: as `strip`.
        OutputError: `file` cannot be written.
    """
    from eigenwalk.runs.outputs import report as page
    from eigenwalk.runs.outputs.video import video

    walked, recipe, folder = _opened(paths)
    target = FilePath(file)
    link = quote(os.path.relpath(folder, target.parent).replace(os.sep, "/")) + "/" if folder else ""
    about = page.Page(1, 1, page.run_facts(walked), len(walked), folder=folder, link=link)
    return _write(target, page.report(walked, recipe, video(walked), about))


def _opened(what: Walked) -> tuple[Sequence[Path], str, FilePath | None]:
    """Return the paths that have a waypoint, the text of their recipe ("" if they have none), and their folder."""
    recipe, folder = "", None
    if isinstance(what, Path):
        paths: Sequence[Path] = (what,)
    elif isinstance(what, (str, os.PathLike)):
        folder = FilePath(what)
        with RunFolder.open(folder, writes=False) as run:
            paths, recipe = run.shown, run.recipe
    else:
        paths = tuple(what)
    paths = [path for path in paths if len(path)]
    if not paths:
        raise InputError("paths should hold at least one path with a waypoint, got none")
    return paths, recipe, folder


def _write(file: FilePath, data: bytes | str) -> FilePath:
    write_output(file, data)
    return file
