"""One file brought from a server or a mirror into a partial file, resumed where that is safe; it is not judged here.

A resumed body is appended only to bytes of the same file: the server is asked with ``If-Range`` (RFC 9110, 13.1.5),
or the caller knows the SHA-256 and will notice.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx2

from eigenwalk.errors import InputError, WeightsError, reason
from eigenwalk.store import megabytes, write_whole

MIRROR = "EIGENWALK_MIRROR"
ATTEMPTS = 5
"""Connections in a row that may bring less than `WORTHWHILE`, before the download is given up."""
WORTHWHILE = 1 << 20
BACKOFF = 1.0
"""Seconds before the second attempt; each later one waits twice as long, and up to a quarter more at random."""
LONGEST_WAIT = 60.0
TIMEOUT = httpx2.Timeout(60.0, connect=20.0)
"""Of each connection and each read; what follows bounds all of them together."""
GRACE, PACE = 60.0, 2000
"""Seconds until the body begins; from then on so many bytes a second must come on average, after as long again."""
SLACK = 1.25
"""How much larger than declared a file may be whose size is an estimate."""
BLOCK = 1 << 20
NUMBER = "[0-9]{1,15}"
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "eigenwalk"}
"""A body that is compressed on the way has another length, and its ranges are of other bytes."""

Tell = Callable[[int, str], None]
"""Called with the bytes that are here, and a note or ''."""


@dataclass(frozen=True)
class Transfer:
    """What is to be brought: from `url` into `part`, `size` bytes; `exact` where the caller knows the SHA-256."""

    url: str
    part: Path
    size: int
    exact: bool

    @property
    def limit(self) -> int:
        """The most bytes that are accepted."""
        return self.size if self.exact else int(self.size * SLACK)

    @property
    def notes(self) -> Path:
        """Where it is written down which file the bytes in `part` are of."""
        return self.part.with_name(f"{self.part.name}.json")

    def have(self) -> int:
        """Bytes in `part`."""
        return self.part.stat().st_size if self.part.is_file() and not self.part.is_symlink() else 0

    def open(self, append: bool) -> BinaryIO:
        """Open `part` itself for writing, never what a link of that name leads to."""
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self.part, flags, 0o666), "ab" if append else "wb")

    def forget(self) -> None:
        """Remove what has come so far."""
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def mirrored() -> bool:
    """Whether `EIGENWALK_MIRROR` names a mirror, from which every file is fetched."""
    return bool(os.environ.get(MIRROR))


def address_of(file: str, url: str) -> str:
    """The address that `file` comes from: its `url`, or its place in the mirror that `EIGENWALK_MIRROR` names.

    Raises:
        InputError: the mirror is no ``https://``, ``http://`` or ``file://`` address.
    """
    base = os.environ.get(MIRROR)
    if not base:
        return url
    if urlsplit(base).scheme not in ("https", "http", "file"):
        raise InputError(f"{MIRROR} must be https://host/path, http://host/path or file:///path, got {base!r}")
    return f"{base.rstrip('/')}/{quote(file)}"


def without_login(url: str) -> str:
    """Return `url` without a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def bring(transfer: Transfer, tell: Tell) -> bool:
    """Fill `transfer.part` to its end; return whether some of it came from an earlier download.

    Raises:
        WeightsError: it cannot be had; what has come so far is kept where it may be of use later.
    """
    strange = os.path.lexists(transfer.part) and (transfer.part.is_symlink() or not transfer.part.is_file())
    if strange or transfer.have() > transfer.limit or (not transfer.exact and not _validator(transfer)):
        transfer.forget()
    resumed = transfer.have() > 0
    if transfer.exact and transfer.have() == transfer.size:
        return resumed
    try:
        _copy(transfer, tell) if urlsplit(transfer.url).scheme == "file" else _retry(transfer, tell)
    except OSError as error:
        raise WeightsError(
            f"{transfer.part} cannot be written: {reason(error)}; what has come so far is kept, and fetching it again "
            "goes on from there"
        ) from error
    return resumed


class Interrupted(Exception):
    """A connection that ended too early, in words; `after` is how many seconds the server asked to wait."""

    def __init__(self, message: str, after: float = 0.0):
        self.after = after
        super().__init__(message)


