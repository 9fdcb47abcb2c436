"""The page for everyone, in Chromium: what axe finds, where the focus goes, what is read out, narrow screens."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from visitors import Studio, Visitor

RULES = {"rules": {"target-size": {"enabled": True}}}
"""Axe's own choice, and targets of at least 24 pixels."""
SAID = """() => { window.said = []; new MutationObserver(() => {
    const text = document.querySelector("#said span").textContent.trim();
    if (text && text !== said.at(-1)) said.push(text);
}).observe(document.querySelector("#said"), {subtree: true, childList: true, characterData: true}); }"""

pytestmark = pytest.mark.docs


def findings(visitor: Visitor) -> list[str]:
    """Return what axe finds that is serious or critical, and whether the page is wider than the screen."""
    found = Axe().run(visitor.page, options=RULES).response["violations"]
    wide = visitor.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")] + [
        "wider than the screen"
    ] * wide


def point_at_the_sofa(visitor: Visitor) -> None:
    box = visitor.stage.bounding_box()
    assert box is not None
    visitor.stage.click(position={"x": 0.5 * box["width"], "y": 0.68 * box["height"]})
    expect(visitor.page.locator(".candidates b").last).to_have_text("this box")


def hold_the_sofa(visitor: Visitor, steps: int) -> None:
    point_at_the_sofa(visitor)
    visitor.click("Hold this")
    expect(visitor.page.get_by_label("expression 1 of hold")).to_have_value("rooms.part(sofa)")
    visitor.set("steps", steps)
    expect(visitor.page.locator("#setting-steps")).to_have_attribute("value", str(steps))


def walk(visitor: Visitor) -> None:
    visitor.click("Walk")
    expect(visitor.doing).to_contain_text("finished")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(visit: Callable[..., Visitor], studio: Studio, width: int, scheme: str):
    visitor = visit(studio, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = visitor.page
    paper = page.evaluate("getComputedStyle(document.querySelector('.eigenwalk')).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert findings(visitor) == []
    point_at_the_sofa(visitor)
    assert findings(visitor) == []
    visitor.click("None of them")
    hold_the_sofa(visitor, steps=2)
    visitor.click("Options of")
    page.get_by_label("search a feature to vary").fill("e")
    expect(page.locator(".found button").first).to_be_visible()
    assert findings(visitor) == []
    walk(visitor)
    page.get_by_label("direction 1 +, waypoint 2:").click()
    visitor.click("Compare")
    expect(page.locator("#cut")).to_be_visible()
    assert findings(visitor) == []
    page.get_by_label("expression 1 of hold").fill("rooms.part(sofaa)")
    page.get_by_label("expression 1 of hold").press("Enter")
    expect(page.locator("#error-hold-0")).to_contain_text("did you mean sofa?")
    visitor.click("Walk")
    expect(page.locator("#notice")).to_contain_text("did you mean sofa?")
    assert findings(visitor) == []


def test_axe_finds_what_is_wrong(visitor: Visitor):
    visitor.page.evaluate("document.querySelector('.stage img.large').removeAttribute('alt')")
    visitor.page.evaluate("document.querySelector('.bar h1').style.color = '#eee'")
    assert {one.split(":")[0] for one in findings(visitor)} == {"image-alt", "color-contrast"}


def test_what_is_typed_and_the_focus_stay_while_pictures_arrive(visitor: Visitor):
    hold_the_sofa(visitor, steps=3)
    start = visitor.page.locator("#start")
    start.focus()
    visitor.write("half a na")
    visitor.page.locator("button.primary", has_text="Walk").dispatch_event("click")
    expect(visitor.doing).to_contain_text("finished")
    expect(start).to_be_focused()
    expect(start).to_have_value("half a na")


def test_the_focus_goes_on_where_its_place_is_gone(visitor: Visitor):
    hold_the_sofa(visitor, steps=2)
    remove = visitor.page.get_by_role("button", name="Remove rooms.part(sofa)")
    remove.press("Enter")
    expect(remove).to_have_count(0)
    visitor.page.wait_for_function("document.activeElement.closest('#list-hold') !== null")


def test_what_happens_is_read_out_once_and_no_waypoint_by_itself(visitor: Visitor):
    visitor.page.evaluate(SAID)
    hold_the_sofa(visitor, steps=4)
    walk(visitor)
    expect(visitor.page.locator("#said span").first).to_have_text("finished")
    said = visitor.page.evaluate("said")
    assert any("sofa" in one for one in said) and said[-1] == "finished"
    assert not any("waypoint" in one for one in said) and len(said) == len(set(said)) <= 8
    visitor.press("ArrowRight")
    expect(visitor.page.locator("#said")).to_contain_text("direction 1 +, waypoint 1")


def test_headings_landmarks_language_and_a_link_to_the_picture(visitor: Visitor):
    page = visitor.page
    assert page.evaluate("document.documentElement.lang") == "en" and page.title() == "eigenwalk studio"
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= before + 1 for before, later in pairwise(levels))
    assert page.get_by_role("main").count() == 1
    visitor.press("Tab")
    expect(page.get_by_role("link", name="To the picture")).to_be_focused()
    visitor.press("Enter")
    expect(visitor.stage).to_be_focused()
    visitor.press("Shift+Tab", "Tab")
    ring = visitor.stage.evaluate("one => getComputedStyle(one).outlineWidth")
    assert float(ring.removesuffix("px")) >= 2


def test_nothing_turns_for_those_who_ask_for_no_motion(visit: Callable[..., Visitor], studio: Studio):
    turning = "getComputedStyle(document.querySelector('.busy')).animationName"
    for wish, name in (("reduce", "none"), ("no-preference", "eigenwalk-turn")):
        page = visit(studio, reduced_motion=wish).page
        page.evaluate("document.querySelector('.doing').innerHTML = '<i class=busy></i>'")
        assert page.evaluate(turning) == name


def test_a_theme_that_is_asked_for_is_taken(visitor: Visitor, studio: Studio):
    visitor.page.goto(f"{studio.address}?__theme=dark")
    expect(visitor.page.locator("body")).to_have_class(re.compile("dark"))
    expect(visitor.page.locator(".stage img.large")).to_have_attribute("src", re.compile("^data:image"))
    assert findings(visitor) == []
