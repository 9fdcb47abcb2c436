"""A studio and a browser for the tests that look at the page."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from visitors import CHROMIUM, Studio, Visitor

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from eigenwalk_studio.engine import Engine


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine of this process, in an empty working folder."""
    from eigenwalk_studio.engine import Engine
    from eigenwalk_studio.library import Library
    from eigenwalk_studio.trust import Trust

    monkeypatch.chdir(tmp_path)
    engine = Engine(Library(Trust(tmp_path), tmp_path / "runs"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; one for each module, since its event loop runs as long as it does."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Studio]]:
    """Start a studio, which ends with the tests."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    started: list[Studio] = []

    def serve(*args: Any, **options: Any) -> Studio:
        started.append(Studio(*args, **options))
        return started[-1]

    yield serve
    for studio in started:
        if studio.process.poll() is None:
            studio.kill(signal.SIGINT)


@pytest.fixture(scope="session")
def studio(serve: Callable[..., Studio], tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio that the tests share, each with sessions of its own."""
    return serve(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def visit(serve: Callable[..., Studio], browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a studio's page; whatever goes wrong in it fails the test."""
    visitors: list[Visitor] = []

    def visit(studio: Studio, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, studio.address, **options))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        with suppress(Exception):
            visitor.context.close()
    assert [visitor.wrong for visitor in visitors] == [[]] * len(visitors)


@pytest.fixture
def visitor(visit: Callable[..., Visitor], studio: Studio) -> Visitor:
    """A person before the shared studio."""
    return visit(studio)
