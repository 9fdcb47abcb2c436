"""Gradio's page, and the functions that the browser calls on it.

One component of ours draws everything. It knows nothing but a session's name: `act` changes the session, `follow` waits
until there is more to see, `pictures` and `file` bring what the page names. Gradio brings the server, the password,
uploads within bounds, and Spaces.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, which asks for versions at once
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="eigenwalk-studio-")  # for uploads, which are bounded

import gradio as gr
from gradio import themes
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eigenwalk.errors import EigenwalkError
from eigenwalk_studio import out
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.guard import Guard
from eigenwalk_studio.history import History
from eigenwalk_studio.session import Session, new_version
from eigenwalk_studio.show import Gallery
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import LOCAL, UPLOAD, is_local
from eigenwalk_studio.view import render

MOST_SESSIONS, LIFE, AWAY = 64, 4 * 3600.0, 60.0
"""Sessions in memory; seconds after which one that nobody looks at is dropped, and after which it makes way for
another. Its history stays on disk."""
NAME = re.compile(r"[A-Za-z0-9_-]{20,64}")
FULL = "full"
"""What a session is called that is not let in yet, and has no name from before."""
WAIT, PAUSE = 5.0, 0.05
"""Seconds that `follow` waits for something new at most, and between two looks."""
MOST_PICTURES, LONGEST_ID = 32, 4000
"""Pictures in one answer, and characters of what names one."""
SPACES = "'self' https://huggingface.co"
"""Whose pages show a Space in a frame."""
PAGE = """<div class="eigenwalk"><div class="lost" role="alert" hidden>The studio does not answer. Nothing that was
walked is lost, and the page tries again; what you do meanwhile may not arrive.</div><p class="said" role="status"></p>
<div class="eigenwalk-body">The studio is opening …</div></div>"""


class Sessions:
    """All sessions, by their names."""

    def __init__(self, engine: Engine, state: State, home: FilePath):
        self.engine, self.begin, self.home = engine, state, home
        self.all: dict[str, Session] = {}
        self.gallery = Gallery(engine)
        self.lock = threading.Lock()
        engine.library.changed = self.changed

    def of(self, name: Any) -> Session | None:
        """Return the session of this name: from memory, else its saved history, else a new one with another name.

        None where there is no room for another.
        """
        with self.lock:
            if isinstance(name, str) and name in self.all:
                session = self.all[name]
            else:
                if not self._has_room():
                    return None
                session = self._restored(name) or Session(secrets.token_urlsafe(24), self.engine, self.begin, self.home)
                self.all[session.name] = session
            session.seen = time.monotonic()
            return session

    def changed(self, key: str) -> None:
        """Tell the sessions that look at a walk that there is more of it; all of them where no walk is named."""
        for session in list(self.all.values()):
            if not key or session.state.walk == key:
                session.changed()

    def _restored(self, name: Any) -> Session | None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return None
        with suppress(EigenwalkError, OSError, ValueError):
            session = Session(name, self.engine, self.begin, self.home)
            session.history = History.parse((self.home / f"{name}.json").read_text(encoding="utf-8"))
            return session
        return None

    def _has_room(self) -> bool:
        """Drop sessions that have ended; say whether there is room for another, for which one may have to make way."""
        now = time.monotonic()
        away = {name: now - one.seen for name, one in self.all.items()}
        for name in [name for name in away if away[name] > LIFE]:
            self._drop(name)
        if len(self.all) < MOST_SESSIONS:
            return True
        # Whoever opens many pages pushes out those in which nothing was done, not those of who works.
        first = max(self.all, key=lambda name: (self.all[name].is_new, away[name]))
        if self.all[first].is_new or away[first] > AWAY:
            self._drop(first)
            return True
        return False

    def _drop(self, name: str) -> None:
        session = self.all.pop(name)
        walk = session.walk
        if walk and walk.owner == name and walk.condition in ("waiting", "walking", "paused"):
            self.engine.wish(walk, "stop", name)

    def functions(self) -> list[Callable[..., Any]]:
        """Return what the browser may call, each with one JSON object."""

        def act(request: Mapping[str, Any]) -> dict[str, Any]:
            request = _entries(request)
            session = self.of(request.get("session"))
            if session is None:
                return _refusal(request)
            session.act(request)
            return _answer(session)

        async def follow(request: Mapping[str, Any]) -> dict[str, Any]:
            request = _entries(request)
            session, known, until = self.of(request.get("session")), request.get("version"), time.monotonic() + WAIT
            if session is None:
                if isinstance(known, int) and known > 0:  # the page asks again at once
                    await asyncio.sleep(WAIT)
                return _refusal(request)
            if request.get("session") == session.name:
                while session.version == known and time.monotonic() < until:
                    await asyncio.sleep(PAUSE)
                    session.seen = time.monotonic()
            if session.version == known:
                return {"session": session.name, "version": known, "html": None}
            return await asyncio.to_thread(_answer, session)

        def pictures(request: Mapping[str, Any]) -> dict[str, str]:
            request = _entries(request)
            session, ids = self.of(request.get("session")), request.get("ids")
            if session is None or not isinstance(ids, list):
                return {}
            ids = [one for one in ids[:MOST_PICTURES] if isinstance(one, str) and len(one) < LONGEST_ID]
            return {one: found for one in ids if (found := self.gallery.url(session, one))}

        def file(request: Mapping[str, Any]) -> dict[str, Any]:
            request = _entries(request)
            session = self.of(request.get("session"))
            if session is None:
                return _refusal(request)
            try:
                name, kind, data = out.file(session, str(request.get("what")))
            except EigenwalkError as error:
                session.notice = str(error)
                session.changed()
                return _answer(session)
            return {"name": name, "url": f"data:{kind};base64,{base64.b64encode(data).decode()}"}

        return [act, follow, pictures, file]


def _answer(session: Session) -> dict[str, Any]:
    version = session.version  # before it is drawn: what comes meanwhile is drawn again
    return {"session": session.name, "version": version, "html": render(session)}


def _entries(request: Any) -> Mapping[str, Any]:
    return request if isinstance(request, Mapping) else {}


def _refusal(request: Mapping[str, Any]) -> dict[str, Any]:
    name = request.get("session")
    kept = name if isinstance(name, str) and NAME.fullmatch(name) else FULL
    said = f"{MOST_SESSIONS} people are here, and there is no room for more: this page tries again by itself"
    return {"session": kept, "version": new_version(), "html": f'<div class="notice" role="status"><p>{said}</p></div>'}


def page(sessions: Sessions) -> gr.Blocks:
    """Return gradio's page: one component."""
    folder = files("eigenwalk_studio") / "page"
    uploads = 600, int(LIFE)  # looked through every ten minutes, gone after
    with gr.Blocks(title="eigenwalk studio", analytics_enabled=False, fill_width=True, delete_cache=uploads) as blocks:
        gr.HTML(
            PAGE,
            js_on_load="".join((folder / f"{name}.js").read_text("utf-8") for name in ("pictures", "studio", "stage")),
            server_functions=sessions.functions(),
            apply_default_css=False,
        )
    return blocks


