"""A lock file that the operating system drops when its process ends, however it ends, and that says whose it is."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from eigenwalk.errors import OutputError

NAME = ".lock"


class Lock:
    """The exclusive right to write in `folder`, or to what its lock file `name` stands for, until `release()`.

    Who only reads does without it where the lock file cannot be made, as on a disk that takes no writes.

    Raises:
        OutputError: another process holds it; the message names that process.
        OSError: the lock file cannot be made, and `writes` is true.
    """

    def __init__(self, folder: Path, name: str = NAME, *, writes: bool = True):
        self.file = folder / name
        self._lock = FileLock(self.file)
        try:
            if self.file.is_symlink():  # never ours: what it points to is not to be written
                self.file.unlink()
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"another run is writing in {folder} ({self._owner()}): wait for it, or give another folder with --out"
            ) from None
        except OSError:
            if writes:
                raise
            return
        with suppress(OSError):  # Windows lets nobody write what is locked
            if self.file.stat().st_nlink == 1:
                self.file.write_text(f"{os.getpid()} {socket.gethostname()}\n", encoding="utf-8")

    def release(self) -> None:
        """Remove the lock file and let go; harmless when called twice."""
        if not self._lock.is_locked:
            return
        with suppress(OSError):  # Windows removes no open file
            self.file.unlink()
        self._lock.release()
        if sys.platform == "win32":
            with suppress(OSError):
                self.file.unlink()

    def _owner(self) -> str:
        with suppress(OSError):
            pid, _, host = self.file.read_text(encoding="utf-8", errors="replace")[:200].strip().partition(" ")
            if pid:
                return f"process {pid} on {host}"
        return "its process is not known"
