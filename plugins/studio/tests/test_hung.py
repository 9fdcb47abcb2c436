"""A feature that never answers: its walk is left alone, others go on, and where too many hang everybody is told."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from visitors import wait

from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.session import Session
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.worker import Worker

FEATURE = """
import threading

import torch

answers, waits = threading.Event(), 0


def fn(images):
    global waits
    waits += 1
    answers.wait()
    return images.mean((1, 2, 3))


class Built:
    def __init__(self):
        fn(torch.zeros(1, 3, 1, 1))

    def __call__(self, images):
        return images.mean((1, 2, 3))
"""
Begin = Callable[..., Session]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine whose walks end without installed features that say what moved, and without a report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("eigenwalk.runs.judging._installed", lambda recipe, registry: iter(()))
    monkeypatch.setattr("eigenwalk_studio.walks.DRAW", "")
    (tmp_path / "hang.py").write_text(FEATURE)
    engine = Engine(Library(Trust(tmp_path, allow_code=True), tmp_path / "runs"))
    yield engine
    hung = [*engine.hung]
    _feature().answers.set()
    engine.close()
    for thread in (*hung, engine.walker):
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def begin(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Press Walk in a session of one's own; all was loaded before, and a walker may be silent for three seconds."""

    def begin(name: str, *vary: str, seed: int = 0) -> Session:
        state = State("rooms", vary=vary or ("pixels",), seed=seed, steps=2, paths=1)
        session = Session(name * 24, engine, state, engine.library.out / "histories")
        session.act({"act": "walk"})
        return session

    first = begin("z")
    wait(lambda: condition(first) == "finished")
    monkeypatch.setattr("eigenwalk_studio.engine.PATIENCE", 3.0)
    with engine.condition:
        engine.condition.notify_all()  # the minder looks more often from now on
    return begin


def condition(session: Session) -> str:
    return session.walk.condition if session.walk is not None else ""


def error(session: Session) -> str:
    return session.walk.error if session.walk is not None else ""


def _feature() -> Any:
    file = str(Path("hang.py").resolve())
    return next(one for name, one in sys.modules.items() if name.startswith("eigenwalk_file") and one.__file__ == file)


def test_others_go_on_and_the_walk_too_once_its_feature_answers(engine: Engine, begin: Begin):
    hung = begin("a", "./hang.py:fn")
    other = begin("b", seed=1)
    wait(lambda: condition(other) == "finished")
    assert condition(hung) == "failed"
    assert error(hung) == "left alone: a feature or the generator of it has not answered for 3 s"
    assert _feature().waits == 1
    hung.act({"act": "walk"})
    assert "left alone" in hung.notice and len(engine.hung) == 1
    (thread,) = engine.hung
    _feature().answers.set()
    thread.join(60)
    assert not engine.hung and engine.walker.is_alive()
    hung.act({"act": "walk"})
    wait(lambda: condition(hung) == "finished")


def test_where_too_many_hang_everybody_is_told(engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("eigenwalk_studio.engine.MOST_HUNG", 1)
    before = threading.active_count()
    hung, other = begin("a", "./hang.py:fn"), begin("b", seed=1)
    wait(lambda: condition(other) == "failed")
    assert "started anew" in error(other) and "has not answered" in error(hung)
    late = begin("c", seed=2)
    assert "started anew" in late.notice and late.walk is None and threading.active_count() <= before
    _feature().answers.set()
    wait(lambda: not engine.hung)
    late.act({"act": "walk"})
    wait(lambda: condition(late) == "finished")


def test_a_thread_that_looks_or_measures_goes_on_without_what_hangs():
    worker, answer = Worker("looker"), threading.Event()
    hung = worker.submit(answer.wait)
    waiting = worker.submit(lambda: 1 / 0), worker.submit(lambda: 2)
    worker.mind(60.0)
    assert worker.left == 0
    wait(lambda: hung.running())
    worker.mind(0.0, most=0)
    assert worker.left == 0 and not waiting[0].done()
    worker.mind(0.0)
    with pytest.raises(ZeroDivisionError):
        waiting[0].result(60)
    assert waiting[1].result(60) == 2 and worker.left == 1 and not hung.done()
    answer.set()
    assert hung.result(60) is True and worker.submit(lambda: 3).result(60) == 3
    worker.close()
    worker._thread.join(60)
    assert not worker._thread.is_alive()


def test_building_that_hangs_lets_others_build(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("eigenwalk_studio.engine.PATIENCE", 0.5)
    with engine.condition:
        engine.condition.notify_all()
    hung = engine.library.look(engine.library.feature, "./hang.py:Built")
    wait(hung.running)
    assert engine.library.look(engine.library.start_image, "rooms", 0).result(60).shape == (1, 3, 64, 64)
    assert not hung.done() and engine.library.looker.left >= 1
    _feature().answers.set()
    hung.result(60)
