"""The pictures that a page names, as data URLs: starts, waypoints, thumbnails, masks."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

from eigenwalk.errors import EigenwalkError
from eigenwalk.path import Path
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.pictures import LARGE, THUMBNAIL, Followed, as_image, encode, overlay, pixels_of, spotlight
from eigenwalk_studio.pointing import coverage
from eigenwalk_studio.session import Session


class Gallery:
    """Finds and draws the pictures of all sessions."""

    def __init__(self, engine: Engine):
        self.engine, self.library, self.followed = engine, engine.library, Followed()

    def url(self, session: Session, text: str) -> str:
        """Return a picture as a data URL; "" where there is none."""
        with suppress(EigenwalkError, ValueError, TypeError, LookupError, OSError):
            kind, *what = json.loads(text)
            if kind == "search":  # a person's own photograph
                data = self._searched(session)
            elif kind == "candidate":
                data = self._candidate(session, *what)
            elif kind == "masks":
                data = self._masks(*what)
            elif kind == "seed":
                data = self._start(*what)
            else:
                data = self._waypoint(kind, *what)
            return f"data:{data[0]};base64,{base64.b64encode(data[1]).decode()}" if data else ""
        return ""

    def _searched(self, session: Session) -> tuple[str, bytes] | None:
        search = session.inversion
        return None if search is None or search.picture is None else encode(search.picture, LARGE)

    def _candidate(self, session: Session, text: str, index: int) -> tuple[str, bytes] | None:
        """Return what leaves of a picture, laid over it, only what a click may mean."""
        one = session.candidates[index]
        if one.text != text:
            return None
        mask = one.mask
        if mask is None:
            mask = self.library.look(lambda: coverage(self.library.feature(text), session.image())).result()
        return "image/png", spotlight(mask)

    def _start(self, generator: str, start: int | str) -> tuple[str, bytes]:
        image = self.library.look(self.library.start_image, generator, start).result()
        return encode(pixels_of(image), LARGE)

    def _waypoint(self, kind: str, key: str, name: str, index: int, size: str = "") -> tuple[str, bytes]:
        path = self._path(kind, key, name)
        return encode(path.waypoints[index].image, THUMBNAIL if size else LARGE)

    def _path(self, kind: str, key: str, name: str) -> Path:
        walk = self.engine.find(key)
        paths = () if walk is None else walk.coarse if kind == "coarse" else walk.paths
        return {path.name: path for path in paths}[name]

    def _masks(self, where: list[Any], texts: list[list[Any]]) -> tuple[str, bytes] | None:
        return self.library.look(self._draw_masks, where, texts).result()

    def _draw_masks(self, where: list[Any], texts: list[list[Any]]) -> tuple[str, bytes] | None:
        found = []
        for text, held in texts:
            with suppress(EigenwalkError):
                feature = self.library.mask(text)
                if where[0] == "seed":
                    mask = coverage(feature, self.library.start_image(where[1], where[2]))
                else:
                    path = self._path(where[0], where[1], where[2])
                    mask = self.followed.mask((*where[:3], text), feature, path, where[3])
                if mask is not None:
                    found.append((mask, held))
        return ("image/png", overlay(found)) if found else None


__all__ = ["Gallery", "as_image"]