class Deadline:
    """Shuts down the connections of a request when its time is over; httpx's timeouts are of single reads alone."""

    def __init__(self, seconds: float):
        self._sockets: list[socket.socket] = []
        self.set(seconds)

    def set(self, seconds: float) -> None:
        """Begin to count anew."""
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True
        self._timer.start()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of each connection: the ``trace`` extension of a request."""
        if event.endswith("connect_tcp.complete"):
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def cancel(self) -> None:
        """Stop counting."""
        self._timer.cancel()

    def _shut_down(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)  # of TLS too, whose own one would confuse its reader


def _retry(transfer: Transfer, tell: Tell) -> None:
    """Request what is missing until it is here, or `ATTEMPTS` connections in a row have brought little."""
    failed = 0
    while True:
        before, deadline = transfer.have(), Deadline(GRACE)
        try:
            with httpx2.Client(follow_redirects=True, timeout=TIMEOUT, headers=HEADERS) as client:
                return _request(client, transfer, tell, deadline)
        except Interrupted as error:
            failed = 1 if transfer.have() - before >= WORTHWHILE else failed + 1
            if failed >= ATTEMPTS:
                kept = f"; {megabytes(transfer.have())} are kept, and fetching it again goes on from there"
                raise WeightsError(
                    f"{without_login(transfer.url)} cannot be fetched: {error} ({failed} attempts)"
                    f"{kept if transfer.have() else ''}"
                ) from error
            wait = min(LONGEST_WAIT, max(error.after, BACKOFF * 2 ** (failed - 1) * random.uniform(1, 1.25)))
            tell(transfer.have(), f"{error}; trying again in {wait:.0f} s")
            time.sleep(wait)
        finally:
            deadline.cancel()


def _request(client: httpx2.Client, transfer: Transfer, tell: Tell, deadline: Deadline) -> None:
    """Request once what is missing."""
    have, headers = transfer.have(), {}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator := _validator(transfer):
            headers["If-Range"] = validator
    try:
        with client.stream("GET", transfer.url, headers=headers, extensions={"trace": deadline.trace}) as response:
            deadline.cancel()
            deadline.set(GRACE + transfer.limit / PACE)
            if response.status_code == 416 and have:  # the range begins at or behind the end
                if _total(response) == have and not transfer.exact:
                    return
                transfer.forget()
                raise Interrupted("the server has another file than before")
            _check(response, transfer)
            _receive(response, transfer, have if response.status_code == 206 else 0, tell)
    except (httpx2.TooManyRedirects, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise WeightsError(f"{without_login(transfer.url)} cannot be fetched: {error}") from error
    except (httpx2.TransportError, httpx2.StreamError) as error:
        if _is_caused_by(error, ssl.SSLCertVerificationError):
            raise WeightsError(
                f"{without_login(transfer.url)} cannot be fetched: the server's certificate is not trusted ({error}); "
                "behind a company's proxy, add its certificate to the system's, or name it in SSL_CERT_FILE"
            ) from error
        raise Interrupted(_describe(error)) from error
    if transfer.exact and transfer.have() < transfer.size:
        raise Interrupted("the connection ended before the file did")


def _check(response: httpx2.Response, transfer: Transfer) -> None:
    """Raise an error unless `response` brings the file.

    Raises:
        WeightsError: it does not.
        Interrupted: it does not, but may later.
    """
    url, status = without_login(str(response.url)), response.status_code
    if status in (408, 425, 429) or status >= 500:
        raise Interrupted(f"the server answers {status} {response.reason_phrase}", _retry_after(response))
    place = transfer.part.with_suffix("")
    if status in (401, 403):
        raise WeightsError(
            f"{url} refuses ({status}): the publisher wants a login or consent first. Get the file with a browser and "
            f"put it at {place}"
        )
    by_hand = f"or get the file elsewhere and put it at {place}"
    if status in (404, 410):
        raise WeightsError(
            f"{url} is not there ({status}): upgrade the plugin, which may know its new place, {by_hand}"
        )
    if status not in (200, 206):
        raise WeightsError(f"{url} answers {status} {response.reason_phrase}: try again later, {by_hand}")
    if response.headers.get("content-type", "").startswith("text/html"):
        raise WeightsError(
            f"{url} is a web page, not the file: look at it with a browser, get the file, and put it at {place}"
        )
    if not transfer.exact and urlsplit(transfer.url).scheme == "https" and response.url.scheme != "https":
        raise WeightsError(
            f"{url} is not encrypted, so that the file cannot be trusted as it comes: give its SHA-256 with --sha256"
        )
    total = _total(response)
    if total is not None and (total > transfer.limit or (transfer.exact and total != transfer.size)):
        transfer.forget()
        raise WeightsError(
            f"{url} has {total:,} bytes and {transfer.size:,} were declared: it is another file. Upgrade the plugin, "
            f"which may know it, {by_hand}"
        )


def _receive(response: httpx2.Response, transfer: Transfer, start: int, tell: Tell) -> None:
    """Write the body of `response` from byte `start` of the part on."""
    if start and not re.match(rf"bytes {start}-", response.headers.get("content-range", "")):
        transfer.forget()
        raise Interrupted("the server sent another part of the file than was asked for")
    if not start:
        told = {"url": without_login(transfer.url), "validator": _strong(response)}
        write_whole(transfer.notes, json.dumps(told))
    _space(transfer.part, (_total(response) or transfer.size) - start)
    with transfer.open(append=start > 0) as file:
        _write(response.iter_raw(), file, transfer, start, tell)


def _copy(transfer: Transfer, tell: Tell) -> None:
    """Copy a file of a mirror that is a folder."""
    path = Path(url2pathname(urlsplit(transfer.url).path))
    try:
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} of the mirror is a folder, a pipe or a device, not a file")
        origin = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise WeightsError(f"the mirror has no {path}: {reason(error)}; {MIRROR} names the folder") from error
    transfer.forget()
    with origin:
        _space(transfer.part, os.fstat(origin.fileno()).st_size)
        with transfer.open(append=False) as file:
            _write(iter(lambda: origin.read(BLOCK), b""), file, transfer, 0, tell)


def _write(blocks: Iterator[bytes], file, transfer: Transfer, start: int, tell: Tell) -> None:
    done, began = start, time.monotonic()
    tell(done, "")
    for block in blocks:
        done += len(block)
        if done - start < PACE * (time.monotonic() - began - GRACE):
            raise Interrupted(f"less than {PACE / 1000:g} kB a second come")
        if done > transfer.limit:
            transfer.forget()
            raise WeightsError(
                f"{without_login(transfer.url)} goes on after the {transfer.size:,} bytes that were declared: it is "
                "another file, and was removed"
            )
        file.write(block)
        tell(done, "")


def _space(part: Path, needed: int) -> None:
    """Raise WeightsError if the disk has less room than `needed` bytes."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise WeightsError(
            f"the disk of {part.parent} is too full: {megabytes(needed)} are needed and {megabytes(free)} are free; "
            "make room, or name another folder in EIGENWALK_WEIGHTS"
        )


