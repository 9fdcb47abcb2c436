"""A photograph as a start, by `eigenwalk-invert` where that is installed."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from eigenwalk.errors import FileError, InputError
from eigenwalk.images import read_size
from eigenwalk.names.registry import Registry
from eigenwalk.objects.compose import Built
from eigenwalk_studio.session import Session
from eigenwalk_studio.trust import UPLOAD, short
from eigenwalk_studio.walks import Condition, Wish

if TYPE_CHECKING:
    from eigenwalk_studio.pictures import Pixels

SLICE = 0.5
"""Seconds that an inversion takes on at a time, before others have their turn."""


@dataclass
class Inversion:
    """A search for a photograph's latent, which the engine takes on beside walks; `done` is the share of its stage.

    `finished` is called at its end, with the folder that is a generator and a start.
    """

    key: str
    owner: str
    turn: int
    session: Session
    generator: str
    photograph: FilePath
    served: int = 0
    heard: float = 0.0
    condition: Condition = "waiting"
    wish: Wish = "go"
    error: str = ""
    stage: str = ""
    done: float = 0.0
    picture: Pixels | None = field(default=None, repr=False)
    events: Iterator[Any] | None = field(default=None, repr=False)

    @property
    def is_alive(self) -> bool:
        """Whether it has something to do."""
        return self.condition in ("waiting", "walking")

    @property
    def is_looking(self) -> bool:
        """Whether it goes on, and nobody wants it to stop."""
        return self.is_alive and self.wish == "go"

    @property
    def has_shown(self) -> bool:
        """Whether there is a picture to look at."""
        return self.picture is not None

    @property
    def place(self) -> FilePath:
        """Where the photograph, and what is found, is kept."""
        return self.photograph.parent

    def take_step(self, registry: Registry, built: Built) -> None:
        """Search on for half a second; raises EigenwalkError as `eigenwalk_invert.invert`."""
        from eigenwalk_invert import invert
        from eigenwalk_studio.pictures import pixels_of

        self.condition, until = "walking", time.monotonic() + SLICE
        if self.events is None:
            device = self.session.library.device
            out = self.place / "found"
            self.events = invert(self.generator, [self.photograph], out=out, device=device, registry=registry)
        for event in self.events:
            self.heard = time.monotonic()
            self.stage, self.done = event.stage, event.done
            if event.images is not None:
                self.picture = pixels_of(event.images[:1])
            if event.found is not None:
                self.condition, self.events = "finished", None
                self._end()
            elif time.monotonic() < until:
                continue
            return

    def interrupt(self) -> None:
        """Leave the search; the same photograph goes on from what is saved."""
        self.condition, self.events = "stopped", None

    def fail(self, error: str) -> None:
        """Note what ended it, and tell the person."""
        self.condition, self.error, self.events = "failed", error, None
        self.session.notice = f"the photograph was not found: {error}"

    def _end(self) -> None:
        found, session = short(self.place / "found"), self.session
        with session.lock:
            session.add("photograph", session.state.from_start(generator=found, start=found))


def uploaded(path: str) -> FilePath:
    """Return the path of a picture that was sent to the page.

    Raises:
        InputError: it is none.
        FileError: it is no picture, or too large.
    """
    from gradio.utils import get_upload_folder

    file = FilePath(path).resolve()
    if not file.is_relative_to(FilePath(get_upload_folder()).resolve()) or not file.is_file():
        raise InputError("this is no file that was sent to the studio")
    if file.stat().st_size > UPLOAD:
        raise FileError(f"a picture has at most {UPLOAD >> 20} MB")
    try:
        read_size(file)
    except FileError as error:  # where gradio keeps uploads is nobody's business
        raise FileError(str(error).replace(str(file), "the photograph")) from None
    return file


def begin(session: Session, path: str) -> None:
    """Have a photograph's latent found in the generator that is shown; the session begins there when it is.

    Raises:
        InputError, FileError: as `uploaded`; or eigenwalk-invert is not installed.
    """
    file, engine, generator = uploaded(path), session.engine, session.state.generator
    if not any(offer.name == "invert" for offer in engine.library.registry.commands):
        raise InputError("a photograph needs eigenwalk-invert, which is not installed: pip install eigenwalk-invert")
    engine.library.check_generator(generator)
    key = hashlib.sha256(file.read_bytes() + generator.encode()).hexdigest()[:12]
    kept = engine.library.out / "photographs" / key / f"photograph{file.suffix.lower()}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, kept)  # gradio's folder of uploads is not for keeping
    if session.inversion is not None:
        session.inversion.wish = "stop"
    session.inversion = Inversion(key, session.name, 0, session, generator, kept)
    engine.add(session.inversion)
