"""Paths as rows of one batch: which go on, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from eigenwalk.errors import NumericalError, WalkError
from eigenwalk.path import Status

T = TypeVar("T")


def groups(rows: Sequence[T], size: int | None) -> list[list[T]]:
    """Split the rows into runs of at most `size`."""
    size = size or max(1, len(rows))
    return [list(rows[i : i + size]) for i in range(0, len(rows), size)]


def attempt_rows(rows: Sequence[int], attempt: Callable[[list[int]], T]) -> tuple[T | None, dict[int, WalkError]]:
    """Return the result of `attempt` on as many of `rows` as it works for, and the error of each of the others.

    A failing attempt names the places in its argument that are to blame; it is repeated without them.
    """
    left, failures = list(rows), {}
    while left:
        try:
            return attempt(left), failures
        except WalkError as error:
            bad = set(error.rows or range(len(left)))
            failures |= {left[i]: error for i in bad}
            left = [row for i, row in enumerate(left) if i not in bad]
    return None, failures


def status(error: WalkError) -> Status:
    """Return the end of a path that `error` stopped."""
    return Status("numerical" if isinstance(error, NumericalError) else "undefined", str(error), error.feature)
