"""Makes the pictures of the studio in the docs: `python tools/studio_pictures.py`, into docs/assets or a folder given.

It starts `eigenwalk studio rooms` in an empty folder, and drives the page in Chromium (Debian's `chromium`) as a
person does: holds the sofa, walks to the end, and goes along the first direction. The same page is photographed wide
and narrow, light and dark.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

ASSETS = Path(__file__).resolve().parents[1] / "docs/assets"
START = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "studio", "rooms", "--no-browser"]
SIZES = {"": (1280, 900), "-phone": (390, 844)}
SCHEMES = {"": "light", "-dark": "dark"}
LARGEST = 300_000
"""Bytes of a picture."""
TIME = 300_000
"""Milliseconds that anything may take."""


@contextmanager
def served() -> Iterator[str]:
    """Give the address of a studio in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(START, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        yield next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stderr.close()


def walk(page: Page) -> None:
    """Hold the sofa, walk, and go eight pictures along the first direction."""
    box: Any = page.locator(".stage").bounding_box()
    page.locator(".stage").click(position={"x": 0.5 * box["width"], "y": 0.68 * box["height"]})
    page.get_by_role("button", name="Hold this").first.click()
    expect(page.get_by_label("expression 1 of hold")).to_have_value("rooms.part(sofa)")
    expect(page.locator(".tolerance")).to_be_visible()
    page.locator("button.primary", has_text="Walk").click()
    expect(page.locator(".doing")).to_contain_text("finished")
    page.get_by_label("direction 1 +, waypoint 8:").click()
    expect(page.locator(".shown h3")).to_have_text("direction 1 +, waypoint 8")


def photograph(page: Page, file: Path, full: bool) -> None:
    """Save what is on the screen, or the page down to its plots, in 256 colours."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_function("[...document.querySelectorAll('img[data-picture]')].every(one => one.src)")
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=full))).convert("RGB")
    if full:
        end: Any = page.locator(".plots").bounding_box()
        picture = picture.crop((0, 0, picture.width, round(end["y"] + end["height"] + 12)))
    picture.quantize(palette=picture.quantize(256), dither=Image.Dither.FLOYDSTEINBERG).save(file, optimize=True)
    print(f"{file}: {picture.width} x {picture.height}, {file.stat().st_size:,} bytes")
    if file.stat().st_size > LARGEST:
        sys.exit(f"{file} has more than {LARGEST:,} bytes")


def main(words: Sequence[str] | None = None) -> None:
    """All pictures, from arguments."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", nargs="?", type=Path, default=ASSETS, help="where to write")
    given = reader.parse_args(words)
    program = shutil.which("chromium") or sys.exit("there is no Chromium here: apt-get install chromium")
    expect.set_options(timeout=TIME)
    with served() as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for size, (width, height) in SIZES.items():
            for scheme, colours in SCHEMES.items():
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=colours)  # type: ignore[arg-type]
                page.set_default_timeout(TIME)
                page.goto(address)
                expect(page.locator(".stage img.large")).to_have_attribute("src", re.compile("^data:image"))
                walk(page)
                photograph(page, given.folder / f"studio{size}{scheme}.png", full=not size)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
