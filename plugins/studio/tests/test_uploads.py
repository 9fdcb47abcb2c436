"""What is sent as a photograph: one to begin at, and what is none, in Debian's Chromium; part of `make test-docs`."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect
from visitors import Studio, Visitor

pytestmark = pytest.mark.docs


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def send(visitor: Visitor, name: str, data: bytes) -> None:
    field = visitor.page.locator(".start input[type=file]")
    field.set_input_files({"name": name, "mimeType": "image/png", "buffer": data})


def test_a_picture_of_a_hundred_megapixels_is_refused_unread(visitor: Visitor, studio: Studio):
    stream = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(stream, "PNG")
    visitor.seed(1)
    before = studio.peak()
    send(visitor, "large.png", stream.getvalue())
    expect(visitor.page.locator("#notice")).to_contain_text(re.compile("10000 x 10000 pixels, .* million"))
    assert studio.peak() - before < 60 << 20
    visitor.seed(2)


def test_a_pickle_named_as_a_picture_is_refused_unopened(visitor: Visitor, studio: Studio, tmp_path: Path):
    send(visitor, "me.png", pickle.dumps(Planted(tmp_path / "ran")))
    expect(visitor.page.locator("#notice")).to_contain_text("is not a picture")
    assert list(tmp_path.iterdir()) == [] and not (studio.folder / "runs" / "photographs").exists()
    visitor.seed(2)


def test_a_file_of_more_than_twenty_megabytes_is_refused(visitor: Visitor):
    send(visitor, "me.png", b"\0" * (21 << 20))
    expect(visitor.page.locator("#notice")).to_contain_text("the file was not taken")
    visitor.seed(2)
    visitor.wrong = [said for said in visitor.wrong if "413" not in said]


def test_a_photograph_is_found_and_walked_from(visitor: Visitor):
    page = visitor.page
    field = page.get_by_label("Generator", exact=True)
    field.fill("faces")
    field.press("Enter")
    expect(page.locator(".stage img.large")).to_have_attribute("alt", "The start: faces, seed 0")
    visitor.seed(6)
    with page.expect_download() as download:
        visitor.click("This picture")
    visitor.seed(0)
    send(visitor, "me.png", Path(download.value.path()).read_bytes())
    expect(page.locator(".start .search")).to_contain_text("looking for the photograph")
    expect(page.locator("#start")).to_have_value(re.compile(r"runs/photographs/\w+/found"))
    expect(page.locator(".stage img.large")).to_have_attribute("alt", re.compile(r"^The start: .*/found, "))
    expect(page.locator(".start .search")).to_have_count(0)
    visitor.set("steps", 1)
    visitor.click("Walk")
    expect(visitor.doing).to_contain_text("waypoint 1 of 1, finished")
