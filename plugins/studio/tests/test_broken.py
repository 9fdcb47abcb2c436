"""Plugins that fail, hang, or bring HTML: the studio goes on, and says what is wrong where it is; `make test-docs`."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from zookeeper import Site

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect
from visitors import Studio, Visitor

pytestmark = pytest.mark.docs

EVIL = '<img src=x onerror="window.hacked = true">'
PLUGIN = (
    f"EVIL = {EVIL!r}\n"
    + """
import threading

from eigenwalk.feature import Feature
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option


class Raising(Feature):
    def __call__(self, images):
        raise RuntimeError("the lamp is out")


class Hanging(Feature):
    def __init__(self, how):
        pass

    def __call__(self, images):
        threading.Event().wait()


class Mean(Feature):
    def __init__(self, kind=None):
        pass

    def __call__(self, images):
        return images.mean((2, 3))


def factory():
    raise RuntimeError("the factory burns")


@hookimpl
def eigenwalk_features():
    kind = Option("kind", choices=(EVIL, "plain"), summary=EVIL)
    return [
        FeatureSpec("broken.factory", "broken:factory", "raises when it is made"),
        FeatureSpec("broken.call", "broken:Raising", "raises when it is called"),
        FeatureSpec("broken.hang", "broken:Hanging", "never answers", options=(Option("how", required=True),)),
        FeatureSpec("broken.words", "broken:Mean", EVIL, options=(kind,), unit=EVIL),
    ]
"""
)


@pytest.fixture(scope="module")
def broken(serve: Callable[..., Studio], tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("broken")
    site = Site(folder / "site")
    site.add("eigenwalk-broken", "broken", PLUGIN)
    site.zoo("lacks_a_module", "exits")
    return serve(folder, env={"PYTHONPATH": str(site.folder)})


@pytest.mark.parametrize(("name", "said"), [("factory", "the factory burns"), ("call", "the lamp is out")])
def test_a_feature_that_raises_is_said_to_where_it_stands(
    visit: Callable[..., Visitor], broken: Studio, name: str, said: str
):
    visitor = visit(broken)
    page = visitor.page
    visitor.set("steps", 1)
    visitor.hold(f"broken.{name}")
    expect(page.locator(".list.hold .error")).to_contain_text(said)
    expect(page.get_by_label("expression 1 of hold")).to_have_attribute("aria-invalid", "true")
    visitor.click("Walk")
    expect(page.locator("#walk-error")).to_contain_text(said)
    expect(page.locator("#walk-error")).to_contain_text(f"broken.{name}")
    expect(visitor.doing).to_contain_text("failed")
    page.get_by_role("button", name=f"remove broken.{name}").click()
    expect(page.locator(".list.hold .error")).to_have_count(0)
    visitor.hold("rooms.part(sofa)")
    visitor.click("Walk")
    expect(visitor.doing).to_contain_text("waypoint 1 of 1, finished")
    expect(page.locator("#walk-error")).to_have_count(0)


def test_html_in_a_plugin_is_text(visit: Callable[..., Visitor], broken: Studio):
    visitor = visit(broken)
    page = visitor.page
    page.get_by_label("search a feature to hold").fill("broken.words")
    found = page.locator(".list.hold .found button")
    expect(found).to_have_count(1)
    expect(found).to_contain_text(EVIL)
    found.click()
    expect(page.locator(".list.hold .form")).to_contain_text(EVIL)
    expect(page.locator(".list.hold .form option").nth(1)).to_have_text(EVIL)
    expect(page.locator(".list.hold .tolerance")).to_be_visible()
    visitor.set("steps", 1)
    visitor.click("Walk")
    expect(visitor.doing).to_contain_text("waypoint 1 of 1, finished")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_a_feature_that_hangs_leaves_pictures_and_pointing(visit: Callable[..., Visitor], broken: Studio):
    visitor = visit(broken)
    page = visitor.page
    visitor.hold("broken.hang(slowly)")
    visitor.click("More seeds")
    visitor.seed(20)
    expect(page.locator(".stage img.large")).to_have_attribute("alt", "The start: rooms, seed 20")
    expect(page.get_by_role("button", name="seed 23", exact=True).locator("img")).to_have_attribute(
        "src", re.compile("^data:image")
    )
