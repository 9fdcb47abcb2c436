"""What reaches gradio: what the page asks for, from the page, within bounds. Everything else of gradio's is refused."""

from __future__ import annotations

import ipaddress
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eigenwalk_studio.trust import UPLOAD

PAGE = re.compile(
    r"/|/(config|theme\.css|login|logout|manifest\.json|favicon\.ico|robots\.txt|pwa_icon(/\d+)?)|/(static|assets|svelte)/.+"
    r"|/gradio_api/(startup-events|app_id|component_server|upload|upload_progress|heartbeat/\w+|login_check|info)"
)
"""What the page asks for. Other paths of gradio serve files, call proxies and run queues, which our page never does."""
LARGEST = UPLOAD + (1 << 20)
"""Bytes of a request; a picture is the largest."""
LOGIN = 10_000
"""Bytes of a request that brings a password."""
AT_ONCE = 512
"""Requests that are answered at once: a page keeps two open."""
UPLOADS = 500 << 20
"""Bytes of sent files that lie here at once: each is gone when it is taken, or after hours."""
FREE, FIRST_WAIT, LONGEST_WAIT = 5, 2.0, 900.0
"""Wrong passwords that one may type, and the seconds that the next one costs; they double with each, up to the last."""
ADDRESSES = 10_000
"""Of which wrong passwords are remembered; of more, the oldest are forgotten."""
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; base-uri 'self'; form-action 'self'"
"""Nothing is fetched from elsewhere or sent there, whatever a page says."""


class Attempts:
    """Passwords that were tried, by address: after some wrong ones, each costs twice the time of the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._tried: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tried)

    def begin(self, address: str) -> float:
        """Return the seconds that an address has to wait; 0 where it may try now, and then its try counts as wrong."""
        count, until = self._tried.get(address, (0, 0.0))
        if (left := until - self._clock()) > 0:
            return left
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(count + 1 - FREE, 30)) if count + 1 >= FREE else 0.0
        self._tried.pop(address, None)
        self._tried[address] = count + 1, self._clock() + wait
        while len(self._tried) > ADDRESSES:
            self._tried.popitem(last=False)
        return 0.0

    def succeed(self, address: str) -> None:
        """Forget what an address tried: its password was right."""
        self._tried.pop(address, None)


class Guard:
    """ASGI middleware around gradio's application.

    Args:
        app: gradio's.
        frames: origins whose pages may show this one in a frame.
        uploads: the folder that sent files come into.
    """

    def __init__(self, app: ASGIApp, frames: str = "'self'", uploads: Path | None = None):
        self.app, self.policy = app, f"{POLICY}; frame-ancestors {frames}".encode()
        self.uploads, self.attempts, self.open = uploads, Attempts(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        path = path.rstrip("/") or "/"
        address = _network(scope)
        is_login = path == "/login" and scope["method"] == "POST"
        refused = self._refusal(headers, path) or (self._ask_to_wait(address) if is_login else None)
        if refused is not None:
            await refused(scope, receive, send)
            return
        most, taken = LOGIN if is_login else LARGEST, 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:  # a stranger's is read before gradio asks for the password
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [
                    (b"content-security-policy", self.policy),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
                status = 413 if taken > most else message["status"]
                if is_login and status == 200:
                    self.attempts.succeed(address)
                message = {**message, "status": status, "headers": [*message["headers"], *more]}
            await send(message)

        self.open += 1
        try:
            await self.app(scope, bounded, sealed)
        finally:
            self.open -= 1

    def _ask_to_wait(self, address: str) -> PlainTextResponse | None:
        wait = self.attempts.begin(address)
        if not wait:
            return None
        said = f"too many wrong passwords: try again in {wait:.0f} s"
        return PlainTextResponse(said, 429, headers={"Retry-After": f"{wait + 1:.0f}"})

    def _refusal(self, headers: Headers, path: str) -> PlainTextResponse | None:
        origin = headers.get("origin")
        hosts = {headers.get("host"), headers.get("x-forwarded-host")}
        if origin is not None and urlsplit(origin).netloc not in hosts:  # another site's page in the same browser
            return PlainTextResponse("another site's pages may not call the studio", 403)
        if not PAGE.fullmatch(path):
            return PlainTextResponse("the studio has no such page", 404)
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > LARGEST:
            return PlainTextResponse(f"a request has at most {LARGEST >> 20} MB", 413)
        if self.open >= AT_ONCE:
            return PlainTextResponse("the studio is busy: try again", 503)
        if path == "/gradio_api/upload" and self.uploads and _size(self.uploads) > UPLOADS:
            return PlainTextResponse("the studio has no room for more pictures: try again later", 507)
        return None


def _network(scope: Scope) -> str:
    """Return a caller's address; of IPv6, whose holders have many, the network."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    found = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(os.path.getsize(file) for file in found if os.path.exists(file))
