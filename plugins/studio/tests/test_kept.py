"""What the studio keeps in memory is bounded by bytes: images, masks, built objects, histories, sessions."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from eigenwalk.errors import InputError, OutOfMemory
from eigenwalk.path import Cost, Waypoint
from eigenwalk_studio import engine as engines
from eigenwalk_studio import server
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.history import LARGEST, History
from eigenwalk_studio.kept import LEAST, Kept, Shelf, size_of, size_of_paths, storages
from eigenwalk_studio.pictures import Followed
from eigenwalk_studio.server import MOST_SESSIONS, Sessions
from eigenwalk_studio.session import Session
from eigenwalk_studio.state import LONGEST, State
from eigenwalk_studio.walks import Walk

MB = 1 << 20


def test_the_oldest_go_first_and_the_last_one_stays():
    kept: Kept[str, torch.Tensor] = Kept(3 * MB, size_of)
    for name in "abc":
        kept.put(name, torch.zeros(MB // 4))
    assert kept.get("a") is not None and kept.bytes == 3 * MB
    kept.put("d", torch.zeros(MB // 4))
    assert [name in kept for name in "abcd"] == [True, False, True, True] and kept.get("b") is None
    kept.put("large", torch.zeros(MB))
    assert len(kept) == 1 and kept.bytes == 4 * MB
    kept.put("large", torch.zeros(1))
    assert kept.bytes == LEAST


def test_masks_along_paths_are_measured_again_as_they_grow(monkeypatch: pytest.MonkeyPatch):
    followed = Followed()
    monkeypatch.setattr("eigenwalk_studio.pictures._coverage", lambda *given: (np.zeros((512, 512), "float32"), ()))
    path: Any = SimpleNamespace(waypoints=[SimpleNamespace(image=np.zeros((8, 8, 3), "uint8"))] * 40)
    for key in range(20):
        for index in range(0, 40, 8):
            followed.mask(key, SimpleNamespace(memories=1), path, index)  # type: ignore[arg-type]
    assert 90 * MB < followed._kept.bytes <= 128 * MB


def test_tensors_are_counted_once_wherever_they_lie():
    shared = torch.zeros(MB)
    network = torch.nn.Linear(512, 512, bias=False)
    feature: Any = SimpleNamespace(network=network, inner=[{"weights": shared}, (shared.view(2, -1),)], name="x")
    assert sum(storages([feature, network]).values()) == 5 * MB
    assert storages([lambda: shared, "text", torch, None]) == {}


def built(size: int) -> tuple[Any, tuple[()]]:
    return SimpleNamespace(weights=torch.zeros(size // 4)), ()


def test_of_built_objects_the_oldest_go_and_none_that_walks():
    shelf = Shelf()
    for name in "abcde":
        shelf[name] = built(MB)
    used = shelf["b"][0]
    assert list(shelf) == ["a", "c", "d", "e", "b"]
    walking = SimpleNamespace(part=shelf["a"][0].weights)  # a chain of it, say
    assert shelf.trim(3 * MB + 5 * LEAST, [walking]) == 2 * (MB + LEAST)
    assert list(shelf) == ["e", "b", "a"] and shelf["b"][0] is used
    assert shelf.trim(0, [walking]) == 2 * (MB + LEAST) and list(shelf) == ["a"]


def test_what_two_share_goes_with_the_second():
    shelf = Shelf(a=built(MB))
    shelf["b"] = SimpleNamespace(inner=shelf["a"][0]), ()
    assert shelf.trim(MB + LEAST) == LEAST and list(shelf) == ["b"]


def test_generators_are_dropped_when_there_are_too_many_and_built_again(engine: Engine):
    first = engine.library.generator("rooms")
    engine.library._most_built = 3 * MB
    engine.library.generator("faces")
    until = time.monotonic() + 60
    while ("generator", engine.library.check_generator("rooms")) in engine.library.built:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert engine.library.generator("rooms") is not first


def test_a_walk_that_does_not_fit_beside_others_generators_is_tried_without_them(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    engine.library.generator("faces")
    begin, tries = Walk.take_step, []

    def take_step(walk: Any, registry: Any, built: Any) -> None:
        tries.append(sum(key[0] == "generator" for key in built if isinstance(key, tuple)))
        if len(tries) == 1:
            raise OutOfMemory("too little")
        if walk.run is None and walk.paths:
            return
        begin(walk, registry, built)

    monkeypatch.setattr(Walk, "take_step", take_step)
    session = Session("n" * 24, engine, State("rooms", steps=1, paths=1, vary=("pixels",)), engine.library.out)
    session.act({"act": "walk"})
    until = time.monotonic() + 120
    while session.walk is not None and session.walk.is_alive:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert session.walk is not None and session.walk.error == "" and tries[:2] == [2, 1]


def test_walks_that_ended_are_forgotten_by_their_size_and_read_again(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    waypoint = Waypoint(0, np.zeros(4, "f4"), np.zeros((8, 8, 3), "u1"), {}, np.zeros(4, "f4"), 0.0, 0.0, Cost())
    assert size_of_paths([[waypoint] * 3]) == 3 * (16 + 16 + 192)  # type: ignore[list-item]
    monkeypatch.setattr(engines, "WALKS", 4 * LEAST)
    for number in range(20):
        engine.walks[str(number)] = SimpleNamespace(  # type: ignore[assignment]
            condition="paused" if number == 3 else "stopped", paths=(), is_alive=False, run=None, owner="", turn=0
        )
    engine.find("5")
    with engine.condition:
        engine._forget()
    assert list(engine.walks) == ["3", "17", "18", "19", "5"] and engine.find("16") is None


def test_a_history_of_long_texts_can_be_opened_again():
    history = History.of(State("rooms"))
    for number in range(300):
        texts = tuple(f"{'é' * (LONGEST // 8)}{number}{part}" for part in range(8))
        history = history.add("x" * 9999, replace(history.state, hold=texts))
    assert len(history.text()) <= LARGEST and 10 < len(history.entries) < 300
    assert History.parse(history.text()) == history and history.state.hold[0].endswith("2990")


def test_texts_that_are_too_long_are_not_looked_at(engine: Engine):
    with pytest.raises(InputError, match="4,000 characters"):
        engine.library.check_generator("x" * (1 << 20))
    session = Session("n" * 24, engine, State("rooms", vary=("pixels",)), engine.library.out)
    session.act({"act": "weight", "index": 0, "value": "9" * (1 << 20) + "x"})
    assert len(session.notice) < 500


@pytest.fixture
def sessions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    monkeypatch.setattr(server, "WAIT", 0.01)
    return Sessions(engine, State("rooms"), engine.library.out / "histories")


def test_who_opens_many_pages_pushes_out_nobody_who_works(sessions: Sessions):
    act, _, pictures, file = sessions.functions()
    mine = act({"act": "seed", "value": 3})["session"]
    for _ in range(3 * MOST_SESSIONS):
        act({"act": "masks"})
    assert len(sessions.all) == MOST_SESSIONS and sessions.all[mine].state.seed == 3
    for _ in range(MOST_SESSIONS):
        act({"act": "seed", "value": 4})
    refused = act({"act": "seed", "value": 5})
    assert "no room" in refused["html"] and refused["session"] == "full" and sessions.all[mine].state.seed == 3
    assert file({"what": "picture"})["html"] == refused["html"] and pictures({"ids": ["x"]}) == {}
    for one in sessions.all.values():
        one.seen -= server.AWAY + 1
    sessions.all[mine].seen = time.monotonic()
    assert act({"act": "seed", "value": 5})["session"] in sessions.all and mine in sessions.all
    assert len(sessions.all) == MOST_SESSIONS


def test_a_session_that_nobody_looks_at_ends_with_its_walk_and_comes_back_from_its_history(sessions: Sessions):
    act = sessions.functions()[0]
    name = act({"act": "seed", "value": 7})["session"]
    sessions.all[name].seen -= server.LIFE + 1
    other = act({"act": "masks"})["session"]
    assert name not in sessions.all and other in sessions.all
    act({"act": "masks", "session": name})
    assert sessions.all[name].state.seed == 7
