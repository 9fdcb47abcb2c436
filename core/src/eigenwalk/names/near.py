"""The names nearest to one that nobody knows: what a message suggests."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], count: int = 1, alike: float = 0.6) -> list[str]:
    """Return up to `count` of the `known` names that are most like `word`, best first.

    `alike` is the least similarity, from 0 to 1: twice the length of the longest common subsequence as a
    share of both lengths. rapidfuzz is imported here, as only messages need it.

    >>> nearest("forier.low", ["fourier.low", "fourier.high", "pixels"])
    ['fourier.low']
    """
    from rapidfuzz import fuzz, process

    found = process.extract(word, sorted(set(known)), scorer=fuzz.ratio, limit=count, score_cutoff=100 * alike)
    return [name for name, _, _ in found]
