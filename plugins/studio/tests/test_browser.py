"""The tale of the sofa in Debian's Chromium; part of `make test-docs`."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or ""
START = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "studio", "rooms", "--no-browser"]
SECONDS = 120_000
"""Milliseconds that anything may take: machines of tests are busy."""

pytestmark = [
    pytest.mark.docs,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    process = subprocess.Popen(START, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    yield next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
    process.send_signal(signal.SIGINT)
    process.wait(30)
    process.stderr.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The open page; what it says in the console, and what it asks elsewhere for, is a failure."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page, wrong = context.new_page(), []
    page.set_default_timeout(SECONDS)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on(
        "request", lambda one: wrong.append(one.url) if one.url.startswith("http") and address not in one.url else None
    )
    page.goto(address)
    expect(page.locator(".stage img.large")).to_have_attribute("src", re.compile("^data:image"), timeout=SECONDS)
    yield page
    context.close()
    assert wrong == []


def finish(page: Page) -> None:
    expect(page.locator(".doing")).to_contain_text("finished", timeout=SECONDS)


def test_the_tale_of_the_sofa_by_mouse(page: Page, tmp_path: Path):
    stage = page.locator(".stage")
    box = stage.bounding_box()
    assert box is not None
    stage.click(position={"x": 0.5 * box["width"], "y": 0.68 * box["height"]})
    page.get_by_role("button", name="Hold this").first.click()
    expect(page.get_by_label("expression 1 of hold")).to_have_value("rooms.part(sofa)", timeout=SECONDS)
    page.get_by_role("button", name="Walk").click()
    expect(page.get_by_label("direction 1 +, waypoint 5:")).to_be_visible(timeout=SECONDS)
    page.get_by_label("direction 1 +, waypoint 5:").click()
    expect(page.locator(".shown h3")).to_have_text("direction 1 +, waypoint 5", timeout=SECONDS)
    page.get_by_role("button", name="Branch here").click()
    expect(page.locator("#start")).to_have_value(re.compile(r"runs/.*seed0-1\+.*5"), timeout=SECONDS)
    search = page.get_by_label("search a feature to hold")
    search.fill("part window")
    page.get_by_role("button", name=re.compile("^rooms.part")).click()
    page.get_by_label("expression 2 of hold").fill("rooms.part(window)")
    page.get_by_label("expression 2 of hold").press("Enter")
    expect(page.locator("#vary-0, .list.vary code").first).to_have_text("~rooms.part((sofa, window))", timeout=SECONDS)
    page.get_by_role("button", name="Walk").click()
    finish(page)
    assert page.locator(".direction").count() == 3
    with page.expect_download() as download:
        page.get_by_role("button", name="Everything (zip)").click()
    assert download.value.suggested_filename.startswith("rooms-")
    for _ in range(4):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("#start")).to_have_value("", timeout=SECONDS)
    runs = [one for one in (tmp_path / "runs").iterdir() if one.name.startswith("rooms-")]
    assert len(runs) == 2 and sum((one / "report.html").is_file() for one in runs) >= 1


def test_a_page_goes_on_after_a_reload(page: Page):
    seed = page.get_by_role("button", name="seed 3", exact=True)
    seed.click()
    expect(page.get_by_role("button", name="seed 3", exact=True)).to_have_attribute(
        "aria-pressed", "true", timeout=SECONDS
    )
    page.reload()
    expect(page.get_by_role("button", name="seed 3", exact=True)).to_have_attribute(
        "aria-pressed", "true", timeout=SECONDS
    )
