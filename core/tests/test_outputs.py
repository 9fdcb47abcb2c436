"""Strip, video, plot, table and report show what fabricated paths contain."""

from __future__ import annotations

import base64
import csv
import io
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path as FilePath
from typing import get_args, get_type_hints
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image, ImageColor

from eigenwalk.cli.progress import path_lines
from eigenwalk.path import Role, Status
from eigenwalk.runs.outputs import report as report_module
from eigenwalk.runs.outputs import strip as strip_module
from eigenwalk.runs.outputs import theme, words
from eigenwalk.runs.outputs import video as video_module
from eigenwalk.runs.outputs.plot import Ink, draw_plot, plot_png, plot_svg
from eigenwalk.runs.outputs.report import Page, report, run_facts
from eigenwalk.runs.outputs.strip import draw_strip, lay_out, place, strip
from eigenwalk.runs.outputs.table import write_table
from eigenwalk.runs.outputs.video import Video, video
from fabricated import CUT, FIXED, FULL, VARIED, colour, path, paths

RECIPE = 'generator = "rooms"\nvary = ["pixels"]\n\n[installed]\neigenwalk = "0.1.0"\n'


@pytest.mark.parametrize(("count", "most"), [(1, 5), (5, 5), (6, 5), (13, 13), (100, 13), (1000, 7)])
def test_thinning_keeps_the_first_and_the_last(count: int, most: int) -> None:
    shown = words.thin(count, most)
    assert len(shown) == min(count, most) == len(set(shown))
    assert shown[0] == 0 and shown[-1] == count - 1
    gaps = np.diff(shown)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("steps", [1, 4, 12, 40])
def test_the_strip_shows_every_path_in_a_row_from_start_to_last(steps: int) -> None:
    walked = paths(seeds=2, directions=2, steps=min(steps, 12)) if steps < 40 else (path(steps=40),)
    if steps == 40:
        walked = tuple(_bright(p) for p in walked)
    image, layout = draw_strip(walked), lay_out(walked)
    pixels = np.asarray(image)
    tops = []
    for one in walked:
        first, last = one.waypoints[0].image[0, 0], one.waypoints[-1].image[0, 0]
        top, left = _found(pixels, first)
        assert left == layout.left(0)
        end_top, end_left = _found(pixels, last)
        assert end_top == top and end_left == layout.left(len(layout.columns) - 1)
        tops.append(top)
    assert len(set(tops)) == len(walked)
    assert len(layout.columns) <= words.COLUMNS


def test_the_strip_shows_the_last_waypoint_of_a_path_that_ended_between_columns() -> None:
    whole, cut = path(steps=40), path(sense=-1, steps=21, status=CUT)
    columns = lay_out([whole, cut]).columns
    assert 21 not in columns
    placed = place(cut, columns)
    assert placed[-1][1].index == 21
    assert [column for column, _ in placed] == sorted({column for column, _ in placed})
    assert placed[-1][0] < len(columns)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((8, 8), (160, 160)), ((64, 64), (160, 160)), ((256, 512), (192, 96)), ((1024, 1024), (192, 192))],
)
def test_small_pictures_are_enlarged_and_large_ones_reduced(size: tuple[int, int], expected: tuple[int, int]) -> None:
    layout = lay_out([path(size=size, steps=1)])
    assert (layout.width, layout.height) == expected


def test_the_name_of_a_start_ends_before_the_first_column() -> None:
    walked = path(steps=2)
    middle = lay_out([walked]).left(0) + lay_out([walked]).width // 2
    short, long = (
        np.asarray(draw_strip([replace(walked, given=given)]))
        for given in ("me.pt", "runs/with a very long name of its own/paths/seed0-1+.json:8")
    )
    assert np.array_equal(short[:, middle - 24 :], long[:, middle - 24 :])
    assert not np.array_equal(short[:, : middle - 24], long[:, : middle - 24])


def test_many_paths_make_a_strip_that_can_be_opened() -> None:
    image = draw_strip([replace(p, seed=i) for i, p in enumerate(paths(seeds=1, directions=1, steps=2) * 30)])
    assert image.height < 16_000
    assert image.width >= strip_module.LEAST_WIDTH


def test_a_strip_of_starts_alone_or_with_nothing_fixed_is_drawn() -> None:
    alone = path(steps=0, status=Status("nothing to vary", "", VARIED.name))
    free = path(roles=(VARIED,))
    for one in (alone, free):
        assert Image.open(io.BytesIO(strip([one]))).format == "PNG"


