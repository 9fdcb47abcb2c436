"""Memory that tensors take during a computation."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eigenwalk.errors import OutOfMemory


class Tracker(TorchDispatchMode):
    """Count the bytes of tensors that are created inside: those alive now, and the most at any time.

    Parameters, and whatever existed before, do not count. A kernel's own workspace is not seen.

    >>> import torch
    >>> with Tracker() as tracker:
    ...     a = torch.ones(1000)
    ...     b = (a + 1).sum()
    >>> tracker.peak, tracker.live
    (8004, 4004)

    Attributes:
        limit: raise `OutOfMemory` above this many bytes, before the machine itself runs out; None: never.
        live: bytes of tensors that are still held.
        peak: the largest that `live` has been.
        made: bytes of all tensors that were created, freed or not.
    """

    def __init__(self, limit: int | None = None):
        super().__init__()
        self.limit, self.live, self.peak, self.made = limit, 0, 0, 0
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note what `function` reads as existing before, and count what it creates."""
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
        # An error inside a reverse pass would leave its graph in memory: the next operation outside raises it.
        inside = torch._C._current_graph_task_id() != -1  # pyright: ignore[reportAttributeAccessIssue]
        if self.limit is not None and self.live > self.limit and not inside:
            raise OutOfMemory(f"more than {self.limit / 1e9:.2g} GB are needed")

    def _freed(self, key: int) -> None:
        self.live -= self._known.pop(key)[1]
