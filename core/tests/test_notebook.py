"""Paths show themselves, a notebook shows a walk's progress, and pictures are made without a run's folder."""

from __future__ import annotations

import sys
import types
from html.parser import HTMLParser
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

import eigenwalk
from eigenwalk.errors import EigenwalkError, FileError, InputError, OutputError
from eigenwalk.path import Path, Paths, Role
from eigenwalk.runs.outputs import notebook
from eigenwalk.runs.outputs import video as video_module
from fabricated import CUT, VARIED, path, paths

WALK: dict[str, Any] = {"fix": ["faces.identity"], "vary": ["pixels"], "steps": 2, "paths": 2}


class Parsed(HTMLParser):
    """The tags that are open, the pictures' texts and links, and the text of some HTML."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.alts, self.links, self.text = [], [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("img", "br", "meta", "input", "source"):
            self.open.append(tag)
        if tag == "img":
            assert (given["src"] or "").startswith("data:")
            self.alts.append(given["alt"])
        self.links += [given["href"]] if "href" in given else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_path_is_one_line_and_paths_a_line_each() -> None:
    walked = Paths(paths(directions=1))
    assert repr(walked[0]) == "<Path seed 0, direction 1+: 4 steps, length, varied 40 % of typical>"
    assert repr(walked).splitlines() == ["2 paths", f" {walked[0]!r}", f" {walked[1]!r}"]
    assert len(repr(Paths(40 * walked)).splitlines()) == 26 and "56 more" in repr(Paths(40 * walked))
    assert "0 steps, walking" in repr(Path("rooms", 0, 1, -1, (VARIED,)))
    assert "varied" not in repr(path(roles=(Role("flat", "varied", "RMS value", typical=0.0),)))


def test_paths_are_a_tuple() -> None:
    plain = paths(directions=2)
    walked = Paths(plain)
    first, *rest = walked
    assert isinstance(walked, tuple) and walked == plain and (first, *rest) == plain
    assert isinstance(walked[1:], Paths) and walked[1:] == plain[1:] and walked[-1] is plain[-1]


def test_a_notebook_shows_pictures_changes_and_endings() -> None:
    walked = Paths((path(steps=20), path(sense=-1, status=CUT)))
    shown = Parsed(walked._repr_html_())
    plus, minus = "seed 0, direction 1 +", "seed 0, direction 1 −"
    # From the end to the start: a row begins scrolled to its end.
    assert shown.alts[0] == f"{plus}, waypoint 20" and shown.alts[8] == f"{plus}, start"
    assert shown.alts[9:] == [f"{minus}, {f'waypoint {i}' if i else 'start'}" for i in (4, 3, 2, 1, 0)]
    assert CUT.detail in shown.text and "Walked its full length of 20 steps." in shown.text
    assert "varied ~mask(box=(0, 0, 1, 0.5)) 40 % (0.1 RMS pixel)" in shown.text
    assert Parsed(walked[0]._repr_html_()).alts == shown.alts[:9]
    assert "… and 12 more" in Parsed(Paths(10 * walked)._repr_html_()).text
    assert "no paths" in Parsed(Paths()._repr_html_()).text


def test_what_users_write_is_escaped() -> None:
    evil = Role("<script>x</script>", "varied", "<b>", typical=1.0)
    assert "<script" not in notebook.html([path(roles=(evil,))]) and "<b>)" not in notebook.html([path(roles=(evil,))])


class Output:
    """An output of a cell, with everything that it has shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, html: str) -> None:
        self.shown.append(html)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    """What a notebook's kernel displays: one output, updated in place."""
    made = Output()

    def display(html: str, display_id: bool) -> Output:
        assert display_id
        made.shown.append(html)
        return made

    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=str, display=display))  # type: ignore[arg-type]
    return made


def test_a_walk_in_a_notebook_shows_how_far_it_is_and_leaves_nothing_behind(output, monkeypatch) -> None:
    monkeypatch.setattr(notebook, "PAUSE", 0.0)
    walked = eigenwalk.run("faces", **WALK)
    assert isinstance(walked, Paths) and len(walked) == 2
    assert output.shown[-1] == ""
    said = "".join(Parsed(html).text for html in output.shown)
    for text in (
        "getting ready",
        "loading the generator and the features",
        "waypoint 1 of 2",
        "looking for",
        "on to waypoint 2",
    ):
        assert text in said
    assert "seed 0, direction 1 −, waypoint 2" in Parsed(output.shown[-2]).alts


def test_a_failed_walk_leaves_nothing_behind_either(output) -> None:
    with pytest.raises(EigenwalkError):
        eigenwalk.run("nosuch", **WALK)
    assert len(output.shown) > 1 and output.shown[-1] == ""


def test_what_was_walked_before_an_interrupt_is_kept() -> None:
    def stop(front: Any) -> None:
        if front.index == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as ended:
        eigenwalk.run("faces", **WALK, progress=stop)
    kept = getattr(ended.value, "paths")  # noqa: B009
    assert isinstance(kept, Paths) and [len(path) for path in kept] == [2, 2] and "paths" in ended.value.__notes__[0]


def test_a_function_of_ones_own_takes_the_notebooks_place(output) -> None:
    seen: list[int] = []
    eigenwalk.run("faces", **WALK, progress=lambda front: seen.append(front.index))
    assert seen == [0, 1, 2] and output.shown == []


def test_pictures_of_paths_need_no_folder(tmp_path: FilePath) -> None:
    walked = Paths(paths(directions=1, steps=2))
    assert isinstance(eigenwalk.strip(walked), Image.Image) and eigenwalk.strip(walked[0]).height < 600
    assert eigenwalk.film(walked, tmp_path / "walk.mp4").read_bytes()[4:8] == b"ftyp"
    page = Parsed(eigenwalk.report(walked, tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.links == [] and len([alt for alt in page.alts if "seed 0" in alt]) == 5


def test_a_report_of_a_runs_folder_links_to_its_latents(tmp_path: FilePath) -> None:
    run = tmp_path / "run"
    with notebook_run(run):
        pass
    page = eigenwalk.report(run, tmp_path / "sub page.html")
    links = Parsed(page.read_text(encoding="utf-8")).links
    assert len(links) == 2 and all((page.parent / unquote(link)).is_file() for link in links)
    assert eigenwalk.strip(str(run)).size == eigenwalk.strip(paths(directions=1)).size


def notebook_run(folder: FilePath) -> Any:
    """A finished run of fabricated paths."""
    from eigenwalk.runs.outputs.folder import RunFolder
    from eigenwalk.runs.recipe import Recipe

    recipe = Recipe.of(generator="rooms", vary=["pixels"])
    claimed = RunFolder.claim(folder, recipe.identity())
    claimed.begin(recipe.text())
    claimed.finish(paths(directions=1))
    return claimed


def test_what_cannot_be_drawn_or_written_is_said(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least one path"):
        eigenwalk.strip(())
    with pytest.raises(FileError, match="not the folder of a run"):
        eigenwalk.report(tmp_path, tmp_path / "page.html")
    with pytest.raises(InputError, match=r"\.mp4"):
        eigenwalk.film(paths(), tmp_path / "walk.avi")
    with pytest.raises(OutputError, match="nowhere"):
        eigenwalk.film(paths(steps=1), tmp_path / "nowhere/walk.mp4")
    monkeypatch.setattr(video_module, "_mp4", lambda paths: 1 / 0)
    with pytest.raises(OutputError, match=r"no H\.264 encoder"):
        eigenwalk.film(paths(steps=1), tmp_path / "walk.mp4")
