"""The tale of the sofa by mouse, in Debian's Chromium; part of `make test-docs`."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect
from visitors import Studio, Visitor

pytestmark = pytest.mark.docs


def test_the_tale_of_the_sofa_by_mouse(visitor: Visitor, studio: Studio):
    page, stage = visitor.page, visitor.stage
    visitor.seed(2)
    visitor.set("steps", 6)
    box = stage.bounding_box()
    assert box is not None
    stage.click(position={"x": 0.56 * box["width"], "y": 0.68 * box["height"]})
    page.get_by_role("button", name="Hold this").first.click()
    expect(page.get_by_label("expression 1 of hold")).to_have_value("rooms.part(sofa)")
    page.get_by_role("button", name="Walk").click()
    expect(page.get_by_label("direction 1 +, waypoint 5:")).to_be_visible()
    page.get_by_label("direction 1 +, waypoint 5:").click()
    expect(page.locator(".shown h3")).to_have_text("direction 1 +, waypoint 5")
    page.get_by_role("button", name="Branch here").click()
    expect(page.locator("#start")).to_have_value(re.compile(r"runs/.*seed2-1\+.*5"))
    search = page.get_by_label("search a feature to hold")
    search.fill("part window")
    page.get_by_role("button", name=re.compile("^rooms.part")).click()
    page.get_by_label("expression 2 of hold").fill("rooms.part(window)")
    page.get_by_label("expression 2 of hold").press("Enter")
    expect(page.locator("#vary-0, .list.vary code").first).to_have_text("~rooms.part((sofa, window))")
    page.get_by_role("button", name="Walk").click()
    expect(visitor.doing).to_contain_text("finished")
    assert page.locator(".direction").count() == 3
    with page.expect_download() as download:
        page.get_by_role("button", name="Everything (zip)").click()
    assert download.value.suggested_filename.startswith("rooms-")
    for _ in range(4):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("#start")).to_have_value("")
    runs = [one for one in (studio.folder / "runs").iterdir() if one.name == download.value.suggested_filename[:-4]]
    assert [(one / "report.html").is_file() for one in runs] == [True]


def test_a_page_goes_on_after_a_reload(visitor: Visitor):
    visitor.seed(3)
    visitor.page.reload()
    expect(visitor.page.get_by_role("button", name="seed 3", exact=True)).to_have_attribute("aria-pressed", "true")
