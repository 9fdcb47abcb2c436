"""The studio as an attacker tries it over HTTP: other sites' pages, gradio's routes, floods, passwords, pickles."""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image
from visitors import session_of

from eigenwalk_studio import guard
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.guard import ADDRESSES, FIRST_WAIT, LARGEST, LONGEST_WAIT, PAGE, Attempts
from eigenwalk_studio.library import Library
from eigenwalk_studio.server import Sessions, launch
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    folder = tmp_path_factory.mktemp("studio")
    engine = Engine(Library(Trust(folder, password="open sesame"), folder / "runs"))
    yield Sessions(engine, State("rooms"), folder / "histories")
    engine.close()


@pytest.fixture(scope="module")
def local(sessions: Sessions) -> Iterator[str]:
    blocks, address = launch(sessions, "127.0.0.1", None, public=True)
    yield address.rstrip("/")
    blocks.close()


def body(component: int = 1, **request: Any) -> dict[str, Any]:
    return {"data": request, "fn_name": "act", "component_id": component, "session_hash": "x"}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"]
)
def test_another_sites_page_can_neither_act_nor_upload(local: str, sessions: Sessions, origin: str):
    before = len(sessions.all)
    headers = {"Origin": origin}
    calls = [
        httpx.post(f"{local}/gradio_api/component_server", json=body(act="masks"), headers=headers),
        httpx.post(f"{local}/gradio_api/component_server", content=json.dumps(body(act="masks")), headers=headers),
        httpx.post(f"{local}/gradio_api/upload", files={"files": ("x.png", b"x")}, headers=headers),
        httpx.post(f"{local}/login", data={"username": "me", "password": "x"}, headers=headers),
        httpx.get(f"{local}/config", headers=headers),
    ]
    assert [answer.status_code for answer in calls] == [403] * len(calls) and len(sessions.all) == before
    assert httpx.get(f"{local}/config", headers={"Origin": local}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "0.0.0.0"])
def test_a_name_made_to_lead_here_is_refused(local: str, host: str):
    assert httpx.get(f"{local}/config", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=https://huggingface.co/x",
        "/gradio_api/queue/join",
        "/gradio_api/queue/data?session_hash=x",
        "/gradio_api/call/act",
        "/gradio_api/run/predict",
        "/gradio_api/deep_link?session_hash=x",
        "/gradio_api/stream/x",
        "/gradio_api/vibe-code",
        "/custom_component/1/client/html/../../../../etc/passwd",
        "/monitoring/summary",
        "/static/../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "/docs",
        "/openapi.json",
    ],
)
def test_of_gradio_only_what_the_page_needs_is_there(local: str, path: str):
    for answer in (httpx.get(local + path), httpx.post(local + path, json={})):
        assert answer.status_code in (403, 404, 405) and "root:" not in answer.text


