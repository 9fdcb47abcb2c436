"""Paths as rows of one batch: which go on, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from eigenwalk.errors import NumericalError, WalkError
from eigenwalk.path import Status

T = TypeVar("T")


def groups(rows: Sequence[int], size: int | None) -> list[list[int]]:
    """The rows in runs of at most `size`."""
    size = size or max(1, len(rows))
    return [list(rows[i : i + size]) for i in range(0, len(rows), size)]


def surviving(rows: Sequence[int], attempt: Callable[[list[int]], T]) -> tuple[T | None, dict[int, WalkError]]:
    """`attempt` on as many of `rows` as it works for, and the failure of each of the others.

    An attempt that fails names the places in its argument that are to blame; it is made again without them.
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
    """How a path ends that `error` stopped."""
    return Status("numerical" if isinstance(error, NumericalError) else "undefined", str(error), error.feature)
