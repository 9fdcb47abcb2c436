"""Several people at one studio, other generators, and what is typed wrongly, in Debian's Chromium; `make test-docs`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect
from visitors import Studio, Visitor

pytestmark = pytest.mark.docs

REAL = Path(os.path.normpath(Path(__file__).parents[3] / "../shared/real"))


DOING = """() => { window.said = []; new MutationObserver(() => {
    said.push(document.querySelector(".doing").textContent);
}).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""


def test_two_people_walk_at_once_each_with_their_own(visit: Callable[..., Visitor], studio: Studio):
    people = one, other = visit(studio), visit(studio)
    for visitor, seed, part in ((one, 4, "sofa"), (other, 5, "window")):
        visitor.seed(seed)
        visitor.hold(f"rooms.part({part})")
        visitor.set("paths", 16)
        visitor.set("steps", 100)
        expect(visitor.page.locator("#command")).to_contain_text("--steps 100")
        visitor.page.evaluate(DOING)
    for visitor in people:
        visitor.click("Walk")
    for visitor in people:
        expect(visitor.page.get_by_role("button", name="direction 1 +, waypoint 1:")).to_be_visible()
        expect(visitor.doing).to_contain_text("taking turns with 1")
    assert any("waiting, 1 before it" in said for said in other.page.evaluate("window.said"))
    one.click("Stop")
    expect(one.doing).to_contain_text("stopped")
    expect(other.doing).not_to_contain_text("taking turns")
    before = one.doing.inner_text()
    expect(other.doing).to_contain_text(re.compile(r"waypoint ([2-9]|\d\d) of 100, walking"))
    assert one.doing.inner_text() == before
    other.click("Stop")
    expect(other.doing).to_contain_text("stopped")
    for visitor, seed, part in ((one, 4, "sofa"), (other, 5, "window")):
        expect(visitor.page.get_by_label("expression 1 of hold")).to_have_value(f"rooms.part({part})")
        button = visitor.page.get_by_role("button", name=f"seed {seed}", exact=True)
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(visitor.page.locator("#command")).to_contain_text(f"--seed {seed}")


def walk_two_steps(visitor: Visitor) -> None:
    visitor.set("steps", 2)
    visitor.set("paths", 2)
    visitor.click("Walk")
    expect(visitor.doing).to_contain_text("waypoint 2 of 2, finished")
    last = visitor.page.get_by_role("button", name="direction 1 +, waypoint 2:")
    last.click()
    expect(visitor.page.locator(".stage img.large").first).to_have_attribute(
        "alt", re.compile(r"waypoint 2: varied \d")
    )
    expect(last.locator("img")).to_have_attribute("src", re.compile("^data:image"))


def open_generator(visitor: Visitor, text: str) -> None:
    field = visitor.page.get_by_label("Generator", exact=True)
    field.fill(text)
    field.press("Enter")


def test_faces_are_walked(visitor: Visitor):
    open_generator(visitor, "faces")
    expect(visitor.page.locator(".stage img.large")).to_have_attribute("alt", "The start: faces, seed 0")
    visitor.hold("faces.part(hair)")
    walk_two_steps(visitor)


@pytest.mark.skipif(not REAL.is_dir(), reason="the trained generators lie in ../shared/real")
def test_a_trained_network_in_a_file_is_walked(visitor: Visitor, studio: Studio):
    shutil.copyfile(REAL / "faces_vae.pt", studio.folder / "faces_vae.pt")
    open_generator(visitor, "faces_vae.pt")
    expect(visitor.page.locator(".stage img.large")).to_have_attribute("alt", "The start: faces_vae.pt, seed 0")
    visitor.hold("mask(box=(0.25, 0.25, 0.75, 0.8))")
    expect(visitor.page.locator(".list.vary")).to_contain_text("~mask(box=(0.25, 0.25, 0.75, 0.8))")
    walk_two_steps(visitor)


def test_a_file_elsewhere_is_refused_and_the_page_stays(visitor: Visitor, tmp_path: Path):
    (tmp_path / "theirs.pt").write_bytes(b"secret")
    open_generator(visitor, str(tmp_path / "theirs.pt"))
    expect(visitor.page.locator("#notice")).to_contain_text("--folder")
    expect(visitor.page.locator(".stage img.large")).to_have_attribute("alt", "The start: rooms, seed 0")


def test_what_is_typed_wrongly_is_marked_where_it_stands(visitor: Visitor):
    page = visitor.page
    visitor.hold("rooms.part(sofa)")
    field = page.get_by_label("expression 1 of hold")
    field.fill("rooms.part(sofaa)")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    error = page.locator(".list.hold .error")
    expect(error.locator("mark")).to_have_text("sofaa")
    expect(field).to_have_attribute("aria-describedby", error.get_attribute("id") or "-")
    visitor.seed(7)
    visitor.vary("pixels")
    visitor.click("Walk")
    expect(page.locator("#notice")).to_contain_text("sofaa")
    assert visitor.doing.filter(has_text="waypoint").count() == 0
    field.fill("rooms.part(sofa) < 0.02 <")
    field.press("Enter")
    expect(error).to_be_visible()
    field.fill("rooms.part(sofa) < 0.02")
    field.press("Enter")
    expect(error).to_have_count(0)
    walk_two_steps(visitor)
