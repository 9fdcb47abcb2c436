"""A studio that is killed, stopped, or cannot be reached: what the page says, and how it goes on; `make test-docs`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect
from visitors import Studio, Visitor

pytestmark = pytest.mark.docs


def offline(said: str) -> bool:
    """Whether the browser's console says that a request did not arrive."""
    return "ERR_CONNECTION" in said or "ERR_INTERNET" in said or "ERR_EMPTY" in said or "ERR_NETWORK" in said


def steps(visitor: Visitor) -> int:
    """Return how far the walk is that the page shows."""
    found = re.findall(r"waypoint (\d+) of", visitor.doing.inner_text())
    return int(found[0]) if found else 0


def test_the_page_keeps_so_many_bytes_of_pictures_those_looked_at_last(visitor: Visitor):
    script = (files("eigenwalk_studio") / "page/pictures.js").read_text("utf-8")
    kept = visitor.page.evaluate(
        "() => {"
        + script
        + """
          const pictures = new Pictures(50), seen = () => [[...pictures.urls.keys()], pictures.size];
          for (const id of "abcd") pictures.set(id, "x".repeat(9));
          pictures.set("none", "");
          pictures.get("a");
          const found = [seen()];
          pictures.set("e", "x".repeat(9));
          found.push(seen());
          pictures.askAgain();
          pictures.set("e", "y");
          found.push(seen());
          pictures.set("large", "x".repeat(99));
          found.push(seen(), pictures.get("a") === undefined);
          return found;
        }"""
    )
    assert kept == [
        [["b", "c", "d", "none", "a"], 44],
        [["c", "d", "none", "a", "e"], 44],
        [["c", "d", "a", "e"], 32],
        [["large"], 104],
        True,
    ]


def test_a_killed_studio_comes_back_with_all_that_was_walked(
    serve: Callable[..., Studio], visit: Callable[..., Visitor], tmp_path: Path
):
    studio = serve(tmp_path)
    visitor = visit(studio)
    page = visitor.page
    visitor.seed(1)
    visitor.hold("rooms.part(sofa)")
    visitor.set("steps", 60)
    visitor.click("Walk")
    expect(visitor.doing).to_contain_text(re.compile(r"waypoint [2-9] of 60"))
    walked = steps(visitor)
    studio.kill()
    expect(page.locator(".lost")).to_be_visible()
    studio.start()
    expect(page.locator(".lost")).to_be_hidden()
    expect(visitor.doing).to_contain_text("stopped")
    assert walked <= steps(visitor) < 60
    expect(page.get_by_label("expression 1 of hold")).to_have_value("rooms.part(sofa)")
    walked = steps(visitor)
    visitor.click("Go on")
    expect(visitor.doing).to_contain_text(re.compile(rf"waypoint ({walked + 1}|{walked + 2}) of 60"))
    visitor.click("Stop")
    expect(visitor.doing).to_contain_text("stopped")
    visitor.wrong = [said for said in visitor.wrong if not offline(said)]


def test_a_lost_connection_is_said_and_found_again(visitor: Visitor):
    page = visitor.page
    visitor.seed(1)
    visitor.context.set_offline(True)
    page.get_by_role("button", name="seed 2", exact=True).click()
    expect(page.locator(".lost")).to_be_visible()
    visitor.context.set_offline(False)
    expect(page.locator(".lost")).to_be_hidden()
    visitor.seed(3)
    visitor.wrong = [said for said in visitor.wrong if not offline(said)]


def test_a_studio_that_hangs_is_said_not_to_answer(visitor: Visitor, studio: Studio):
    page = visitor.page
    visitor.seed(1)
    studio.process.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator(".lost")).to_be_visible()
    finally:
        studio.process.send_signal(signal.SIGCONT)
    expect(page.locator(".lost")).to_be_hidden()
    visitor.seed(3)
