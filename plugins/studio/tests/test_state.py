"""States, histories, forms and trust: no torch, no gradio, no browser."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eigenwalk.errors import EigenwalkError, FileError, InputError
from eigenwalk.names.expression import parse, parse_generator
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_whole
from eigenwalk_studio import forms
from eigenwalk_studio.history import LOOKING, History
from eigenwalk_studio.state import MOST_FEATURES, List, State
from eigenwalk_studio.trust import Trust

SOFA, WINDOW = "rooms.part(sofa)", "rooms.part(window)"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


def test_what_the_page_is_made_of_needs_neither_torch_nor_gradio():
    modules = ("state", "history", "forms", "trust", "session", "view", "command", "plugin")
    script = f"import sys; [__import__('eigenwalk_studio.' + name) for name in {modules}]; "
    script += "assert not {'torch', 'gradio', 'matplotlib'} & set(sys.modules), set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_history_goes_back_and_forth_and_is_read_again():
    history = History.of(State("rooms"))
    acts: list[tuple[List, str]] = [("hold", SOFA), ("hold", WINDOW), ("vary", SOFA)]
    for part, text in acts:
        history = history.add(f"{part} {text}", history.state.with_feature(part, text))
    assert (history.state.hold, history.state.vary) == ((WINDOW,), (SOFA,))
    back = history.undo().undo()
    assert back.state.hold == (SOFA,) and back.redoes == f"hold {WINDOW}" and back.undoes == f"hold {SOFA}"
    assert History.parse(back.text()) == back and back.redo().redo() == history
    assert back.add("walk", replace(back.state, walk="x")).redoes == ""
    assert History.of(State("rooms")).undo().redo() == History.of(State("rooms"))


def test_looking_about_is_one_entry():
    history = History.of(State("rooms", walk="x"))
    for waypoint in range(1, 9):
        history = history.add(LOOKING, replace(history.state, path="seed0-1+", waypoint=waypoint))
    assert len(history.entries) == 2 and history.state.waypoint == 8 and history.undo().state.waypoint == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"eigenwalk": "studio", "format": 1, "at": 0, "entries": []}',
        '{"eigenwalk": "studio", "format": 1, "at": 3, "entries": [{"state": {"generator": "rooms"}}]}',
        '{"eigenwalk": "studio", "format": 1, "at": 0, "entries": [{"state": {"generator": 3}}]}',
        '{"eigenwalk": "studio", "format": 1, "at": 0, "entries": [{"state": {"generator": "rooms", "steps": true}}]}',
        '{"eigenwalk": "studio", "format": 1, "at": 0, "entries": [{"state": {"generator": "rooms", "hold": [1]}}]}',
        '{"eigenwalk": "studio", "format": 1, "at": 0, "entries": [{"state": {"generator": "rooms", "code": "x"}}]}',
    ],
)
def test_what_is_no_history_is_refused(text: str):
    with pytest.raises(InputError, match=r"studio|history|list"):
        History.parse(text)


def test_lists_are_bounded():
    state = State("rooms")
    for i in range(MOST_FEATURES):
        state = state.with_feature("hold", f"mask(box=(0, 0, 1, 0.{i + 1}))")
    with pytest.raises(InputError, match="remove one"):
        state.with_feature("hold", "pixels")


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        (SOFA, forms.Change(option="part", value="sofa, lamp"), "rooms.part((sofa, lamp))"),
        (SOFA, forms.Change(negate=True), "~rooms.part(sofa)"),
        ("~rooms.part(sofa)", forms.Change(negate=True), SOFA),
        (SOFA, forms.Change(tolerance=0.05), "rooms.part(sofa) < 0.05"),
        ("rooms.part(sofa) < 0.05", forms.Change(tolerance=0), SOFA),
        (SOFA, forms.Change(weight=0.5), "0.5 * rooms.part(sofa)"),
        ("0.5 * pixels", forms.Change(weight=1), "pixels"),
        (SOFA, forms.Change(follow="pixels"), "rooms.part(sofa) | pixels"),
        ("rooms.part(sofa) | pixels < 0.1", forms.Change(follow=""), "rooms.part(sofa) < 0.1"),
        ("mask(box=(0, 0, 1, 1))", forms.Change(option="box", value="0, 0, .5, 1"), "mask(box=(0, 0, 0.5, 1))"),
        ("mask(box=(0, 0, 1, 1)) | pixels", forms.Change(link=0, negate=True), "~mask(box=(0, 0, 1, 1)) | pixels"),
    ],
)
def test_forms_write_expressions(registry: Registry, text: str, change: forms.Change, expected: str):
    assert forms.edit(text, change, registry) == expected
    assert forms.read(expected, registry).error == ""


def test_every_installed_feature_has_an_example_whose_form_can_be_shown(registry: Registry):
    for offer in registry.features:
        form = forms.read(forms.example(offer.spec), registry)
        assert [link.name for link in form.links] == [offer.name]
        assert [field.name for field in form.links[0].fields] == [option.name for option in offer.spec.options]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rooms.part(sofa", "("),
        ("rooms.part(sofaa)", "sofaa"),
        ("rooms.prt(sofa)", "rooms.prt"),
        ("a < 0 < 1", "a < 0 < 1"),
    ],
)
def test_errors_are_marked_at_their_place(registry: Registry, text: str, place: str):
    form = forms.read(text, registry)
    assert form.error and text[form.start : form.end] == place


def test_search_finds_names_choices_and_summaries(registry: Registry):
    assert {spec.name for spec in forms.offered(registry, "sofa", "rooms")} == {"rooms.factor", "rooms.part"}
    assert forms.offered(registry, "", "faces")[0].name.startswith("faces.")
    assert forms.offered(registry, "no such thing", "rooms") == []


def test_a_feature_loses_its_limit_in_the_other_list():
    assert forms.moved("pixels < 0.1", "vary") == "pixels" and forms.moved("pixels < 0.1", "hold") == "pixels < 0.1"
    assert forms.moved("2 * pixels", "hold") == "pixels" and forms.moved("a |", "hold") == "a |"


def test_files_elsewhere_and_code_are_refused(tmp_path, monkeypatch):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.pt").write_bytes(b"x")
    (inside / "own.pt").write_bytes(b"x")
    (inside / "f.py").write_text("")
    (inside / "link.pt").symlink_to(outside / "secret.pt")
    monkeypatch.chdir(inside)
    trust = Trust(inside)
    assert trust.check_path("own.pt") == inside / "own.pt"
    trust.check(parse('mask(file="own.pt") | pixels'))
    trust.check(parse_generator("./own.pt"))
    refused = [
        parse('mask(file="../outside/secret.pt")'),
        parse(f'~mask(file="{outside}/secret.pt") | pixels < 0.1'),
        parse('position(of=mask(file="../outside/secret.pt"))'),
        parse('mask(label=sofa, model="../outside")'),
        parse('2 * mask(file="link.pt")'),
        parse_generator(f"{outside}/secret.pt"),
        parse_generator('open("own.pt", key="/etc/passwd")'),
    ]
    for tree in refused:
        with pytest.raises(FileError, match="--folder"):
            trust.check(tree)
    resolved = resolve_whole(parse("position(of=./f.py:fn)"), Registry.discover())
    for tree in (parse("./f.py:fn"), parse("mask(box=(0, 0, 1, 1)) | ./f.py:fn < 1"), resolved):
        with pytest.raises(EigenwalkError, match="--allow-code"):
            trust.check(tree)
        replace(trust, allow_code=True).check(tree)
    with pytest.raises(FileError, match="--folder"):
        replace(trust, allow_code=True).check(parse("../outside/f.py:fn"))


def test_passwords_are_compared_whole():
    trust = Trust(Path(), password="pässword")
    assert trust.check_password("anybody", "pässword")
    assert not trust.check_password("anybody", "pässwor") and not trust.check_password("", "")
