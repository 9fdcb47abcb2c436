"""Walks of several visitors take turns, and what is walked does not depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from visitors import wait

from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.session import Session
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.turns import AHEAD, Turns
from eigenwalk_studio.view import render


@dataclass
class Asked:
    owner: str
    turn: int
    served: int = 0
    has_shown: bool = False
    is_alive: bool = True


def serve(turns: Turns[Asked], every: list[Asked], times: int, seconds: float = 0.6) -> str:
    """Return who is served, in this order; what is served has then something to show."""
    names = ""
    for _ in range(times):
        one = turns.order(every)[0]
        turns.spend(one, seconds)
        one.has_shown = True
        names += one.owner
    return names


def test_first_pictures_come_first_and_then_walks_alternate():
    every = [Asked("a", 1), Asked("b", 2), Asked("c", 3)]
    turns: Turns[Asked] = Turns()
    assert serve(turns, every, 3) == "abc"
    for name in "abc":
        assert 3 <= serve(turns, every, 12).count(name) <= 5


def test_who_comes_later_has_had_as_much_as_the_others():
    first = Asked("a", 1, has_shown=True)
    turns: Turns[Asked] = Turns()
    serve(turns, [first], 100)
    late = Asked("b", 2)
    assert serve(turns, [first, late], 1) == "b"
    assert 4 <= serve(turns, [first, late], 10).count("a") <= 6


def test_who_walks_anew_again_and_again_does_not_hold_up_the_rest():
    patient, turns, names = Asked("a", 0, has_shown=True), Turns[Asked](), ""
    for turn in range(1, 60):
        names += serve(turns, [patient, Asked("b", turn)], 1, 0.5)
    assert names.count("b") - names.count("a") <= AHEAD / 0.5 + 4 and names.count("a") >= 20


def test_seconds_of_those_who_left_are_forgotten():
    turns: Turns[Asked] = Turns()
    for number in range(1000):
        serve(turns, [Asked(str(number), number), Asked("a", number)], 3)
    assert len(turns.spent) < 20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(engine: Engine, name: str, **entries: Any) -> Session:
    session = Session(name * 24, engine, State("rooms", **entries), engine.library.out / "histories")
    session.act({"act": "walk"})
    assert session.notice == "" and session.walk is not None
    return session


def finished(session: Session) -> bool:
    assert session.walk is not None and session.walk.error == ""
    return session.walk.condition == "finished"


def walked(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in sorted((folder / "paths").iterdir())}


def test_a_walk_among_others_is_the_same_to_the_byte(folder: Path):
    entries: dict[str, Any] = {"hold": ("rooms.part(sofa)",), "steps": 3, "paths": 2}
    engine, served = Engine(Library(Trust(folder), folder / "together")), []
    ours = begin(engine, "a", seed=3, **entries)
    engine.library.changed = served.append
    others = [begin(engine, "b", seed=4, vary=("pixels",), steps=3, paths=2), begin(engine, "c", seed=5, **entries)]
    assert "taking turns" in render(others[0]) or "before it" in render(others[0])
    wait(lambda: all(map(finished, (ours, *others))))
    engine.close()
    assert ours.walk is not None
    keys = [key for key in served if key]
    assert len(set(keys)) == 3 and sum(one != other for one, other in pairwise(keys)) >= 6

    engine = Engine(Library(Trust(folder), folder / "alone"))
    alone = begin(engine, "a", seed=3, **entries)
    wait(lambda: finished(alone))
    engine.close()
    assert alone.walk is not None
    assert walked(alone.walk.place) == walked(ours.walk.place) and len(walked(alone.walk.place)) == 4


def test_a_rough_direction_is_shown_before_the_first_waypoint_where_that_takes_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("eigenwalk_studio.walks.PATIENCE", 0.0)
    engine, kinds = Engine(Library(Trust(folder), folder / "runs")), []
    engine.library.changed = lambda key: kinds.append(
        (session.look().kind, max(map(len, session.look().paths), default=0))
    )
    session = Session("a" * 24, engine, State("rooms", steps=1, paths=2, hold=("rooms.part(sofa)",)), folder)
    session.act({"act": "walk"})
    wait(lambda: finished(session))
    engine.close()
    assert [one for one in dict.fromkeys(kinds) if one[1] == 2][:2] == [("coarse", 2), ("walk", 2)]
    assert session.walk is not None and session.walk.coarse == ()


def test_a_report_that_cannot_be_made_is_said_and_made_when_the_walk_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = Engine(Library(Trust(folder), folder / "runs"))
    monkeypatch.setattr("eigenwalk_studio.walks.DRAW", "raise SystemExit('no room on the disk')")
    session = begin(engine, "a", steps=1, paths=1, vary=("pixels",))
    wait(lambda: session.walk is not None and session.walk.condition == "failed")
    assert session.walk is not None and "no room on the disk" in session.walk.error
    assert len(session.look().paths[0]) == 2 and walked(session.walk.place)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    session.act({"act": "walk"})
    wait(lambda: finished(session))
    assert (session.walk.place / "report.html").is_file()
    engine.close()
