"""Which files are generators of this package's own training: told by the head of the file, no torch."""

from __future__ import annotations

import json
from pathlib import Path

LARGEST_HEAD = 1 << 20
"""Bytes of a safetensors head that are read at most: ours has about 4,000, and a false claim costs nothing."""
OURS = {"w_mean", "constant", "first.style.weight", "mapping.0.weight", "widen.0.weight", "refine.0.weight"}
"""Tensors by which a miniature's generator is known."""


def is_generator(path: Path) -> bool:
    """Whether the file at `path` begins like a ``generator.safetensors`` of ``training/gan.py``."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= LARGEST_HEAD:
                return False
            head = json.loads(file.read(size))
    except (OSError, ValueError):
        return False
    return isinstance(head, dict) and head.keys() >= OURS
