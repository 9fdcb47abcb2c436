"""Amounts of memory in words. No torch here."""

from __future__ import annotations

import re

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def in_bytes(text: str) -> int:
    """The bytes that `text` says.

    >>> in_bytes("4GB"), in_bytes("500 MB"), in_bytes("1.5GiB")
    (4000000000, 500000000, 1610612736)

    Raises:
        ValueError: it says no amount of memory.
    """
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if match is None or (match[3] and not match[2]) or float(match[1]) == 0:
        raise ValueError("should be an amount of memory such as 4GB or 500MB")
    power = 1024 ** " kmgt".index(match[2]) if match[3] else UNITS[match[2]]
    return int(float(match[1]) * power)


def in_words(size: float) -> str:
    """`size` bytes in words.

    >>> in_words(312), in_words(4.5e6), in_words(12_340_000_000)
    ('312 B', '4.5 MB', '12.3 GB')
    """
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= power:
            return f"{size / power:.1f} {unit}"
    return f"{size:.0f} B"
