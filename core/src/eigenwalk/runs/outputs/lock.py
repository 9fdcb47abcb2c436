"""A lock file that dies with its process.

The operating system holds the lock and drops it when the process ends, however it ends, so that a lock
of a dead process is simply taken over. The process id in the file is for people.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import IO

from eigenwalk.errors import OutputError

NAME = ".lock"


class Lock:
    """The exclusive right to write in `folder`, or to what its lock file `name` stands for, until `release()`.

    Raises:
        OutputError: another process holds it.
        OSError: the lock file cannot be made.
    """

    def __init__(self, folder: Path, name: str = NAME):
        self.file = folder / name
        self._handle = self._take()
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(f"{os.getpid()} {socket.gethostname()}\n")
        self._handle.flush()

    def _take(self) -> IO[str]:
        while True:
            handle = open(self.file, "a+", encoding="utf-8")  # noqa: SIM115 - held as long as the lock
            try:
                _lock(handle)
            except OSError as error:
                text = self._owner(handle)
                handle.close()
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                    raise OutputError(
                        f"another run is writing in {self.file.parent} ({text}): wait for it, or give another folder "
                        "with --out"
                    ) from None
                raise
            # Whoever held it may have removed the file while we waited for it: then ours is a lock on nothing.
            if self.file.exists() and os.fstat(handle.fileno()).st_ino == self.file.stat().st_ino:
                return handle
            handle.close()

    def release(self) -> None:
        """Removes the lock file, then lets go; harmless when called twice."""
        if self._handle.closed:
            return
        if sys.platform == "win32":  # an open file cannot be removed there
            self._handle.close()
            self.file.unlink(missing_ok=True)
        else:
            self.file.unlink(missing_ok=True)
            self._handle.close()

    @staticmethod
    def _owner(handle: IO[str]) -> str:
        try:
            handle.seek(0)
            pid, _, host = handle.read(200).strip().partition(" ")
        except OSError:
            return "its process is not known"
        return f"process {pid} on {host}" if pid else "its process is not known"


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: IO[str]) -> None:
        handle.seek(1 << 20)  # beyond the text, which others may then still read
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: IO[str]) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