def test_the_percentages_are_of_the_fixed_feature_nearest_its_tolerance() -> None:
    loose = Role("loose", "fixed", "logit", typical=10.0, tolerance=9.0)
    one = path(roles=(FIXED, loose, VARIED))
    changed = replace(one.waypoints[-1], changes={FIXED.name: 0.04, loose.name: 5.0, VARIED.name: 0.05})
    what = words.shares(one, changed)
    assert what.fixed == pytest.approx(0.2)  # 0.04 of 0.2, at 80 % of its tolerance; the loose one is at 56 %
    assert what.tolerance == pytest.approx(0.25)
    assert what.varied == pytest.approx(0.2)


def test_the_bars_under_a_picture_belong_to_its_waypoint() -> None:
    one = path(steps=4)
    pixels, layout = np.asarray(draw_strip([one])), lay_out([one])
    top = _found(pixels, one.waypoints[0].image[0, 0])[0] + layout.height
    below = pixels[top : top + strip_module.FIGURES]
    lengths = {}
    for name, hue in (("varied", theme.VARIED), ("fixed", theme.FIXED)):
        is_bar = (below == ImageColor.getrgb(hue)).all(2).any(0)
        lengths[name] = [is_bar[layout.left(i) : layout.left(i) + layout.width].sum() for i in range(5)]
    varied, fixed = np.array(lengths["varied"]), np.array(lengths["fixed"])
    assert varied[0] == fixed[0] == 0
    assert np.allclose(varied, varied[4] * np.arange(5) / 4, atol=2)  # 10 % a step
    assert np.allclose(fixed, varied / 5, atol=4)  # 2 % a step; the tick of the tolerance may hide a part


def test_in_the_video_a_path_that_has_ended_stays_at_its_last_waypoint() -> None:
    walked = (path(steps=3, size=(48, 48)), path(sense=-1, steps=1, status=CUT, size=(48, 48)))
    pictures = [picture for picture, _ in video_module.frames(walked)]
    assert len(pictures) == 6  # to the end and back
    for index, picture in enumerate(pictures):
        there = min(index, 6 - index)
        _found(picture, np.array(colour(0, 1, 1, there)))
        _found(picture, np.array(colour(0, 1, -1, min(there, 1))))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (FULL, "Walked its full length of 4 steps."),
        (CUT, "Ended after 4 steps: the next step would have moved the box by 27 %, and its tolerance is 25 %."),
        (Status(), "Not ended: the run was stopped after 4 steps."),
        (Status("undefined"), "Ended after 4 steps: no value of a feature."),
        (
            Status("region", "the latent would be 12 from the mean"),
            "Ended after 4 steps: the next would leave the typical region: images beyond it are rarely realistic (the "
            "latent would be 12 from the mean).",
        ),
    ],
)
def test_endings_are_sentences(status: Status, said: str) -> None:
    assert words.ending(path(status=status)) == said


@pytest.mark.parametrize("reason", get_args(get_type_hints(Status)["reason"]))
def test_every_ending_has_words_that_are_the_same_wherever_it_is_shown(reason: str) -> None:
    one = path(status=Status(reason, "as it came", "a.feature"))
    steps, _, said = words.brief_ending(one).partition(", ")
    assert steps == "4 steps" and (" " in said) and "{" not in said
    assert ("a.feature" in said) == (reason in ("tolerance", "undefined", "numerical"))
    assert said in path_lines([one])[0]


def test_the_video_is_h264_that_browsers_play_and_pauses_at_waypoints() -> None:
    walked = (path(steps=3, size=(48, 48)), path(sense=-1, steps=2, status=CUT, size=(48, 48)))
    made = video(walked)
    assert (made.suffix, made.mime, made.notice) == (".mp4", "video/mp4", "")
    import av

    with av.open(io.BytesIO(made.data), "r") as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.width % 2 == 0 and stream.height % 2 == 0
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]).astype(int)
    held, rest = video_module.HOLD, video_module.REST
    assert len(frames) == 6 * held + 2 * rest  # start, 1, 2, end, 2, 1
    box = (slice(60, 90), slice(60, 90))
    shown = [frame[box].mean((0, 1)) for frame in frames]
    kinds = [[np.abs(s - colour(0, 1, 1, i)).max() < 6 for i in range(4)] for s in shown]
    assert all(sum(kind) == 1 for kind in kinds), "a frame shows an image that is no waypoint's"
    order = [kind.index(True) for kind in kinds]
    assert order == sorted(order[: held + rest + 2 * held + held + rest]) + order[len(order) - 2 * held :]
    assert order[0] == 0 and max(order) == 3 and order[-1] == 1


