"""Sessions with an engine that walks through `rooms`; no gradio, no browser."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
from visitors import wait

from eigenwalk.errors import InputError
from eigenwalk.path import Path
from eigenwalk.runs.api import run
from eigenwalk.runs.export import KINDS, export
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from eigenwalk_studio.acts import ACTS, KEYS
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.history import History
from eigenwalk_studio.library import Library
from eigenwalk_studio.out import file
from eigenwalk_studio.session import Session
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.view import EXPORTS, describe, render
from eigenwalk_studio.walks import Walk

SOFA = "rooms.part(sofa)"


@pytest.fixture
def engine(tmp_path, monkeypatch) -> Iterator[Engine]:
    monkeypatch.chdir(tmp_path)
    engine = Engine(Library(Trust(tmp_path), tmp_path / "runs"))
    yield engine
    engine.close()
    engine.walker.join(60)


def visitor(engine: Engine, name: str = "n" * 24, **entries: Any) -> Session:
    chosen: dict[str, Any] = {"steps": 3, "paths": 2} | entries
    state = State("rooms", **chosen)
    return Session(name, engine, state, engine.library.out / "histories")


def walk_of(session: Session) -> Walk:
    assert session.walk is not None
    return session.walk


def steps_of(session: Session) -> int:
    return max((len(path) - 1 for path in walk_of(session).paths), default=0)


def do(session: Session, **request) -> None:
    session.act(request)
    assert session.notice == ""


def test_the_tale_of_the_sofa(engine: Engine):
    session = visitor(engine)
    assert "Point at what is to hold" in render(session)
    do(session, act="point", x=0.5, y=0.68)
    wait(lambda: any(one.text.startswith("mask(box") for one in session.candidates))
    assert session.candidates[0].text == SOFA
    assert "Hold this" in render(session)
    do(session, act="choose", list="hold", index=0)
    assert session.state.hold == (SOFA,) and session.varied == ("~rooms.part(sofa)",)
    do(session, act="walk")
    wait(lambda: walk_of(session).condition == "finished")
    do(session, act="along", by=2)
    assert session.look().position == 2 and f"waypoint {2}" in render(session)
    do(session, act="along", by=-3)
    assert session.look().position == -1 and session.state.path.endswith("-")
    do(session, act="branch")
    assert session.state.start == f"runs/{session.history.entries[-2][1].walk}/paths/seed0-1-.json:1"
    do(session, act="add", list="hold", value="rooms.part(window)")
    do(session, act="walk")
    wait(lambda: walk_of(session).condition == "finished")
    branched = walk_of(session)
    assert branched.paths[0].given == session.state.start and len(branched.recipe.fix) == 2
    first = RunFolder.open(engine.library.out / session.history.entries[3][1].walk)
    first.release()
    np.testing.assert_array_equal(branched.paths[0].waypoints[0].latent, first.paths[1].waypoints[1].latent)
    for _ in range(3):
        do(session, act="undo")
    assert session.state.start == "" and session.look().position == -1
    assert History.parse((engine.library.out / "histories" / f"{session.name}.json").read_text()) == session.history


def test_a_walk_pauses_goes_on_and_ends_as_an_unbroken_one(engine: Engine):
    session = visitor(engine, hold=(SOFA,), steps=5)
    do(session, act="walk")
    wait(lambda: steps_of(session))
    do(session, act="pause")
    wait(lambda: walk_of(session).condition == "paused")
    paused = walk_of(session).paths
    assert 1 < len(paused[0]) < 6 and "Go on" in render(session)
    do(session, act="go")
    wait(lambda: walk_of(session).condition == "finished")
    whole = run("rooms", fix=[SOFA], vary=["~rooms.part(sofa)"], steps=5, paths=2)
    for one, other in zip(walk_of(session).paths, whole, strict=True):
        np.testing.assert_allclose(one.latents, other.latents, atol=2e-3)
    saved = Path.load(walk_of(session).place / "paths" / "seed0-1+.json")
    assert len(saved) == 6 and (walk_of(session).place / "report.html").is_file()


def test_newer_input_interrupts_and_what_was_walked_stays(engine: Engine):
    session = visitor(engine, hold=(SOFA,), steps=30)
    do(session, act="walk")
    first = walk_of(session)
    wait(lambda: steps_of(session))
    do(session, act="seed", value=3)
    wait(lambda: first.condition == "stopped")
    assert session.walk is None
    do(session, act="undo")
    assert session.walk is first and steps_of(session)
    engine.walks.clear()  # as after a new beginning
    again = walk_of(session)
    assert again is not first and again.condition == "stopped" and len(again.paths[0]) == len(first.paths[0])
    do(session, act="go")
    wait(lambda: max(len(path) for path in again.paths) > len(first.paths[0]))


def test_sessions_share_the_generator_and_leave_each_others_walks_alone(engine: Engine):
    ours, theirs = visitor(engine, "a" * 24, hold=(SOFA,), steps=8), visitor(engine, "b" * 24, hold=(SOFA,), steps=8)
    do(ours, act="walk")
    do(theirs, act="walk")
    assert ours.walk is not theirs.walk and walk_of(ours).key + "-2" == walk_of(theirs).key
    wait(lambda: walk_of(theirs).has_shown)
    do(theirs, act="stop")
    wait(lambda: walk_of(theirs).condition == "stopped")
    assert walk_of(ours).condition != "stopped"
    theirs.history = theirs.history.add("look", ours.state)
    theirs.act({"act": "pause"})
    assert "another visitor's" in theirs.notice and walk_of(ours).wish == "go"
    assert sum(isinstance(key, tuple) and key[0] == "generator" for key in engine.library.built) == 1
    do(ours, act="stop")


def test_errors_are_read_and_change_nothing(engine: Engine):
    session = visitor(engine)
    np.save("one.npy", np.zeros((1, 64), np.float32))
    for request, said in (
        ({"act": "walk", "x": 1} | {"act": "generator", "value": "romms"}, "no generator is called"),
        ({"act": "generator", "value": "/etc/passwd"}, "--folder"),
        ({"act": "start", "value": "../x.npy"}, "--folder"),
        ({"act": "start", "value": "one.npy:3"}, "the file holds 1 latents, 0 to 0"),
        ({"act": "seed", "value": -1}, "whole number"),
        ({"act": "seed"}, "lacks"),
        ({"act": "along", "by": "x"}, "lacks"),
        ({"act": "no such"}, "knows no act"),
        ({"act": "choose", "list": "hold", "index": 0}, "lacks"),
        ({"act": "remove", "list": "hold", "index": 7}, "lacks"),
        ({"act": "add", "list": "all", "value": "pixels"}, "not all"),
        ({"act": "setting", "name": "steps", "value": 1e9}, "between"),
        ({"act": "setting", "name": "steps", "value": "1.5"}, "steps is a whole number from 1 to 200, got 1.5"),
        ({"act": "setting", "name": "paths", "value": ""}, "paths is a whole number from 1 to 64"),
        ({"act": "setting", "name": "stride", "value": ""}, "stride is a number from 0.001 to 1.0"),
        ({"act": "setting", "name": "steps", "value": "inf"}, "steps is a whole number"),
        ({"act": "box", "box": [0.5, 0.5, 0.5, 0.5]}, "empty"),
        ({"act": "brush", "picture": "data:image/png;base64,AAAA"}, "damaged"),
        ({"act": "branch"}, "choose a picture"),
        ({"act": "open", "value": "{}"}, "no history"),
        ({"act": "pause"}, "no walk yet"),
    ):
        before = session.state
        session.act(request)
        assert said in session.notice and session.state == before, (request, session.notice)
        assert "Traceback" not in render(session)


def test_a_wrong_expression_is_marked_and_does_not_walk(engine: Engine):
    session = visitor(engine)
    do(session, act="add", list="hold", value="rooms.part(sofaa)")
    html = render(session)
    assert "<mark>sofaa</mark>" in html and 'aria-invalid="true"' in html
    session.act({"act": "walk"})
    assert "sofaa" in session.notice and session.walk is None
    do(session, act="text", list="hold", index=0, value=SOFA)
    assert "aria-invalid" not in render(session)


def test_names_and_texts_are_escaped(engine: Engine):
    session = visitor(engine)
    evil = "<img src=x onerror=alert(1)>'\"&"
    do(session, act="add", list="hold", value=evil)
    session.act({"act": "search", "list": "vary", "value": evil})
    session.act({"act": "generator", "value": evil})
    html = render(session)
    assert "<img src=x" not in html and "&lt;img src=x" in html
    assert not re.search(r"data-\w+='[^']*<", html)


def test_a_walk_that_fails_says_why(engine: Engine):
    session = visitor(engine, vary=("faces.part(hair)",))
    do(session, act="walk")
    wait(lambda: walk_of(session).condition == "failed")
    assert "faces" in walk_of(session).error and walk_of(session).error in render(session).replace("&#39;", "'")
    session.act({"act": "walk"})
    wait(lambda: walk_of(session).condition == "failed")


def test_what_is_taken_along(engine: Engine):
    session = visitor(engine, hold=(SOFA,))
    assert file(session, "picture")[:2] == ("start.png", "image/png")
    with pytest.raises(InputError, match="no walk"):
        file(session, "mp4")
    do(session, act="walk")
    wait(lambda: walk_of(session).condition == "finished")
    do(session, act="along", by=1)
    key = session.state.walk
    for what, name in (("picture", "seed0-1+-1.png"), ("run", f"{key}.zip")):
        got, _, data = file(session, what)
        assert got == name and data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert f"{session.state.walk}/report.html" in archive.namelist()
    assert "--fix" in render(session) and "--out runs/rooms-" in render(session)
    assert Recipe.parse(file(session, "recipe")[2].decode()).identity() == walk_of(session).recipe.identity()
    assert History.parse(file(session, "history")[2].decode()) == session.history
    with pytest.raises(InputError, match="makes no"):
        file(session, "../../etc/passwd")


def test_every_key_is_an_act_and_the_page_shows_them(engine: Engine):
    session = visitor(engine)
    assert {entries["act"] for entries in KEYS.values()} <= set(ACTS)
    assert describe(session)["keys"].keys() == KEYS.keys()


def test_the_page_has_all_that_export_makes_and_it_is_the_same(engine: Engine, tmp_path: FilePath):
    session = visitor(engine, hold=(SOFA,), steps=1)
    do(session, act="walk")
    wait(lambda: walk_of(session).condition == "finished")
    do(session, act="look", path="seed0-1-", waypoint=1)
    assert {kind for kind, _ in EXPORTS} == set(KINDS) and all(text in render(session) for _, text in EXPORTS)
    for kind in KINDS:
        name, _, data = file(session, kind)
        names = () if kind == "sheet" else ("seed0-1-",)
        made = export(walk_of(session).place, tmp_path / kind, [kind], names=names)
        assert made, kind
        if len(made) == 1:
            assert (name, data) == (made[0].name, made[0].read_bytes()), kind
            continue
        assert name == f"{session.state.walk}-{kind}.zip"
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = {one.rpartition("/")[2]: archive.read(one) for one in archive.namelist()}
        assert found == {one.name: one.read_bytes() for one in made}, kind
