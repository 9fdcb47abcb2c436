"""The tale of the sofa by keyboard alone, in Debian's Chromium; part of `make test-docs`."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect
from visitors import Visitor

pytestmark = pytest.mark.docs


def test_the_tale_of_the_sofa_by_keyboard(visitor: Visitor):
    page = visitor.page
    visitor.tab_to("^Settings")
    visitor.press("Enter", "Tab")
    visitor.write("6")
    visitor.press("Enter")
    visitor.tab_to("^The start: rooms, seed 0", "Shift+Tab")
    visitor.press("Enter", *["ArrowDown"] * 4)
    expect(page.get_by_role("status").filter(has_text="50% from the left, 70% from the top")).to_have_count(1)
    visitor.press("Enter")
    expect(page.locator(".candidates")).to_contain_text("this box")
    visitor.on("^The start:")
    visitor.tab_to("^Hold this")
    visitor.press("Enter")
    expect(page.get_by_label("expression 1 of hold")).to_have_value("rooms.part(sofa)")
    visitor.on("^The start:")
    visitor.press("w")
    expect(page.get_by_label("direction 1 +, waypoint 5:")).to_be_visible()
    visitor.press(*["ArrowRight"] * 5)
    expect(page.locator(".shown h3")).to_have_text("direction 1 +, waypoint 5")
    visitor.on(r"^direction 1 \+, waypoint 5")
    visitor.press("b")
    expect(page.locator("#start")).to_have_value(re.compile(r"runs/.*seed0-1\+.*5"))
    visitor.tab_to("^search a feature to hold")
    visitor.write("part window")
    visitor.tab_to("^rooms.part")
    visitor.press("Enter")
    expect(page.get_by_label("expression 2 of hold")).to_be_visible()
    visitor.tab_to("^expression 2 of hold", "Shift+Tab")
    visitor.write("rooms.part(window)")
    visitor.press("Enter")
    expect(page.locator(".list.vary code").first).to_have_text("~rooms.part((sofa, window))")
    visitor.on("^expression 2 of hold$")
    visitor.tab_to("^Walk", "Shift+Tab")
    visitor.press("Enter")
    expect(visitor.doing).to_contain_text("finished")
    visitor.on("^Walk")
    visitor.tab_to(r"^Everything \(zip\)")
    with page.expect_download() as download:
        visitor.press("Enter")
    assert download.value.suggested_filename.startswith("rooms-")
    visitor.tab_to("^Undo", "Shift+Tab")
    visitor.press(*["Enter"] * 4)
    expect(page.locator("#start")).to_have_value("")
    visitor.on("^Undo")
