"""`eigenwalk studio` as a process, and people who visit it in Debian's Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

    from eigenwalk_studio.engine import Engine
    from eigenwalk_studio.session import Session

CHROMIUM = shutil.which("chromium") or ""
START = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "studio"]
SECONDS = 120_000
"""Milliseconds that anything may take: machines of tests are busy."""
FOCUSED = """() => {
  const one = document.activeElement;
  return one.getAttribute("aria-label") || (one.labels && one.labels[0] || one).textContent.trim() || one.id;
}"""
MOST_TABS = 120


def wait(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Return when `condition` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


def session_of(engine: Engine, **entries: Any) -> Session:
    """Return a session of `engine` with `rooms`."""
    from eigenwalk_studio.session import Session
    from eigenwalk_studio.state import State

    return Session("n" * 24, engine, State("rooms", **entries), engine.library.out / "histories")


class Studio:
    """The command in a folder; `start` and `kill` may follow each other at the same address.

    Args:
        folder: the working folder.
        words: of the command.
        env: beside this process's.
    """

    def __init__(self, folder: Path, words: Sequence[str] = ("rooms",), env: Mapping[str, str] | None = None):
        self.folder, self.words, self.env = folder, [*words, "--no-browser"], {**os.environ, **(env or {})}
        self.address = ""
        self.start()

    def start(self) -> None:
        """Start it, at the address that it had before, and wait until the page is there."""
        again = ["--port", self.address.rstrip("/").rpartition(":")[2]] if self.address else []
        self.process = subprocess.Popen(
            [*START, *self.words, *again], cwd=self.folder, env=self.env, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                self.address = found[0]
                return
        raise AssertionError("".join(said))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it by a signal."""
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def peak(self) -> int:
        """Return the most memory it has had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status)[0])


class Visitor:
    """A person with a browser of their own, and the page open.

    Attributes:
        page: Playwright's.
        wrong: what the page said in the console, what it raised, and what it asked other places for.
    """

    def __init__(self, browser: Browser, address: str, **options: Any):
        from playwright.sync_api import expect

        expect.set_options(timeout=SECONDS)
        self.context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}, **options})
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.set_default_timeout(SECONDS)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda one: self._note(one.url, address))
        self.page.goto(address)
        expect(self.page.locator(".stage img.large")).to_have_attribute("src", re.compile("^data:image"))

    def _note(self, url: str, address: str) -> None:
        if url.startswith("http") and address not in url:
            self.wrong.append(url)

    @property
    def stage(self) -> Locator:
        """The large picture."""
        return self.page.locator(".stage")

    @property
    def doing(self) -> Locator:
        """What the walk does."""
        return self.page.locator(".doing")

    def focused(self) -> str:
        """Return the label of what has the keyboard."""
        return self.page.evaluate(FOCUSED)

    def on(self, label: str) -> None:
        """Wait until what is labelled so, a regular expression, has the keyboard: the page moves it after an answer."""
        wait(lambda: re.search(label, self.focused()), 60)

    def press(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, label: str, key: str = "Tab") -> None:
        """Press Tab (or Shift+Tab) until what is labelled so, a regular expression, has the keyboard."""
        passed = []
        for _ in range(MOST_TABS):
            self.press(key)
            passed.append(self.focused())
            if re.search(label, passed[-1]):
                return
        raise AssertionError(f"{key} does not reach {label}: {passed}")

    def write(self, text: str) -> None:
        """Write into the field that has the keyboard, in place of what it holds."""
        self.press("Control+a")
        self.page.keyboard.type(text)

    def seed(self, seed: int) -> None:
        """Click on a seed, and wait until the page shows that it is chosen."""
        from playwright.sync_api import expect

        button = self.page.get_by_role("button", name=f"seed {seed}", exact=True)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")

    def hold(self, *texts: str) -> None:
        """Hold features, by search and text."""
        self._list("hold", texts)

    def vary(self, *texts: str) -> None:
        """Vary features, by search and text."""
        self._list("vary", texts)

    def _list(self, part: str, texts: Sequence[str]) -> None:
        from playwright.sync_api import expect

        for text in texts:
            name = re.split(r"[(<|~ ]", text.lstrip("~"))[0]
            before = self.page.locator(f".list.{part} .expression").count()
            self.page.get_by_label(f"search a feature to {part}").fill(name)
            self.page.locator(f".list.{part} .found button", has=self.page.get_by_text(name, exact=True)).click()
            field = self.page.get_by_label(f"expression {before + 1} of {part}")
            expect(field).to_be_visible()
            if field.input_value() != text:
                field.fill(text)
                field.press("Enter")
            expect(field).to_have_value(text)

    def set(self, name: str, value: object) -> None:
        """Change a setting: steps, paths, stride or tolerance."""
        if self.page.locator("#settings").get_attribute("open") is None:
            self.page.locator("#settings summary").click()
        self.page.get_by_label(name, exact=True).fill(str(value))
        self.page.get_by_label(name, exact=True).press("Enter")

    def click(self, name: str) -> None:
        """Click on a button by its name or what it begins with."""
        self.page.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).first.click()
