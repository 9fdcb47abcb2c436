"""Files written whole or not at all."""

from __future__ import annotations

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
