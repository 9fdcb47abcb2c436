"""A publisher of one file of weights on this machine, whose server can be as bad as real ones are."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from eigenwalk.spec import Weights
from eigenwalk.weights import Item

PATH = "/files/w.pt"
BLOCK = 1 << 14


def noise(size: int = 300_000, seed: int = 0) -> bytes:
    """Bytes that no two places share."""
    return np.random.default_rng(seed).bytes(size)


@dataclass
class Publisher:
    """Serves `data`, each request as the lists say, first entry first; an empty list means: well.

    Attributes:
        cuts: after how many bytes the connection is closed.
        statuses: what is answered instead of the file.
        gate: not one byte after `gated` is sent before it is set.
        asked: the headers of every request that came.
    """

    server: HTTPServer
    data: bytes = field(default_factory=noise)
    etag: str | None = '"first"'
    ranges: bool = True
    length: bool = True
    kind: str = "application/octet-stream"
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    retry_after: str = "0"
    gated: int | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.expect_request(PATH).respond_with_handler(self.answer)

    @property
    def url(self) -> str:
        """Where the file is."""
        return self.server.url_for(PATH)

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.data).hexdigest()

    def item(self, **changes) -> Item:
        """The file, as a plugin would declare it."""
        told = {"file": "toy/w.pt", "sha256": self.sha256, "size": len(self.data), "licence": "MIT", "url": self.url}
        return Item(Weights(**(told | changes)), ("toy",), "eigenwalk-toy", "eigenwalk_toy")

    def answer(self, request: Request) -> Response:
        """One answer."""
        self.asked.append(dict(request.headers))
        if self.statuses:
            return Response("no", self.statuses.pop(0), {"Retry-After": self.retry_after})
        headers = {"Content-Type": self.kind} | ({"ETag": self.etag} if self.etag else {})
        start, wanted = 0, request.headers.get("Range")
        if wanted and self.ranges and request.headers.get("If-Range", self.etag) == self.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.data):
                return Response("", 416, {"Content-Range": f"bytes */{len(self.data)}"})
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        if self.length:
            headers["Content-Length"] = str(len(self.data) - start)
        end = start + self.cuts.pop(0) if self.cuts else len(self.data)
        response = Response(self.blocks(start, min(end, len(self.data))), 206 if start else 200, headers)
        response.automatically_set_content_length = False
        return response

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The body, which ends early where it is cut."""
        for at in range(start, end, BLOCK):
            if self.gated is not None and at >= self.gated:
                self.gate.wait(60)
            yield self.data[at : min(at + BLOCK, end)]
