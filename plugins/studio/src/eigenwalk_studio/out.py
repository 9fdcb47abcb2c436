"""What a person takes along: the picture, the recipe, the history, everything of a finished walk."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from PIL import Image

from eigenwalk.errors import FileError, InputError
from eigenwalk_studio.pictures import pixels_of
from eigenwalk_studio.session import Session

LARGEST = 300 << 20
"""Bytes of a run's folder that are sent through the browser."""


def file(session: Session, what: str) -> tuple[str, str, bytes]:
    """Return name, type and bytes of a file to save.

    Raises:
        InputError: there is no such thing, or not yet.
        FileError: it is too large for a browser.
    """
    if what == "history":
        return "studio.json", "application/json", session.history.text().encode()
    if what == "recipe":
        return "recipe.toml", "application/toml", session.recipe_text().encode()
    if what == "picture":
        return _name(session), "image/png", _png(session)
    if what == "run":
        return _zip(session)
    raise InputError(f"the studio makes no {what!s:.40}")


def _name(session: Session) -> str:
    path = session.path()
    return f"{path.name}-{session.state.waypoint}.png" if path else "start.png"


def _png(session: Session) -> bytes:
    path = session.path()
    pixels: Any = (
        path.waypoints[min(session.state.waypoint, len(path) - 1)].image if path else pixels_of(session.image())
    )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _zip(session: Session) -> tuple[str, str, bytes]:
    walk = session.walk
    if walk is None or walk.condition != "finished":
        raise InputError("everything is there when the walk is finished")
    members = [one for one in sorted(walk.place.rglob("*")) if one.is_file() and not one.name.startswith(".")]
    if sum(one.stat().st_size for one in members) > LARGEST:
        raise FileError(f"{walk.place} has more than {LARGEST >> 20} MB: take it from there")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for one in members:
            archive.write(one, f"{walk.key}/{one.relative_to(walk.place).as_posix()}")
    return f"{walk.key}.zip", "application/zip", stream.getvalue()
