"""The page over HTTP, and the command: who may come in, what is refused, and how it ends. No browser."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from visitors import wait

from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.pictures import pixels_of
from eigenwalk_studio.server import Sessions, launch
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import UPLOAD, Trust

START = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "studio", "rooms", "--no-browser"]


class Page:
    """A visitor without a browser: calls what the page's component calls."""

    def __init__(self, address: str, **options: Any):
        self.http = httpx.Client(base_url=address.rstrip("/"), timeout=60, **options)
        self.session: str | None = None

    def call(self, name: str, /, **request: Any) -> Any:
        components = self.http.get("/config").json()["components"]
        component = next(one["id"] for one in components if one["type"] == "html")
        body = {"data": {"session": self.session, **request}, "fn_name": name, "component_id": component}
        answer = self.http.post("/gradio_api/component_server", json={**body, "session_hash": "x"})
        answer.raise_for_status()
        return answer.json()

    def act(self, act: str, /, **request: Any) -> str:
        answer = self.call("act", act=act, **request)
        self.session = answer["session"]
        return answer["html"]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    folder = tmp_path_factory.mktemp("studio")
    engine = Engine(Library(Trust(folder, password="open sesame"), folder / "runs"))
    yield Sessions(engine, State("rooms", steps=2, paths=2), folder / "histories")
    engine.close()


@pytest.fixture(scope="module")
def local(sessions: Sessions) -> Iterator[str]:
    blocks, address = launch(sessions, "127.0.0.1", None, public=True)
    yield address
    blocks.close()


def test_a_visitor_walks_without_a_browser(local: str):
    page = Page(local)
    assert "Point at what is to hold" in page.act("masks")
    page.act("add", list="hold", value="rooms.part(sofa)")
    html = page.act("walk")
    version = 0
    while not re.search(r"waypoint 2 of 2, finished", html):
        answer = page.call("follow", version=version)
        version, html = answer["version"], answer["html"] or html
    ids = [json.loads(f'"{one}"') if "\\" in one else one for one in re.findall(r'data-picture="([^"]+)"', html)]
    ids = [one.replace("&#34;", '"') for one in ids]
    found = page.call("pictures", ids=ids[:20])
    assert set(found) == set(ids[:20]) and all(url.startswith("data:image/") for url in found.values())
    assert page.call("file", what="picture")["url"].startswith("data:image/png")
    again = Page(local)
    again.session = page.session
    assert ", finished" in again.act("look", path="seed0-1+", waypoint=1)


def test_nobody_takes_a_session_or_a_file_by_guessing(local: str, sessions: Sessions):
    page = Page(local)
    page.session = "a" * 24
    page.act("masks")
    assert page.session != "a" * 24
    page.session = "../../../../etc/passwd"
    page.act("masks")
    assert page.session != "../../../../etc/passwd"
    assert "no file that was sent" in page.act("photograph", path="/etc/passwd")
    ids = ["", "{", "[]", '["seed", "/etc/passwd", 0]', '["walk", "../..", "x", 0]', '["walk", 1, 2, 3]', "x" * 5000, 3]
    assert page.call("pictures", ids=ids) == {}
    with pytest.raises(httpx.HTTPStatusError):
        page.call("close")


