"""The report, and paths in a notebook, as a browser shows them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eigenwalk.path import Paths
from eigenwalk.runs.outputs.report import Page, report, run_facts
from eigenwalk.runs.outputs.video import video
from fabricated import CUT, path, paths

pytestmark = [pytest.mark.docs, pytest.mark.timeout(300)]

RECIPE = 'generator = "rooms"\nvary = ["pixels"]\n'
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
IN_SIGHT = """one => { const seen = one.parentElement.getBoundingClientRect(), own = one.getBoundingClientRect();
return own.left >= seen.left - 1 && own.right <= seen.right + 1 }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no program chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two directions, one of them in one sense."""
    folder = tmp_path_factory.mktemp("run")
    walked = (*paths(directions=1, steps=13), path(rank=2, steps=3, status=CUT))
    for one in walked:
        one.save(folder / "paths")
    page = Page(1, 1, run_facts(walked), len(walked), folder=folder)
    (folder / "report.html").write_text(report(walked, RECIPE, video(walked), page), encoding="utf-8")
    return folder / "report.html"


def opened(browser: Any, file: Path, size: dict[str, int], scheme: str = "light") -> Any:
    """The page, which fails the test at an error of its script."""
    page = browser.new_page(viewport=size, color_scheme=scheme)
    errors: list[Any] = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(file.as_uri())
    assert not errors
    return page


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_begins_at_the_results_and_is_not_wider_than_the_screen(browser, file, size, scheme):
    page = opened(browser, file, size, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    ends = page.query_selector_all(".row figure:first-child")
    assert len(ends) == 3 and all(end.evaluate(IN_SIGHT) for end in ends)
    assert not page.query_selector(".row.plus figure:last-child").evaluate(IN_SIGHT)
    lefts = [
        page.query_selector(f"section:first-of-type {one}").bounding_box()["x"] for one in (".minus.row", ".begun")
    ]
    assert (lefts[0] < lefts[1]) == (size is DESK)


def test_a_picture_opens_at_the_keyboard_and_leads_along_its_row(browser, file):
    page = opened(browser, file, DESK)
    said = lambda: page.inner_text("#view b")  # noqa: E731
    page.focus(".minus.row button")
    page.keyboard.press("Enter")
    assert said() == "seed 0, direction 1 −, waypoint 13"
    for _ in range(13):
        page.keyboard.press("ArrowRight")
    assert said() == "seed 0, start"
    page.keyboard.press("ArrowRight")
    assert said() == "seed 0, direction 1 +, waypoint 1"
    page.wait_for_function("document.querySelector('#view img').width === 512")  # 16 pixels, 32 times as large
    assert page.inner_text("#view code").endswith("paths/seed0-1+.json:1")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('#view').open")
    # A dialog's `close` event is a task of its own, after `close()`.
    page.wait_for_function("document.activeElement.firstElementChild?.alt === 'seed 0, direction 1 +, waypoint 1'")


def test_links_lead_to_files_and_nothing_covers_the_film(browser, file):
    page = opened(browser, file, DESK)
    links = page.eval_on_selector_all("a", "all => all.map(one => one.href)")
    assert len(links) == 3 and all(Path(link.removeprefix("file://").replace("%2B", "+")).is_file() for link in links)
    assert page.eval_on_selector("video", "film => !film.controls && film.readyState >= 0")
    assert page.is_visible(".player input")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paths_of_a_notebook_fit_a_phone_and_begin_at_their_ends(browser, tmp_path, scheme):
    (tmp_path / "cell.html").write_text(f"<meta charset=utf-8>{Paths(paths(steps=9))._repr_html_()}", encoding="utf-8")
    page = opened(browser, tmp_path / "cell.html", PHONE, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    rows = page.query_selector_all("div:has(> div > img)")
    assert len(rows) == 4
    assert all(row.query_selector("div:first-child").evaluate(IN_SIGHT) for row in rows)
