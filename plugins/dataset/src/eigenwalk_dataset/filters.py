"""Which paths a shard keeps. No torch here.

Every choice is made within one group of seeds that are walked together, so that a shard needs no other one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from eigenwalk.path import Path
from eigenwalk_dataset.plan import Filters


def select(paths: Sequence[Path], filters: Filters) -> tuple[list[Path], Counter[str]]:
    """Return the paths of a group of seeds that are kept, in their order, and how many were dropped for what reason."""
    dropped: Counter[str] = Counter()
    kept = []
    for path in paths:
        if why := next(_objections(path, filters), ""):
            dropped[why] += 1
        else:
            kept.append(path)
    if filters.per_seed is not None:
        kept, over = _first_of(kept, filters.per_seed, lambda path: path.seed)
        dropped["over the number for each seed"] += over
    if filters.balance:
        every = {direction(path) for path in paths}
        counts = Counter(map(direction, kept))
        kept, over = _first_of(kept, min((counts[one] for one in every), default=0), direction)
        dropped["out of balance"] += over
    return kept, +dropped


def direction(path: Path) -> str:
    """Return a path's direction and sense: ``1+``."""
    return f"{path.rank}{'+' if path.sense > 0 else '-'}"


def is_suspect(path: Path) -> bool | None:
    """Return whether a varied number may have been fooled on the path; None where nothing tells."""
    tells = path.seen.tells.values() if path.seen else ()
    return any(tell.is_suspect for tell in tells) if tells else None


def _objections(path: Path, filters: Filters) -> Iterator[str]:
    if len(path) < 2:
        yield "no step"
    if filters.reached and path.status.reason != "length":
        yield "did not arrive"
    for name, limit in filters.accept:
        change = abs(path.waypoints[-1].changes[name])
        if not change < limit:
            yield f"{name} not below {limit:g}"
    if not filters.suspect and is_suspect(path):
        yield "suspect"


def _first_of(paths: Iterable[Path], most: int, key) -> tuple[list[Path], int]:
    """Return the first `most` paths of each key, and how many others there are."""
    seen: dict[object, int] = defaultdict(int)
    kept, over = [], 0
    for path in paths:
        seen[key(path)] += 1
        if seen[key(path)] <= most:
            kept.append(path)
        else:
            over += 1
    return kept, over