def launch(
    sessions: Sessions,
    host: str,
    port: int | None,
    names: tuple[str, ...] = (),
    public: bool = False,
    browser: bool = False,
) -> tuple[gr.Blocks, str]:
    """Start the server, and return the page and its address; the caller's thread goes on.

    Args:
        sessions: all of them.
        host, port: where to listen; the first free port from 7860 on where none is given.
        names: names under which the page is reached, beside `host`; others are refused on a local one.
        public: let everybody in without a password.
        browser: open it.
    """
    trust = sessions.engine.library.trust
    system = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
    theme = themes.Base(font=system, font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"])
    css = (files("eigenwalk_studio") / "page" / "studio.css").read_text(encoding="utf-8")
    frames = "'self'" if is_local(host) else SPACES
    middleware = [Middleware(Guard, frames=frames, uploads=FilePath(get_upload_folder()))]
    if is_local(host):  # a page elsewhere whose name is made to lead to 127.0.0.1 would be this page's own origin
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, host, *names]))
    blocks = page(sessions)
    _, local, _ = blocks.launch(
        server_name=host,
        server_port=port,
        auth=trust.check_password if trust.password and not public else None,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=browser,
        footer_links=[],
        run_history=False,
        max_file_size=UPLOAD,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        state_session_capacity=MOST_SESSIONS,
        theme=theme,
        css=css,
        app_kwargs={"middleware": middleware, "docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    return blocks, local


def forget_uploads() -> None:
    """Remove the folder of files that were sent."""
    shutil.rmtree(get_upload_folder(), ignore_errors=True)
