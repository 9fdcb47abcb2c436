"""What an object holds, however deep: its attributes' attributes, containers, and what functions close over."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from eigenwalk.feature import Feature
from eigenwalk.generator import Generator

T = TypeVar("T")


def reachable(root: Any, kind: type[T]) -> Iterator[T]:
    """Yield every object of type `kind` that `root` holds, once.

    Followed are features, generators, modules, lists, tuples, sets and mappings, partial and bound functions and what
    functions close over; other objects are not looked into.

    >>> [type(one).__name__ for one in reachable([nn.Linear(2, 2, bias=False)], nn.Module)]
    ['Linear']
    """
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, kind):
            yield one
        waiting += _parts(one)


def _parts(one: Any) -> list[Any]:
    if isinstance(one, (Tensor, type)):
        return []
    if isinstance(one, (list, tuple, set, frozenset)):
        return list(one)
    if isinstance(one, Mapping):
        return list(one.values())
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, types.MethodType):
        return [one.__self__]
    if isinstance(one, types.FunctionType):
        return [content for cell in one.__closure__ or () for content in _content(cell)]
    return list(vars(one).values()) if isinstance(one, (Feature, Generator, nn.Module)) else []


def _content(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # a name that the enclosing function has not given a value yet
        return []
