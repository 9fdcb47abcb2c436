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
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx2

from eigenwalk.errors import InputError, WeightsError, reason
from eigenwalk.store import megabytes

MIRROR = "EIGENWALK_MIRROR"
ATTEMPTS = 5
"""Connections in a row that may bring less than `WORTHWHILE`, before the download is given up."""
WORTHWHILE = 1 << 20
BACKOFF = 1.0
"""Seconds before the second attempt; each later one waits twice as long, and up to a quarter more at random."""
LONGEST_WAIT = 60.0
TIMEOUT = httpx2.Timeout(60.0, connect=20.0)
SLACK = 1.25
"""How much larger than declared a file may be whose size is an estimate."""
BLOCK = 1 << 20

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
        return self.part.stat().st_size if self.part.is_file() else 0

    def forget(self) -> None:
        """Removes what has come so far."""
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def source(file: str, url: str) -> str:
    """Where `file` comes from: its `url`, or its place in the mirror that `EIGENWALK_MIRROR` names.

    Raises:
        InputError: the mirror is no ``https://``, ``http://`` or ``file://`` address.
    """
    base = os.environ.get(MIRROR)
    if not base:
        return url
    if urlsplit(base).scheme not in ("https", "http", "file"):
        raise InputError(f"{MIRROR} must be https://host/path, http://host/path or file:///path, got {base!r}")
    return f"{base.rstrip('/')}/{quote(file)}"


def shown(url: str) -> str:
    """`url` without a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def bring(transfer: Transfer, tell: Tell) -> bool:
    """Fills `transfer.part` to its end; whether some of it came from an earlier download.

    Raises:
        WeightsError: it cannot be had; what has come so far is kept where it may be of use later.
    """
    if transfer.have() > transfer.limit or (not transfer.exact and not _validator(transfer)):
        transfer.forget()
    resumed = transfer.have() > 0
    if transfer.exact and transfer.have() == transfer.size:
        return resumed
    try:
        _copy(transfer, tell) if urlsplit(transfer.url).scheme == "file" else _retried(transfer, tell)
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


def _retried(transfer: Transfer, tell: Tell) -> None:
    failed = 0
    with httpx2.Client(follow_redirects=True, timeout=TIMEOUT, headers=_headers()) as client:
        while True:
            before = transfer.have()
            try:
                return _once(client, transfer, tell)
            except Interrupted as error:
                failed = 1 if transfer.have() - before >= WORTHWHILE else failed + 1
                if failed >= ATTEMPTS:
                    kept = f"; {megabytes(transfer.have())} are kept, and fetching it again goes on from there"
                    raise WeightsError(
                        f"{shown(transfer.url)} cannot be fetched: {error} ({failed} attempts)"
                        f"{kept if transfer.have() else ''}"
                    ) from error
                wait = min(LONGEST_WAIT, max(error.after, BACKOFF * 2 ** (failed - 1) * random.uniform(1, 1.25)))
                tell(transfer.have(), f"{error}; trying again in {wait:.0f} s")
                time.sleep(wait)


def _headers() -> dict[str, str]:
    # A body that is compressed on the way has another length, and its ranges are of other bytes.
    return {"Accept-Encoding": "identity", "User-Agent": "eigenwalk"}


def _once(client: httpx2.Client, transfer: Transfer, tell: Tell) -> None:
    """One request, which fills what is missing."""
    have, headers = transfer.have(), {}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator := _validator(transfer):
            headers["If-Range"] = validator
    try:
        with client.stream("GET", transfer.url, headers=headers) as response:
            if response.status_code == 416 and have:  # the range begins at or behind the end
                if _total(response) == have and not transfer.exact:
                    return
                transfer.forget()
                raise Interrupted("the server has another file than before")
            _check(response, transfer)
            _receive(response, transfer, have if response.status_code == 206 else 0, tell)
    except (httpx2.TooManyRedirects, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise WeightsError(f"{shown(transfer.url)} cannot be fetched: {error}") from error
    except (httpx2.TransportError, httpx2.StreamError) as error:
        if _caused_by(error, ssl.SSLCertVerificationError):
            raise WeightsError(
                f"{shown(transfer.url)} cannot be fetched: the server's certificate is not trusted ({error}); behind "
                "a company's proxy, add its certificate to the system's, or name it in SSL_CERT_FILE"
            ) from error
        raise Interrupted(_words(error)) from error
    if transfer.exact and transfer.have() < transfer.size:
        raise Interrupted("the connection ended before the file did")


def _check(response: httpx2.Response, transfer: Transfer) -> None:
    """Nothing, where `response` brings the file.

    Raises:
        WeightsError, Interrupted: it does not; the second where that may pass.
    """
    url, status = shown(str(response.url)), response.status_code
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
    """Writes the body of `response` from byte `start` of the part on."""
    if start and not re.match(rf"bytes {start}-", response.headers.get("content-range", "")):
        transfer.forget()
        raise Interrupted("the server sent another part of the file than was asked for")
    if not start:
        told = {"url": shown(transfer.url), "validator": _strong(response)}
        transfer.notes.write_text(json.dumps(told), encoding="utf-8")
    _space(transfer.part, (_total(response) or transfer.size) - start)
    with open(transfer.part, "ab" if start else "wb") as file:
        _write(response.iter_raw(), file, transfer, start, tell)


def _copy(transfer: Transfer, tell: Tell) -> None:
    """Copies a file of a mirror that is a folder."""
    path = Path(url2pathname(urlsplit(transfer.url).path))
    try:
        origin = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise WeightsError(f"the mirror has no {path}: {reason(error)}; {MIRROR} names the folder") from error
    transfer.forget()
    with origin:
        _space(transfer.part, os.fstat(origin.fileno()).st_size)
        with open(transfer.part, "wb") as file:
            _write(iter(lambda: origin.read(BLOCK), b""), file, transfer, 0, tell)


def _write(blocks: Iterator[bytes], file, transfer: Transfer, start: int, tell: Tell) -> None:
    done = start
    tell(done, "")
    for block in blocks:
        done += len(block)
        if done > transfer.limit:
            transfer.forget()
            raise WeightsError(
                f"{shown(transfer.url)} goes on after the {transfer.size:,} bytes that were declared: it is another "
                "file, and was removed"
            )
        file.write(block)
        tell(done, "")


def _space(part: Path, needed: int) -> None:
    """Raises WeightsError where the disk has less room than `needed` bytes."""
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
        if told["url"] == shown(transfer.url) and isinstance(told["validator"], str):
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
    return int(told) if told.isdigit() else None


def _retry_after(response: httpx2.Response) -> float:
    told = response.headers.get("retry-after", "")
    return float(told) if told.isdigit() else 0.0


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: Exception) -> str:
    """What went wrong with a connection."""
    if isinstance(error, httpx2.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx2.ConnectError):
        return f"there is no connection to the server ({error})"
    return f"the connection broke ({error or type(error).__name__})"
