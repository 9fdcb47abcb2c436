"""What reaches gradio: what the page asks for, from the page, within bounds. Everything else of gradio's is refused."""

from __future__ import annotations

import re
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
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; base-uri 'self'; form-action 'self'"
"""Nothing is fetched from elsewhere or sent there, whatever a page says."""


class Guard:
    """ASGI middleware around gradio's application.

    Args:
        app: gradio's.
        frames: origins whose pages may show this one in a frame.
    """

    def __init__(self, app: ASGIApp, frames: str = "'self'"):
        self.app, self.policy = app, f"{POLICY}; frame-ancestors {frames}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        refused = self._refusal(headers, path.rstrip("/") or "/")
        if refused is not None:
            await refused(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:  # a stranger's is read before gradio asks for the password
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [
                    (b"content-security-policy", self.policy),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
                status = 413 if taken > LARGEST else message["status"]
                message = {**message, "status": status, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, bounded, sealed)

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
        return None