def test_without_an_encoder_the_video_is_a_gif_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(paths: object) -> bytes:
        raise ValueError("unknown codec libx264")

    monkeypatch.setattr(video_module, "_mp4", none)
    made = video([path(steps=3)])
    assert made.suffix == ".gif" and "libx264" in made.notice and "walk.gif" in made.notice
    image = Image.open(io.BytesIO(made.data))
    assert image.format == "GIF" and getattr(image, "n_frames", 1) >= 6


def test_the_plot_needs_no_display_and_leaves_pyplot_alone() -> None:
    walked = paths(seeds=1, directions=3)
    assert Image.open(io.BytesIO(plot_png(walked))).size[0] > 1000
    light, dark = plot_svg(walked), plot_svg(walked, dark=True)
    assert b"<text" not in light and light != dark
    code = "import sys, eigenwalk.runs.outputs.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_two_senses_of_a_direction_are_seen_where_their_lines_meet() -> None:
    both = paths(seeds=1, directions=1, steps=1)
    axes = draw_plot(both, Ink()).axes[0]
    more, less = (line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() != "None")
    assert np.array_equal(more.get_ydata(), less.get_ydata()) and more.get_color() != less.get_color()
    assert less.get_linestyle() == "--"


def test_odd_paths_can_be_plotted() -> None:
    broken = path(status=Status("numerical", "", VARIED.name))
    nan = replace(broken.waypoints[2], changes={FIXED.name: float("nan"), VARIED.name: 0.1})
    broken = replace(broken, waypoints=(*broken.waypoints[:2], nan))
    untyped = Role("flat", "varied", "RMS value", typical=0.0)
    money = Role("cost($5, $\\frac$)", "varied", "$^$", typical=1.0)  # two dollars would be a formula, and a wrong one
    odd = ([broken], [path(steps=0)], [path(roles=(VARIED,))], [path(roles=(FIXED, untyped))], [path(roles=(money,))])
    for walked in odd:
        assert plot_png(walked).startswith(b"\x89PNG")
        assert strip(walked) and table(walked)
        assert report(walked, RECIPE, Video(b"", ".mp4"))


def test_the_table_gives_every_change_in_both_units() -> None:
    walked = (path(steps=4), path(sense=-1, steps=2, status=CUT))
    rows = list(csv.DictReader(io.StringIO(table(walked).decode())))
    assert len(rows) == sum(map(len, walked))
    for row, (one, point) in zip(rows, [(whole, point) for whole in walked for point in whole], strict=True):
        assert (row["path"], int(row["waypoint"]), int(row["sense"])) == (one.name, point.index, one.sense)
        for role in one.roles:
            assert float(row[f"{role.part} {role.name} [RMS pixel]"]) == pytest.approx(point.changes[role.name])
            share = float(row[f"{role.part} {role.name} [share of typical]"])
            assert share == pytest.approx(point.changes[role.name] / role.typical)
        assert float(row["passes"]) == pytest.approx(point.cost.passes, abs=0.01)
        assert row["status"] == one.status.reason


def test_the_report_refers_to_no_other_file() -> None:
    walked = (path(), path(sense=-1, status=CUT))
    page = report(walked, RECIPE, video(walked))
    parsed = _Page()
    parsed.feed(page)
    assert parsed.open == []
    assert all(source.startswith("data:") for source in parsed.sources)
    pictures = sum(map(len, walked)) - 1  # both senses have one start
    assert len([s for s in parsed.sources if s.startswith("data:image/png")]) == pictures
    assert any(source.startswith("data:video/mp4") for source in parsed.sources)
    assert parsed.text.count("use strict") == 1 and "<script src" not in page
    assert not re.search(r"https?://|@import|url\(", re.sub(r"data:[\w/+.-]+;base64,[\w+/=]+", "", page))
    for one in walked:
        assert words.ending(one) in parsed.text
    assert "in common" not in parsed.text  # paths of earlier versions do not say how alike they are
    assert 'generator = "rooms"' in parsed.text and "eigenwalk 0.1.0" in re.sub(r"\s+", " ", parsed.text)
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page


def test_the_report_says_how_alike_two_paths_are() -> None:
    plus, minus = path(), path(sense=-1)
    walked = (replace(plus, alike={minus.name: 0.254}), replace(minus, alike={plus.name: -0.9}))
    page = re.sub(r"\s+", " ", report(walked, RECIPE, video(walked)))
    assert f"25 % of its varied change in common with direction {minus.rank} −, the path most like it." in page
    assert "Its varied change has nothing in common with that of another path." in page
    assert "<b>25 %</b>" in page