def _validator(transfer: Transfer) -> str | None:
    """What the server said the file was known by when the bytes in the part came from this address."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(transfer.notes.read_text(encoding="utf-8"))
        if told["url"] == without_login(transfer.url) and isinstance(told["validator"], str):
            return told["validator"]
    return None


def _strong(response: httpx2.Response) -> str | None:
    """An entity tag or a date that `If-Range` may be asked with; a weak tag may not."""
    tag = response.headers.get("etag", "")
    return tag if tag.startswith('"') else response.headers.get("last-modified")


def _total(response: httpx2.Response) -> int | None:
    """Bytes of the whole file, where the server says so."""
    told = (
        response.headers.get("content-range", "").rpartition("/")[2]
        if response.status_code in (206, 416)
        else (response.headers.get("content-length", ""))
    )
    return int(told) if re.fullmatch(NUMBER, told) else None


def _retry_after(response: httpx2.Response) -> float:
    told = response.headers.get("retry-after", "")
    return float(told) if re.fullmatch(NUMBER, told) else 0.0


def _is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _describe(error: Exception) -> str:
    """What went wrong with a connection."""
    if isinstance(error, httpx2.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx2.ConnectError):
        return f"there is no connection to the server ({error})"
    return f"the connection broke ({error or type(error).__name__})"
