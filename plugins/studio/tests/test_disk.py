"""What the studio saves, within bounds; folders and walks of the test alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from eigenwalk_studio.disk import tidy


def engine_of(out: Path, *busy: str, **entries: Any) -> Any:
    walks = {key: SimpleNamespace(place=out / key, is_alive=True, condition="walking") for key in busy}
    library = SimpleNamespace(out=out)
    return SimpleNamespace(
        library=library, condition=threading.Condition(), walks=walks, searches=[], hung={}, **entries
    )


def saved(out: Path, name: str, size: int, age: int) -> Path:
    file = out / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\0" * size)
    for one in (file, *file.relative_to(out).parents[:-1]):
        os.utime(out / one, (1e9 - age, 1e9 - age))
    return file


def test_the_oldest_go_first_and_no_more_than_must(tmp_path: Path):
    old = saved(tmp_path, "rooms-1/paths/a.json", 400_000, age=30)
    photograph = saved(tmp_path, "photographs/abc/photograph.png", 300_000, age=20)
    history = saved(tmp_path, "histories/me.json", 1000, age=10)
    new = saved(tmp_path, "rooms-2/paths/a.json", 400_000, age=0)
    tidy(engine_of(tmp_path), 2_000_000)
    assert all(one.exists() for one in (old, photograph, history, new))
    tidy(engine_of(tmp_path), 800_000)
    assert not old.parent.parent.exists() and photograph.exists() and history.exists() and new.exists()
    tidy(engine_of(tmp_path), 450_000)
    assert not photograph.parent.exists() and history.exists() and new.exists()
    tidy(engine_of(tmp_path), 1)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["histories", "photographs"]


def test_what_somebody_walks_in_stays_and_what_goes_is_forgotten(tmp_path: Path):
    walked, other = saved(tmp_path, "rooms-1/a", 9000, age=30), saved(tmp_path, "rooms-2/a", 9000, age=0)
    engine = engine_of(tmp_path, "rooms-1")
    engine.walks["rooms-2"] = SimpleNamespace(place=tmp_path / "rooms-2", is_alive=False, condition="finished")
    tidy(engine, 1)
    assert walked.exists() and not other.exists() and list(engine.walks) == ["rooms-1"]
    engine.walks["rooms-1"].is_alive, engine.walks["rooms-1"].condition = False, "paused"
    tidy(engine, 1)
    assert walked.exists()
    engine.hung["a thread"] = engine.walks.pop("rooms-1")
    tidy(engine, 1)
    assert walked.exists()


def test_a_folder_that_is_not_there_yet_is_no_error(tmp_path: Path):
    tidy(engine_of(tmp_path / "runs"), 1)
    assert not (tmp_path / "runs").exists()