def test_what_is_sent_is_never_served_again_and_a_page_may_fetch_nothing_elsewhere(local: str):
    sent = httpx.post(
        f"{local}/gradio_api/upload",
        files={"files": ("x.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')},
    )
    (path,) = sent.json()
    assert httpx.get(f"{local}/gradio_api/file={path}").status_code == 404
    policy = httpx.get(local).headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "http" not in policy


def test_a_request_is_bounded_before_anything_is_read(local: str):
    url = f"{local}/gradio_api/component_server"
    told = httpx.post(url, content=b" " * (LARGEST + 1), headers={"Content-Type": "application/json"})
    untold = httpx.post(
        url, content=(b" " * (1 << 20) for _ in range(23)), headers={"Content-Type": "application/json"}
    )
    assert (told.status_code, untold.status_code) == (413, 413)


ALLOWED = {
    *("/", "/config", "/theme.css", "/login", "/logout", "/manifest.json", "/favicon.ico", "/robots.txt", "/pwa_icon"),
    *("/svelte/{path:path}", "/static/{path:path}", "/assets/{path:path}", "/pwa_icon/{size}"),
    *(f"/gradio_api/{name}" for name in ("startup-events", "app_id", "component_server", "upload", "upload_progress")),
    *(f"/gradio_api/{name}" for name in ("heartbeat/{session_hash}", "login_check", "info")),
}
"""All of gradio's that the page asks for."""


def routes(router: Any) -> Iterator[str]:
    """Yield the paths of an application, those of routers that it includes too."""
    for route in router.routes:
        yield from routes(route.original_router) if hasattr(route, "original_router") else [route.path]


def test_of_every_route_that_gradio_has_these_alone_are_let_through(sessions: Sessions):
    blocks, _ = launch(sessions, "127.0.0.1", None, public=True)
    blocks.close()
    every = {path.rstrip("/") or "/" for path in routes(blocks.app)}
    through = {path for path in every if PAGE.fullmatch(re.sub(r"\{[^}]*\}", "1", path))}
    assert through == ALLOWED and len(every) > 40


def test_wrong_passwords_cost_more_each_time():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waited = []
    for _ in range(20):
        assert attempts.begin("a") == 0.0
        waited.append(attempts.begin("a") if attempts._tried["a"][1] > now[0] else 0.0)
        now[0] += waited[-1]
    assert waited[:5] == [0.0, 0.0, 0.0, 0.0, FIRST_WAIT] and waited[5:8] == [4.0, 8.0, 16.0]
    assert waited[-1] == LONGEST_WAIT and sum(waited) > 2 * 3600
    assert attempts.begin("b") == 0.0
    attempts.succeed("a")
    assert attempts.begin("a") == 0.0 and attempts.begin("a") == 0.0
    for number in range(2 * ADDRESSES):
        attempts.begin(str(number))
    assert len(attempts) == ADDRESSES


def test_networks_of_callers():
    for host, network in (
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("testclient", "testclient"),
    ):
        assert guard._network({"type": "http", "client": (host, 1)}) == network
    assert guard._network({"type": "http", "client": None}) == ""


def test_a_password_is_not_found_by_trying(sessions: Sessions, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(guard, "Attempts", lambda: Attempts(lambda: now[0]))
    blocks, address = launch(sessions, "0.0.0.0", None)
    local = address.rstrip("/").replace("0.0.0.0", "127.0.0.1")

    def log_in(password: str, **more: str) -> httpx.Response:
        return httpx.post(f"{local}/login", data={"username": "me", "password": password, **more})

    try:
        said = [log_in(str(number)) for number in range(8)]
        assert [one.status_code for one in said] == [400] * 5 + [429] * 3 and said[-1].headers["retry-after"] == "3"
        assert log_in("open sesame").status_code == 429
        now[0] += FIRST_WAIT
        assert log_in("open sesame", scope="x" * guard.LOGIN).status_code == 413
        now[0] += 2 * FIRST_WAIT
        assert log_in("open sesame").status_code == 200
        assert log_in("guess").status_code == log_in("guess").status_code == 400
    finally:
        blocks.close()


def test_floods_are_refused(local: str, monkeypatch: pytest.MonkeyPatch):
    one = {"files": ("x.png", b"x" * 1000)}
    monkeypatch.setattr(guard, "UPLOADS", 0)
    assert [httpx.post(f"{local}/gradio_api/upload", files=one).status_code for _ in range(2)][1] == 507
    assert httpx.get(f"{local}/config").status_code == 200
    monkeypatch.setattr(guard, "AT_ONCE", 0)
    assert httpx.get(f"{local}/config").status_code == 503


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"------x" + b"-" * 5_000_000, "multipart/form-data; boundary=----x"),
        (b"--x\r\n" + b"a: b\r\n" * 500_000, "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n" * 200_000, "multipart/form-data; boundary=x"),
        (b"[" * 5_000_000, "application/json"),
        (b'{"data": "text", "fn_name": "act", "component_id": 1, "session_hash": "x"}', "application/json"),
        (b'{"data": {}, "fn_name": "__class__", "component_id": 1, "session_hash": "x"}', "application/json"),
    ],
)
def test_bodies_made_to_keep_it_busy_are_answered(local: str, content: bytes, kind: str):
    for path in ("component_server", "upload"):
        answer = httpx.post(f"{local}/gradio_api/{path}", content=content, headers={"Content-Type": kind}, timeout=60)
        assert answer.status_code in (200, 400, 404, 413, 422, 500) and "Traceback" not in answer.text
    assert httpx.get(f"{local}/config").status_code == 200


class Ran:
    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return open, ("ran.txt", "w")


def test_a_pickle_is_no_picture_and_no_history_and_never_runs(
    local: str, sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    torch.save(Ran(), stream)
    for name, data in (
        ("me.png", pickle.dumps(Ran())),
        ("me.png", stream.getvalue()),
        ("me.jpg", b"GIF89a" + b"\0" * 99),
    ):
        (path,) = httpx.post(f"{local}/gradio_api/upload", files={"files": (name, data)}).json()
        session = session_of(sessions.engine)
        for request in (
            {"act": "photograph", "path": path},
            {"act": "generator", "value": path},
            {"act": "start", "value": path},
            {"act": "add", "list": "hold", "value": f"mask(file={json.dumps(path)})"},
            {"act": "open", "value": data.decode("latin-1")},
        ):
            session.act(request)
            assert session.notice and session.state == State("rooms"), request
    assert not (tmp_path / "ran.txt").exists()


def test_a_photograph_does_not_stay_among_what_was_sent(local: str, sessions: Sessions):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(stream, "PNG")
    (path,) = httpx.post(f"{local}/gradio_api/upload", files={"files": ("me.png", stream.getvalue())}).json()
    session = session_of(sessions.engine)
    session.act({"act": "photograph", "path": path})
    assert session.notice == "" and session.inversion is not None and not Path(path).exists()
    session.inversion.wish = "stop"
    assert session.inversion.photograph.read_bytes() == stream.getvalue()


def test_without_the_password_nothing_but_the_login_is_there(sessions: Sessions):
    blocks, address = launch(sessions, "0.0.0.0", None)
    local = address.rstrip("/").replace("0.0.0.0", "127.0.0.1")
    try:
        for method, path in (
            ("GET", "/config"),
            ("GET", "/gradio_api/info"),
            ("POST", "/gradio_api/component_server"),
            ("POST", "/gradio_api/upload"),
            ("GET", "/gradio_api/upload_progress?upload_id=x"),
        ):
            files = {"files": ("x.png", b"x")} if path.endswith("upload") else None
            assert httpx.request(method, local + path, files=files).status_code == 401, path
        with httpx.Client() as client:
            client.post(f"{local}/login", data={"username": "me", "password": "open sesame"})
            mine = client.get(f"{local}/config")
            theirs = client.get(f"{local}/config", headers={"Origin": "https://evil.example"})
        assert (mine.status_code, theirs.status_code) == (200, 403)
        assert "access-control-allow-origin" not in theirs.headers
    finally:
        blocks.close()