def test_the_report_escapes_what_users_write() -> None:
    evil = Role('<script>alert("x")</script>', "fixed", "<b>unit</b>", typical=1.0, tolerance=0.5)
    walked = [
        replace(
            path(roles=(evil, VARIED), status=Status("tolerance", "<i>why</i>", evil.name)), generator="<img src=x>"
        )
    ]
    page = report(walked, 'generator = "</pre><script>"\n', Video(b"", ".gif", "<u>notice</u>"))
    for tag in ("<script>alert", "</pre><script", "<b>unit", "<i>why", "<img src=x", "<u>"):
        assert tag not in page
    assert "&lt;script&gt;" in page and page.count("<script") == 1


def test_a_row_of_the_report_runs_through_its_start() -> None:
    minus, plus, alone = path(sense=-1, steps=2), path(steps=3), path(rank=2, steps=2)
    page = report([plus, minus, alone], RECIPE, Video(b"", ".mp4"))
    parsed = _Page()
    parsed.feed(page)
    shown = [alt.removeprefix("seed 0, ") for alt in parsed.alts if "seed 0" in alt]
    waypoints = {
        sign: [f"direction 1 {sign}, waypoint {i}" for i in numbers] for sign, numbers in (("−", "21"), ("+", "321"))
    }
    # The end of each sense comes first, so that its row begins scrolled to it.
    assert shown[:6] == ["start", *waypoints["−"], *waypoints["+"]]
    assert shown[6:] == ["start", "direction 2 +, waypoint 2", "direction 2 +, waypoint 1"]
    assert page.count('class="walked one"') == 1


def test_links_of_the_report_exist_and_its_commands_go_on(tmp_path: FilePath) -> None:
    walked, folder = paths(directions=1), tmp_path / "it's a run"
    for one in walked:
        one.save(folder / "paths")
    recipe = 'generator = "rooms"\nfix = ["pixels < 0.2"]\nvary = ["~mask(box=(0, 0, 1, 0.5))"]\nsteps = 3\n'
    page = Page(1, 1, run_facts(walked), len(walked), folder=folder)
    parsed = _Page()
    parsed.feed(report(walked, recipe, Video(b"", ".mp4"), page))
    links = [source for source in parsed.sources if not source.startswith("data:")]
    assert len(links) == 2 and all((folder / unquote(link)).is_file() for link in links)
    commands = [shlex.split(line) for line in re.findall(r"eigenwalk walk .*? --start .*:\d+[\"']?", parsed.text)]
    fixed, varied = "pixels < 0.2", "~mask(box=(0, 0, 1, 0.5))"
    assert [words[:9] for words in commands] == [
        ["eigenwalk", "walk", "rooms", "--fix", fixed, "--vary", varied, "--steps", "3"]
    ] * 2
    assert {words[-1] for words in commands} == {f"{folder}/paths/{one.name}.json:4" for one in walked}
    parsed = _Page()
    parsed.feed(report(walked, recipe, Video(b"", ".mp4")))
    assert (
        all(source.startswith("data:") for source in parsed.sources)
        and "--start" not in parsed.text.partition('"use strict"')[0]
    )


@pytest.mark.parametrize(("room", "side"), [(48_000_000, 512), (3 * 400 * 400, 400), (1, 320)])
def test_pictures_have_their_own_size_where_a_page_has_room(monkeypatch, room: int, side: int) -> None:
    monkeypatch.setattr(report_module, "ROOM", room)
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3)).astype(np.uint8)
    one = path(steps=2)
    one = replace(one, waypoints=tuple(replace(point, image=noise) for point in one))
    page = report([one], RECIPE, Video(b"", ".mp4"))
    images = [base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([\w+/=]+)", page)]
    assert [Image.open(io.BytesIO(data)).size for data in images] == 3 * [(side, side)]
    assert 'data-size="512 × 512"' in page


def test_outputs_need_no_torch() -> None:
    code = (
        "import sys, eigenwalk.runs.recipe; from eigenwalk.runs.outputs import folder, report, video; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def table(walked) -> bytes:
    """Write these paths as CSV and return it."""
    write_table(walked, buffer := io.BytesIO())
    return buffer.getvalue()


def _found(pixels: np.ndarray, wanted: np.ndarray) -> tuple[int, int]:
    """Return the top left corner of the only area of a colour that is as large as a picture."""
    rows, columns = np.nonzero((pixels == wanted).all(2))
    assert len(rows) > 100 * 100, f"no picture of colour {wanted}"
    return int(rows.min()), int(columns.min())


def _bright(one):  # more than 14 steps: the colours of `fabricated` would leave the range
    points = tuple(replace(p, image=np.full((16, 16, 3), (6 * p.index, 90, 200), np.uint8)) for p in one)
    return replace(one, waypoints=points)


class _Page(HTMLParser):
    """The open tags, sources and text of a page."""

    EMPTY = ("meta", "img", "source", "br", "link", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        self.alts += [value or "" for name, value in attrs if name == "alt"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
