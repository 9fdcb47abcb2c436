"""What the page shows, without a browser: overlays, rows, what is read out."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from visitors import wait

from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.pictures import HELD, VARIED, overlay, spotlight
from eigenwalk_studio.session import Session
from eigenwalk_studio.show import Gallery
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.view import describe, render


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def disc() -> np.ndarray:
    row, column = np.indices((384, 384)) - 192
    return (row**2 + column**2 < 120**2).astype(np.float32)


def test_held_is_an_outline_and_colours_within_are_left_alone():
    drawn = pixels(overlay([(disc(), True)]))
    assert not drawn[100:284, 140:244, 3].any() and not drawn[:60, :, 3].any()
    edge = drawn[192, :192]
    assert {tuple(one) for one in edge[edge[:, 3] == 255][:, :3]} == {HELD}
    assert (edge[(edge[:, 3] > 0) & (edge[:, 3] < 255)][:, :3] == 255).all()


def test_varied_is_hatched_too_so_that_colour_is_not_all_that_tells_them_apart():
    drawn = pixels(overlay([(disc(), False)]))
    inside = drawn[100:284, 140:244]
    assert 0.02 < (inside[..., 3] > 0).mean() < 0.2
    assert {tuple(one) for one in inside[inside[..., 3] > 0][:, :3]} == {VARIED}


def test_a_spotlight_dims_all_else():
    drawn = pixels(spotlight(disc()))
    height, width = drawn.shape[:2]
    assert drawn[height // 2, width // 2, 3] == 0 and drawn[0, 0, 3] == 200 and max(height, width) <= 160


@pytest.fixture
def session(tmp_path, monkeypatch) -> Iterator[Session]:
    monkeypatch.chdir(tmp_path)
    engine = Engine(Library(Trust(tmp_path), tmp_path / "runs"))
    yield Session("n" * 24, engine, State("rooms", steps=3, paths=2), tmp_path / "histories")
    engine.close()
    engine.walker.join(60)


def test_what_a_click_may_mean_is_shown_and_read_out(session: Session):
    session.act({"act": "point", "x": 0.5, "y": 0.68})
    wait(lambda: not describe(session)["looking"])
    shown = describe(session)
    assert shown["said"] == "This may be: sofa, this box"
    gallery = Gallery(session.engine)
    urls = [gallery.url(session, one["picture"]) for one in shown["candidates"]]
    assert len({url for url in urls if url.startswith("data:image/png")}) == 2
    gone = shown["candidates"][0]["picture"]
    session.act({"act": "forget"})
    assert gallery.url(session, gone) == "" and describe(session)["said"] == ""


def test_rows_keep_their_places_while_they_fill_and_starts_stand_below_each_other(session: Session):
    assert describe(session)["plan"] == ""
    session.act({"act": "add", "list": "hold", "value": "rooms.part(sofa)"})
    assert "all else varies" in describe(session)["plan"]
    session.act({"act": "walk"})
    seen = set()
    while not (walk := session.walk) or walk.condition not in ("finished", "failed"):
        shown = describe(session)
        for row in shown["rows"]:
            start = next(one for one in row["thumbnails"] if one["start"])
            seen.add((row["columns"], start["column"]))
        time.sleep(0.02)
    assert walk.condition == "finished" and seen == {(7, 4)}
    (row,) = describe(session)["rows"]
    lengths = [len(path) - 1 for path in walk.paths]
    assert row["columns"] == sum(lengths) + 1 and [one["column"] for one in row["thumbnails"]] == list(
        range(1, row["columns"] + 1)
    )
    assert [end["side"] for end in row["ends"]] == ["minus", "plus"]
    assert describe(session)["said"] == "finished"
    session.act({"act": "along", "by": 1})
    assert describe(session)["shown"]["said"].startswith("direction 1 +, waypoint 1")


def test_a_notice_is_closed_and_nothing_else_changes(session: Session):
    session.act({"act": "start", "value": "/etc/passwd"})
    assert "lies outside" in render(session)
    before = session.state
    session.act({"act": "read"})
    assert "lies outside" not in render(session) and session.state == before


def test_what_is_wrong_in_the_lists_is_to_be_mended_before_a_walk(session: Session):
    session.act({"act": "add", "list": "hold", "value": "rooms.part(sofaa)"})
    assert describe(session)["plan"].startswith("Mend")


def test_the_guide_shows_the_page_wide_and_narrow_light_and_dark():
    docs = Path(__file__).parents[3] / "docs"
    shown = re.findall(r"\]\((assets/studio[\w-]*\.png)\)", (docs / "studio.md").read_text(encoding="utf-8"))
    widths = []
    for name in shown:
        assert (docs / name).stat().st_size <= 300_000, "python tools/studio_pictures.py"
        with Image.open(docs / name) as picture:
            widths.append(picture.width)
    assert sorted(widths) == [390, 390, 1280, 1280]
