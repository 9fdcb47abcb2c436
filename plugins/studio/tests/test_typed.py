"""What a person may type or open: no path elsewhere, no code, no history made by hand, no markup gets through."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from visitors import session_of, wait

from eigenwalk.errors import EigenwalkError
from eigenwalk.hookspecs import hookimpl
from eigenwalk.names.registry import Registry
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.history import History
from eigenwalk_studio.library import Library
from eigenwalk_studio.pointing import Candidate
from eigenwalk_studio.state import LONGEST, State
from eigenwalk_studio.trust import Trust
from eigenwalk_studio.view import render
from eigenwalk_studio.walks import Walk
from fabricated import paths


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "~root/x", "~nobodyknows/x", "a\0b", "x" * 300, "link/passwd"]
)
def test_no_field_opens_a_path_elsewhere(engine: Engine, tmp_path: Path, path: str):
    (tmp_path / "link").symlink_to("/etc")
    session, quoted = session_of(engine), json.dumps(path)
    before = session.state
    for request in (
        {"act": "generator", "value": path if path.startswith((".", "/", "~")) else f"./{path}.pt"},
        {"act": "generator", "value": f"open({quoted})"},
        {"act": "start", "value": path},
        {"act": "start", "value": f"{path}:0-3"},
        {"act": "photograph", "path": path},
        {"act": "add", "list": "hold", "value": f"mask(file={quoted})"},
        {"act": "add", "list": "vary", "value": f"~mask(file={quoted}) | pixels"},
        {"act": "open", "value": History.of(replace(before, start=path)).text()},
    ):
        session.act(request)
        assert session.notice and session.state.start == "" and session.state.generator == "rooms", request
        if len(path) < 300 and "\0" not in path:
            assert session.state.hold == session.state.vary == (), request
        assert "root:" not in render(session)


CODE = 'open("ran.txt", "w").write("x")\ndef fn(image): return image.mean((1, 2, 3))\n'


def test_no_field_runs_code_or_says_whether_a_file_is_there(engine: Engine, tmp_path: Path):
    (tmp_path / "x.py").write_text(CODE)
    for name in ("./x.py:fn", "./y.py:fn", 'file("/etc/passwd:x")', 'file("x.py:fn")'):
        session = session_of(engine, hold=("rooms.part(sofa)",))
        for request in (
            {"act": "generator", "value": name},
            {"act": "start", "value": name},
            {"act": "add", "list": "hold", "value": name},
            {"act": "add", "list": "vary", "value": f"mask(box=(0, 0, 1, 1)) | {name}"},
            {"act": "text", "list": "hold", "index": 0, "value": f"position(of={name})"},
            {"act": "follow", "list": "hold", "index": 0, "value": name},
            {"act": "option", "list": "hold", "index": 0, "option": "part", "value": name},
            {"act": "open", "value": History.of(State("rooms", vary=(name,))).text()},
            {"act": "open", "value": History.of(State(name)).text()},
        ):
            session.act(request)
            said = session.notice + render(session)
            assert "there is no file" not in session.notice or request["act"] == "start", request
            if request["act"] not in ("option", "start", "follow"):
                inside = request["act"] == "text" and name == "./y.py:fn"  # a word, no function, and not outside
                assert "--allow-code" in said or "--folder" in said or inside, request
        session.act({"act": "walk"})
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize("entry", ["generator", "vary", "judges"])
def test_a_walk_in_the_folder_that_names_code_does_not_go_on(engine: Engine, tmp_path: Path, entry: str):
    (tmp_path / "x.py").write_text(CODE)
    code = "./x.py:fn" if entry == "generator" else ["./x.py:fn"]
    recipe = Recipe.of(**{"generator": "rooms", "vary": ["pixels"], entry: code})
    with RunFolder.claim(engine.library.out / "theirs", recipe.identity()) as folder:
        folder.begin(recipe.text())
        folder.save(1, paths(directions=1, steps=1), {})
    session = session_of(engine)
    session.act({"act": "open", "value": History.of(State("rooms", walk="theirs")).text()})
    session.act({"act": "go"})
    assert session.walk is not None
    wait(lambda: session.walk is not None and not session.walk.is_alive, 60)
    assert session.walk.condition == "failed" and "--allow-code" in session.walk.error
    assert not (tmp_path / "ran.txt").exists()
    assert engine.find("..") is None and engine.find(".") is None


@pytest.mark.parametrize(
    "request_",
    [
        {"act": "setting", "name": "steps", "value": "inf"},
        {"act": "setting", "name": "stride", "value": "nan"},
        {"act": "seed", "value": 10**40},
        {"act": "add", "list": "hold", "value": "~" * 100_000 + "pixels"},
        {"act": "add", "list": "hold", "value": "~" * (LONGEST - 10) + "pixels"},
        {"act": "add", "list": "hold", "value": "half \ud800"},
        {"act": "weight", "list": "vary", "index": 0, "value": "inf"},
        {"act": "tolerance", "index": 0, "value": "1e999"},
        {"act": "along", "by": float("inf")},
        {"act": "along", "by": []},
        {"act": ["walk"]},
        {"act": "box", "box": ["nan"] * 4},
        {"act": "option", "list": "hold", "index": 0, "option": {}, "value": {}},
    ],
)
def test_json_that_no_page_sends_becomes_a_notice(engine: Engine, request_: dict[str, Any]):
    session = session_of(engine, hold=("rooms.part(sofa)",), vary=("pixels",))
    session.act(request_)
    render(session).encode()
    History.parse(session.history.text())


def test_an_edited_history_is_checked_and_seeds_end(engine: Engine):
    session = session_of(engine)
    good = json.loads(session.history.text())
    for name, value in (("steps", 10**9), ("paths", 0), ("stride", float("nan")), ("seed", -1), ("hold", ["x" * 5000])):
        good["entries"][0]["state"] |= {name: value}
        session.act({"act": "open", "value": json.dumps(good)})
        assert session.notice and session.state == State("rooms"), name
        good["entries"][0]["state"].pop(name)
    session.act({"act": "seeds", "by": 10**30})
    assert session.first_seed < 2**31


def test_masks_and_starts_that_the_studio_saves_are_opened_wherever_it_saves_them(tmp_path: Path):
    trust = Trust(tmp_path / "pictures", own=tmp_path / "runs")
    assert trust.check_path(str(tmp_path / "runs" / "starts" / "x.npy"))
    with pytest.raises(EigenwalkError):
        trust.check_path(str(tmp_path / "x.npy"))


EVIL = """<img src=x onerror="alert(1)">' onclick='alert(2)' "><script>alert(3)</script>&lt;{{ 7 * 7 }}"""


