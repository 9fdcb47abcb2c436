"""The command that the page shows, typed into a shell, walks what is on the screen to the byte: `make test-docs`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from visitors import wait

from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.photographs import Inversion
from eigenwalk_studio.pictures import pixels_of
from eigenwalk_studio.session import Session
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.view import describe

pytestmark = pytest.mark.docs
GENERATOR = """
from eigenwalk_miniatures.generator import rooms as build_rooms

def build(power: float = 1.0):
    return build_rooms()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose name a shell would take apart."""
    folder = tmp_path / "it's a $HOME & more"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    engine = Engine(Library(Trust(folder, allow_code=True), folder / "my runs"))
    yield engine
    engine.close()
    engine.walker.join(60)


def walk(session: Session) -> None:
    session.act({"act": "walk"})
    assert session.notice == ""
    wait(lambda: session.walk is not None and session.walk.condition in ("finished", "failed"))
    assert session.walk is not None and session.walk.error == ""


def check_that_a_shell_repeats(session: Session, folder: Path) -> None:
    """Run the command as it is shown, but for the folder that it goes to, and compare every saved path."""
    assert session.walk is not None
    command, out = describe(session)["command"].split(" --out ")
    assert out.strip("\"'").startswith("my runs/")
    place = shutil.which("eigenwalk", path=str(Path(sys.executable).parent)) or pytest.skip("eigenwalk is no command")
    environment = {**os.environ, "PATH": f"{Path(place).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", f"{command} --out again -q"], cwd=folder, env=environment, check=True)
    theirs = sorted((folder / "again" / "paths").iterdir())
    ours = sorted((session.walk.place / "paths").iterdir())
    assert [one.name for one in ours] == [one.name for one in theirs] and len(ours) == 2 * len(session.walk.paths)
    for one, other in zip(ours, theirs, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    shutil.rmtree(folder / "again")


def visitor(engine: Engine, generator: str = "rooms", **entries: Any) -> Session:
    return Session("n" * 24, engine, State(generator, steps=2, paths=2, **entries), engine.library.out / "histories")


def test_lists_with_weights_tolerances_and_chains_and_a_branch(engine: Engine, folder: Path):
    session = visitor(engine, seed=5, stride=0.1, tolerance=0.5)
    picture = folder / 'a "quoted" mask.png'
    mask = Image.new("L", (64, 64))
    mask.paste(255, (8, 8, 40, 40))
    mask.save(picture)
    for part, text in (
        ("hold", "rooms.part(sofa) < 0.03"),
        ("hold", "~mask(box=(0.1, 0.2, 0.5, 0.9)) | fourier.low(cycles=4)"),
        ("vary", "0.5 * rooms.part((window, lamp))"),
        ("vary", 'mask(file="a \\"quoted\\" mask.png", feather=2) | pixels'),
    ):
        session.act({"act": "add", "list": part, "value": text})
        assert session.notice == ""
    walk(session)
    check_that_a_shell_repeats(session, folder)
    session.act({"act": "look", "path": "seed5-1-", "waypoint": 2})
    session.act({"act": "branch"})
    session.act({"act": "remove", "list": "hold", "index": 1})
    walk(session)
    assert session.state.start.endswith("seed5-1-.json:2")
    check_that_a_shell_repeats(session, folder)


def test_a_photograph_and_a_generator_in_a_file(engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "my_generator.py").write_text(GENERATOR)
    session = visitor(engine, "./my_generator.py:build", hold=("rooms.part(sofa)",))
    walk(session)
    check_that_a_shell_repeats(session, folder)
    session.act({"act": "generator", "value": "rooms"})
    Image.fromarray(pixels_of(engine.library.start_image("rooms", 3))).save(folder / "me.png")
    monkeypatch.setattr("eigenwalk_studio.photographs.uploaded", lambda path: Path(path))
    session.act({"act": "photograph", "path": str(folder / "me.png")})
    assert session.notice == "" and isinstance(session.inversion, Inversion)
    wait(lambda: session.state.start or session.notice)
    walk(session)
    check_that_a_shell_repeats(session, folder)
