"""Seeds as people write them. No torch here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eigenwalk.errors import RecipeError

MOST = 100_000
"""Seeds of one range."""


def parse_seeds(texts: Iterable[str], source: str = "--seed") -> list[int]:
    """Return the seeds of texts such as ``0-3`` and ``7``, each once, in the order given.

    >>> parse_seeds(["0-2", "7", "1"])
    [0, 1, 2, 7]

    Raises:
        RecipeError: a text is neither a number nor a range; `source` is where it stands.
    """
    return list(dict.fromkeys(seed for one in parse_ranges(texts, source) for seed in one))


def parse_ranges(texts: Iterable[str], source: str = "--seed", most: int = MOST) -> list[range]:
    """Return the ranges that texts such as ``0-3`` and ``7`` name, none with more than `most` seeds.

    Raises:
        RecipeError: as `parse_seeds`.
    """
    found = []
    for text in texts:
        match = re.fullmatch(r"(\d{1,30})(?:-(\d{1,30}))?", text.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first or last - first >= most:
            raise RecipeError(f"{source} takes a whole number or a range such as 0-3, got {text.strip()[:60]!r}")
        found.append(range(first, last + 1))
    return found
