"""Files written whole or not at all, and what a failing disk is called."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write_whole(target: Path, data: bytes | str) -> None:
    """Writes `data` beside `target` and renames it there: at any instant the old file or the new one exists.

    Raises:
        OSError: as the file system gives it; `target` is then what it was, and nothing else is left.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def why(error: Exception) -> str:
    """What stopped a write, in words: a full disk, no permission, or as the system says it."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error).lower():  # safetensors has no errno
        return "the disk is full"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "it is not writable for this user"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