def test_a_name_that_leads_here_from_elsewhere_is_refused(local: str):
    answer = httpx.get(local, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert httpx.get(local, headers={"Host": "localhost"}).status_code == 200


def test_uploads_are_bounded(local: str):
    sent = httpx.post(f"{local.rstrip('/')}/gradio_api/upload", files={"files": ("x.png", b"\0" * (UPLOAD + 1))})
    assert sent.status_code in (400, 413)


def test_the_page_names_nothing_elsewhere_that_a_browser_would_fetch(local: str):
    html = httpx.get(local).text
    fetched = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', html)
    assert [url for url in fetched if not url.startswith(local)] == []
    assert '"analytics_enabled":false' in html.replace(" ", "")
    assert "fonts.googleapis" not in html


def test_a_password_is_asked_for(sessions: Sessions):
    blocks, address = launch(sessions, "0.0.0.0", None)
    try:
        stranger = Page(address.replace("0.0.0.0", "127.0.0.1"))
        for _ in range(2):
            assert stranger.http.get("/config").status_code == 401
            refused = {"data": {}, "fn_name": "act", "component_id": 1, "session_hash": "x"}
            assert stranger.http.post("/gradio_api/component_server", json=refused).status_code == 401
            said = stranger.http.post("/login", data={"username": "me", "password": "guess"})
            assert said.status_code == 400
        assert stranger.http.post("/login", data={"username": "me", "password": "open sesame"}).status_code == 200
        assert "Point at what is to hold" in stranger.act("masks")
    finally:
        blocks.close()


def test_ctrl_c_ends_it_at_once_and_what_was_walked_is_there(tmp_path: Path):
    process = subprocess.Popen([*START, "--out", "mine"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
        page = Page(address)
        page.act("add", list="hold", value="rooms.part(sofa)")
        page.act("setting", name="steps", value=100)
        html = page.act("walk")
        while "waypoint 2 of" not in html:
            html = page.call("follow", version=-1)["html"]
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        took = time.monotonic() - began
        assert "the studio is closed" in process.stderr.read()
    finally:
        process.kill()
        if process.stderr is not None:
            process.stderr.close()
    assert took < 20
    (run,) = (one for one in (tmp_path / "mine").iterdir() if one.name.startswith("rooms-"))
    with RunFolder.open(run) as folder:
        assert len(folder.paths[0]) >= 3 and folder.damage == ""
    assert (tmp_path / "mine" / "histories" / f"{page.session}.json").is_file()
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folder", "nowhere"], "is no folder"),
        (["--public"], "only this machine reaches"),
        (["--device", "cuda"], "cannot be used here"),
        (["--port", "0"], "port"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_opened(tmp_path: Path, words: list[str], said: str):
    done = subprocess.run([*START, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*START, "--port", port], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and f"cannot listen on port {port}" in done.stderr and "--port" in done.stderr


def test_a_photograph_is_found_and_walked_from(local: str, sessions: Sessions):
    page, generator = Page(local), sessions.engine.library.generator("rooms")
    page.act("masks")
    session = sessions.all[page.session or ""]
    photograph = pixels_of(sessions.engine.library.start_image("rooms", 5))
    stream = io.BytesIO()
    Image.fromarray(photograph).resize((200, 200)).save(stream, "PNG")
    (path,) = page.http.post("/gradio_api/upload", files={"files": ("me.png", stream.getvalue())}).json()
    assert "looking for the photograph" in page.act("photograph", path=path)
    wait(lambda: session.state.start or session.notice)
    assert session.notice == "" and session.state.start == session.state.generator
    found = pixels_of(session.image())
    others = [pixels_of(sessions.engine.library.start_image("rooms", seed)) for seed in (6, 7)]
    apart = [float(np.abs(one.astype(float) - photograph).mean()) for one in (found, *others)]
    assert apart[0] < 0.5 * min(apart[1:])
    assert generator.resolution == (64, 64)
    page.act("walk")
    wait(lambda: session.walk is not None and session.walk.condition in ("finished", "failed"), 200)
    assert session.walk is not None and session.walk.error == ""


def test_a_search_for_a_photograph_can_be_left(local: str, sessions: Sessions):
    page, stream = Page(local), io.BytesIO()
    page.act("masks")
    session = sessions.all[page.session or ""]
    Image.linear_gradient("L").save(stream, "PNG")
    (path,) = page.http.post("/gradio_api/upload", files={"files": ("me.png", stream.getvalue())}).json()
    page.act("photograph", path=path)
    assert "looking for" not in page.act("leave") and session.inversion is not None
    wait(lambda: session.inversion is not None and session.inversion.condition == "stopped")
    assert session.state.start == "" and session.notice == ""


def test_what_is_no_photograph_is_refused(local: str):
    page = Page(local)
    large = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(large, "PNG")
    for data, said in (
        (b"no picture", "not a picture"),
        (large.getvalue(), "million"),
        (b"\x89PNG\r\n\x1a\n" * 9, "damaged"),
    ):
        (path,) = page.http.post("/gradio_api/upload", files={"files": ("me.png", data)}).json()
        html = page.act("photograph", path=path)
        assert said in html and "looking for the" not in html and "gradio" not in html
