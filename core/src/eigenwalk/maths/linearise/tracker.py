"""How much memory tensors take while something is computed."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eigenwalk.errors import OutOfMemory


class Tracker(TorchDispatchMode):
    """Bytes of the tensors that come to be inside: those alive now, and the most there ever were.

    Parameters, and whatever else was there before, do not count. What a kernel needs for itself is not seen.

    >>> import torch
    >>> with Tracker() as tracker:
    ...     a = torch.ones(1000)
    ...     b = (a + 1).sum()
    >>> tracker.peak, tracker.live
    (8004, 4004)

    Attributes:
        limit: bytes above which `OutOfMemory` is raised, before a machine comes to its own end; None: never.
        live: bytes of tensors that are still held.
        peak: the largest that `live` has been.
        made: bytes of all tensors that came to be, freed or not.
    """

    def __init__(self, limit: int | None = None):
        super().__init__()
        self.limit, self.live, self.peak, self.made = limit, 0, 0, 0
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Notes what `function` reads, which was there before, and counts what it makes."""
        for tensor in tree_leaves((args, kwargs)):
            self._note(tensor, before=True)
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            self._note(tensor, before=False)
        return result

    def _note(self, tensor: Any, before: bool) -> None:
        if not isinstance(tensor, Tensor):
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = 0 if before else storage.nbytes()
        self._known[key] = weakref.ref(storage, lambda _: self._freed(key)), size
        self.live, self.made = self.live + size, self.made + size
        self.peak = max(self.peak, self.live)
        # What is raised inside a reverse pass leaves its graph in memory: the next operation outside of it tells.
        inside = torch._C._current_graph_task_id() != -1  # pyright: ignore[reportAttributeAccessIssue]
        if self.limit is not None and self.live > self.limit and not inside:
            raise OutOfMemory(f"more than {self.limit / 1e9:.2g} GB are needed")

    def _freed(self, key: int) -> None:
        self.live -= self._known.pop(key)[1]
