"""The folder for Hugging Face Spaces: its files, and its app as Spaces runs it, over HTTP."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]
SPACE = ROOT / "plugins/studio/space"


def test_the_readme_says_what_spaces_read():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    said = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert said["sdk"] == "gradio" and f"\ngradio=={said['sdk_version']}\n" in pins
    assert (SPACE / said["app_file"]).is_file() and said["license"] == "apache-2.0"
    assert isinstance(said["python_version"], str) and len(said["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {said["colorFrom"], said["colorTo"]} <= colours and said["title"]


def test_the_requirements_are_packages_of_ours():
    names = (SPACE / "requirements.txt").read_text(encoding="utf-8").split()
    ours = {
        re.findall(r'^name = "(.+)"$', one.read_text(), re.MULTILINE)[0]
        for one in ROOT.glob("plugins/*/pyproject.toml")
    }
    assert set(names) <= ours and names == sorted(names) and "eigenwalk-studio" in names


class Visitor:
    """Somebody from anywhere, without a browser."""

    def __init__(self, address: str):
        self.http = httpx.Client(base_url=address, timeout=120)
        self.session: str | None = None

    def call(self, name: str, /, **request: Any) -> Any:
        parts = self.http.get("/config").json()["components"]
        body = {"data": {"session": self.session, **request}, "fn_name": name, "session_hash": "x"}
        body["component_id"] = next(one["id"] for one in parts if one["type"] == "html")
        answer = self.http.post("/gradio_api/component_server", json=body)
        answer.raise_for_status()
        self.session = answer.json()["session"]
        return answer.json()

    def act(self, act: str, /, **request: Any) -> str:
        return self.call("act", act=act, **request)["html"]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app as Spaces runs it."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(SPACE, folder, dirs_exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"SYSTEM": "spaces", "SPACE_ID": "me/studio", "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=folder, env={**os.environ, **env}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = ""
    while "open at" not in said:
        line = process.stderr.readline()
        said += line
        assert line, said
    assert "Traceback" not in said
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process.stderr.close()


def test_whoever_comes_may_walk_in_both_generators(space: str):
    visitor = Visitor(space)
    assert 'value="rooms"' in visitor.act("masks")
    visitor.act("setting", name="steps", value=1)
    visitor.act("setting", name="paths", value=2)
    for generator, part in (("rooms", "rooms.part(sofa)"), ("faces", "faces.part(eyes)")):
        assert f'value="{generator}"' in visitor.act("generator", value=generator)
        visitor.act("add", list="hold", value=part)
        html, version = visitor.act("walk"), 0
        while "waypoint 1 of 1, finished" not in html:
            assert 'id="walk-error"' not in html
            answer = visitor.call("follow", version=version)
            version, html = answer["version"], answer["html"] or html
        visitor.act("remove", list="hold", index=0)


@pytest.mark.parametrize(
    ("act", "given", "said"),
    [
        ("start", {"value": "/etc/passwd"}, "lies outside"),
        ("start", {"value": "../app.py"}, "lies outside"),
        ("generator", {"value": "../model.pt"}, "lies outside"),
        ("generator", {"value": "./app.py:main"}, "runs code"),
        ("add", {"list": "hold", "value": "./app.py:main"}, "runs code"),
        ("setting", {"name": "steps", "value": 10**6}, "lies between"),
    ],
)
def test_visitors_reach_no_code_and_no_file_of_the_machine(space: str, act: str, given: dict[str, Any], said: str):
    visitor = Visitor(space)
    assert said in visitor.act(act, **given)


def test_the_page_asks_nobody_else_for_anything(space: str):
    config = httpx.get(f"{space}/config", timeout=60).json()
    assert config["space_id"] is None
    assert "fonts.googleapis" not in httpx.get(space, timeout=60).text