TEXTS = (
    *("value", "title", "placeholder", "alt", "id", "for", "name", "data-group", "data-said"),
    *("aria-label", "aria-labelledby", "aria-describedby", "aria-controls", "aria-valuetext"),
)
"""Attributes that hold what is shown, or name another element."""
ACTS = ("data-act", "data-field", "data-submit", "data-live", "data-file", "data-keys", "data-picture")
"""Attributes that hold JSON."""


class Hostile:
    """A plugin whose every text is made to be taken for HTML."""

    @hookimpl
    def eigenwalk_features(self) -> list[FeatureSpec]:
        choice = Option("part", "words", summary=EVIL, choices=(EVIL, "plain"), required=True)
        word = Option("word", "str", default=EVIL, summary=EVIL, choices=(EVIL,))
        every = (choice, word, Option("number", "float", default=1.0, summary=EVIL), Option("on", "bool", summary=EVIL))
        return [FeatureSpec("hostile.part", "nowhere:Part", EVIL, every, licence=EVIL, unit=EVIL, kind="projection")]

    @hookimpl
    def eigenwalk_generators(self) -> list[GeneratorSpec]:
        return [GeneratorSpec("hostile", "nowhere:Generator", EVIL)]


class Tags(HTMLParser):
    """The tags of a page, and what its attributes hold."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_whatever_plugins_and_people_write_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    registry = Registry.discover(extra=[(Hostile(), "eigenwalk-hostile", "1.0")])
    assert registry.failures == ()
    engine = Engine(Library(Trust(tmp_path), tmp_path / "runs", registry=registry))
    try:
        session = session_of(engine, hold=(f"hostile.part({json.dumps(EVIL)})", EVIL), vary=(f"0.5 * {EVIL}",))
        session.candidates, session.pointed = (
            (Candidate(EVIL, EVIL, 0.5), Candidate("pixels", "this box", 0.1)),
            (0.5, 0.5),
        )
        recipe = Recipe.of(generator="rooms", vary=["pixels"])
        with engine.condition:  # nothing is walked
            walk = engine.walks[EVIL] = Walk(EVIL, recipe, tmp_path / EVIL, 1, session.name, engine.paces)
            walk.condition, walk.error, walk.notice, walk.notes = "failed", EVIL, EVIL, (EVIL,)
        for act in (
            {"act": "expand", "list": "hold", "index": 0},
            {"act": "search", "list": "vary", "value": "hostile"},
            {"act": "search", "list": "hold", "value": EVIL},
        ):
            session.act(act)
            session.history = session.history.add(EVIL, replace(session.state, walk=EVIL, start=EVIL, path=EVIL))
            session.notice = EVIL
            seen = Tags(render(session))
            assert not seen.tags & {"script", "iframe", "object", "embed", "link", "style", "base", "meta"}
            assert all(re.fullmatch(r"(?!on)[\w-]+", name) for name, _ in seen.attributes)
            held = {name for name, value in seen.attributes if "alert(" in value}
            assert held <= {*TEXTS, *ACTS} and {"title", "value", "data-picture"} <= held
            for value in (value for name, value in seen.attributes if name in ACTS):
                json.loads(value)
    finally:
        engine.close()
