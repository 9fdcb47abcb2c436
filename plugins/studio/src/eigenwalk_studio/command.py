"""``eigenwalk studio``: point at what is to hold, and walk, in the browser."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from eigenwalk.errors import InputError

PASSWORD = "EIGENWALK_STUDIO_PASSWORD"
TIDY = 60.0
"""Seconds between two looks at how much is saved."""


def studio(
    generator: Annotated[str, typer.Argument(help="An installed name, or a generator's file.")] = "rooms",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the walks, one folder each.")] = Path("runs"),
    folder: Annotated[
        Path | None, typer.Option(help="Files that are named in the page lie here [default: the working folder]")
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run functions in Python files that are named in the page.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a password.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="[default: the first free one from 7860 on]")
    ] = None,
    password: Annotated[
        str,
        typer.Option(
            envvar=PASSWORD, help="Ask for it; elsewhere than on this machine one is made up if none is given."
        ),
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="Let everybody in, on a host that others reach.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    memory: Annotated[str | None, typer.Option(help="That a walk may take, such as 4GB.")] = None,
    disk: Annotated[
        str | None, typer.Option(help="That all walks may take, such as 8GB; the oldest go [default: no bound]")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the studio in the browser: hold what you point at, walk, branch, undo, export.

    eigenwalk studio rooms
    """
    from eigenwalk.runs.memory.words import in_bytes
    from eigenwalk.runs.ready import check_device
    from eigenwalk_studio.trust import Trust, is_local, new_token

    check_device(device)
    if public and is_local(host):
        raise InputError(
            f"--public is for a host that others reach, and only this machine reaches {host}: add --host 0.0.0.0"
        )
    made_up = not (is_local(host) or password or public)
    password = password or (new_token() if made_up else "")
    trust = Trust((folder or Path.cwd()).expanduser().resolve(), allow_code, password)
    if not trust.folder.is_dir():
        raise InputError(f"--folder {trust.folder} is no folder")
    try:
        most = in_bytes(disk) if disk else None
    except ValueError as error:
        raise InputError(f"--disk {error}, got {disk!r:.40}") from None
    serve(generator, trust, out, host, port, device, memory, public, browser and is_local(host), made_up, most)


def serve(
    generator: str,
    trust: object,
    out: Path,
    host: str,
    port: int | None,
    device: str,
    memory: str | None,
    public: bool = False,
    browser: bool = False,
    say_password: bool = False,
    disk: int | None = None,
) -> None:
    """Serve the page until the process is stopped; what was walked until then is saved."""
    if not sys.warnoptions:  # libraries' warnings about themselves say nothing to who opens a page
        warnings.simplefilter("ignore")
    from eigenwalk.cli.errors import console
    from eigenwalk.runs.memory.allocator import keep_freed
    from eigenwalk_studio.disk import tidy
    from eigenwalk_studio.engine import Engine
    from eigenwalk_studio.library import Library
    from eigenwalk_studio.state import State

    keep_freed()
    library = Library(trust, out, device, memory)  # type: ignore[arg-type]
    library.check_generator(generator)
    engine = Engine(library)
    said = console(stderr=True)
    said.print("opening the studio …")
    from eigenwalk_studio.server import Sessions, forget_uploads, launch

    sessions = Sessions(engine, State(generator), out / "histories")
    library.look(library.start_image, generator, 0)  # so that the first visitor does not wait for it
    try:
        _, address = launch(sessions, host, port, public=public, browser=browser)
    except OSError:  # gradio's message names a variable of its own
        where = f"port {port}" if port else "any port from 7860 on"
        raise InputError(f"the studio cannot listen on {where} of {host}: choose a free one by --port") from None
    said.print(f"the studio is open at {address}", highlight=False)
    if say_password:
        said.print(f"password (any name): {trust.password}", highlight=False)  # type: ignore[attr-defined]
    said.print("Ctrl-C ends it; what was walked is kept in " + str(out), highlight=False)
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    tidied = 0.0
    while not stopped.wait(0.5):  # a wait without an end would not be interrupted on Windows
        if disk and time.monotonic() - tidied > TIDY:
            tidy(engine, disk)
            tidied = time.monotonic()
    engine.close()
    forget_uploads()
    said.print("the studio is closed", highlight=False)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # gradio's threads would be waited for; every waypoint is on disk when it is shown
