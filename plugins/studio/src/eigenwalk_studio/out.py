"""What a person takes along: the picture, the recipe, the history, the run's folder, and all that `export` makes."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path as FilePath

from PIL import Image

from eigenwalk.errors import FileError, InputError
from eigenwalk.runs.command import command_of
from eigenwalk.runs.export import KINDS, export
from eigenwalk.runs.outputs.export import picture_png
from eigenwalk_studio.pictures import pixels_of
from eigenwalk_studio.session import Session

LARGEST = 300 << 20
"""Bytes that are sent through the browser at once."""


def file(session: Session, what: str) -> tuple[str, str, bytes]:
    """Return name, type and bytes of a file to save; a kind of `eigenwalk.export` gives that of the shown path.

    Raises:
        InputError: there is no such thing, or not yet.
        FileError: it is too large for a browser.
    """
    if what == "history":
        return "studio.json", "application/json", session.history.text().encode()
    if what == "recipe":
        return "recipe.toml", "application/toml", session.recipe_text().encode()
    if what == "picture":
        return _picture(session)
    walk = session.walk
    if walk is None or not walk.has_shown:
        raise InputError("there is no walk yet: press Walk")
    if what == "run":
        if walk.condition != "finished":
            raise InputError("everything is there when the walk is finished")
        return _packed(walk.key, walk.place, [one for one in walk.place.rglob("*") if not one.name.startswith(".")])
    if what not in KINDS:
        raise InputError(f"the studio makes no {what!s:.40}")
    look = session.look()
    paths = list(look.paths) if what == "sheet" or look.path is None else [look.path]
    # The folder of a walk knows the command that pictures hold; while it is walked, the folder is not to be opened.
    run, names = (walk.place, [one.name for one in paths]) if walk.condition == "finished" else (paths, [])
    with tempfile.TemporaryDirectory(prefix="eigenwalk-studio-") as folder:
        generator = session.library.generator(paths[0].generator)
        made = export(run, folder, [what], names=names, generator=generator, device=session.library.device)
        if len(made) == 1:
            return made[0].name, "application/octet-stream", _read(made[0])
        return _packed(f"{walk.key}-{what}", FilePath(folder), made)


def _picture(session: Session) -> tuple[str, str, bytes]:
    look = session.look()
    if look.walk is not None and look.path is not None and look.waypoint is not None:
        data = picture_png(look.path, look.waypoint, command_of(look.walk.recipe))
        return f"{look.path.name}-{look.waypoint.index}.png", "image/png", data
    stream = io.BytesIO()
    Image.fromarray(pixels_of(session.image())).save(stream, "PNG")
    return "start.png", "image/png", stream.getvalue()


def _packed(name: str, folder: FilePath, members: Sequence[FilePath]) -> tuple[str, str, bytes]:
    """Return the files as a zip; their names begin with `name`."""
    members = [one for one in sorted(members) if one.is_file()]
    if sum(one.stat().st_size for one in members) > LARGEST:
        raise FileError(f"{name} has more than {LARGEST >> 20} MB: take it from {folder}")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for one in members:
            archive.write(one, f"{name}/{one.relative_to(folder).as_posix()}")
    return f"{name}.zip", "application/zip", stream.getvalue()


def _read(file: FilePath) -> bytes:
    if file.stat().st_size > LARGEST:
        raise FileError(f"{file.name} has more than {LARGEST >> 20} MB: use eigenwalk export")
    return file.read_bytes()
