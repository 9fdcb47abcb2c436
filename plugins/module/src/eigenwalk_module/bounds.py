"""What the images of one latent may take: a file of some hundred bytes can ask for all memory, or for hours."""

from __future__ import annotations

import math
import time
import weakref
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from eigenwalk.errors import FileError

MEMORY = 4 << 30
"""Bytes that the tensors of one pass may have at a time. StyleGAN2 at 1024 pixels has 0.3 GB an image."""
WORK = 1e13
"""Multiplications and additions of one pass. StyleGAN2 at 1024 pixels has 3e11, Stable Diffusion XL 6e12."""
SECONDS = 600
SMALL = 1 << 26
"""Numbers of a result that need not be foreseen: they are counted once they are there."""
VIEWS = frozenset({
    "_unsafe_view", "alias", "detach", "permute", "select", "slice", "split", "squeeze", "t", "transpose", "unsqueeze",
    "view",
})  # fmt: skip
NO_LARGER = frozenset({
    "_native_batch_norm_legit", "_softmax", "_to_copy", "amax", "amin", "cat", "clone", "mean", "native_batch_norm",
    "native_group_norm", "native_layer_norm", "sum", "var",
})  # fmt: skip
"""Operations whose results have no more numbers than what they are given."""
NODES = 100_000
"""Operations in a graph, or carried out for one batch by code with loops. StyleGAN3 has about 5,000."""


class Bounds(TorchDispatchMode):
    """Refuse operations that would take more than `MEMORY` with all that is held, or more than `WORK` in all.

    Each operation runs on the meta device first, which tells the sizes of its results and makes none.

    Attributes:
        held, most: bytes of tensors that operations have made, now and at their most.

    Raises:
        FileError: too much of one, or more than `SECONDS`; `what` names the file.
    """

    def __init__(self, what: object) -> None:
        super().__init__()
        self.what, self.start = what, time.monotonic()
        self.held = self.most = self.work = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if time.monotonic() - self.start > SECONDS:
            self._refuse(f"{SECONDS} seconds", f"before {func}")
        self._check(func, args, kwargs)
        result = func(*args, **kwargs)
        for one in _new(result, (args, kwargs)):
            size = one.untyped_storage().nbytes()
            self.held += size
            self.most = max(self.most, self.held)
            weakref.finalize(one.untyped_storage(), self._release, size)
        return result

    def _release(self, size: int) -> None:
        self.held -= size

    def _check(self, func: Any, args: Any, kwargs: Any) -> None:
        """Refuse results that are too large, from shapes alone if possible; the meta device takes seconds to import."""
        made = _shaped(func, args, kwargs)
        if made is None:
            if any(one.name == "device" for one in func._schema.arguments):
                kwargs = kwargs | {"device": torch.device("meta")}
            try:
                args, kwargs = tree_map_only(Tensor, _meta, (args, kwargs))
                result = func(*args, **kwargs)
            except Exception:  # sizes that depend on numbers, or arguments that do not fit: the operation will say so
                return
            sizes = [one.numel() * one.element_size() for one in tree_leaves(result) if isinstance(one, Tensor)]
            wanted = sum(one.untyped_storage().nbytes() for one in _new(result, (args, kwargs)))
        else:
            size = max([4, *(one.element_size() for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor))])
            result, sizes, wanted = torch.empty(made, device="meta"), [], size * math.prod(made)
        if max([self.held + wanted, *sizes]) > MEMORY:  # a view of one number may be as long as a year
            self._refuse(f"{MEMORY >> 30} GB", f"{func} makes {max([wanted, *sizes]) / 1e9:.3g} GB")
        if func.overloadpacket in flop_registry:
            self.work += flop_registry[func.overloadpacket](*args, **kwargs, out_val=result)
            if self.work > WORK:
                self._refuse(f"{WORK:.0e} multiplications", f"{func} is one of them")

    def _refuse(self, limit: str, why: str) -> NoReturn:
        raise FileError(f"{self.what} was not opened: images of one latent take more than {limit} ({why})")


def _shaped(func: Any, args: Any, kwargs: Any) -> tuple[int, ...] | None:
    """Return a shape at least as large as the results of an operation; None if its arguments are needed to know."""
    leaves = tree_leaves((args, kwargs))
    shapes = [tuple(one.shape) for one in leaves if isinstance(one, Tensor)]
    name = func.overloadpacket.__name__
    try:
        if torch.Tag.pointwise in func.tags:
            return tuple(torch.broadcast_shapes(*shapes))
        if name in ("mm", "addmm", "bmm", "baddbmm"):
            return (*shapes[-2][:-1], shapes[-1][-1])
    except (RuntimeError, LookupError):  # they do not fit: the operation will say so
        return None
    whole = sum(map(math.prod, shapes))
    if name in NO_LARGER or name in VIEWS:
        return (whole if name in NO_LARGER else 0,)
    numbers = [abs(one) for one in leaves if isinstance(one, int) and abs(one) > 1]
    most = math.prod(max(1, math.prod(shape)) for shape in shapes) * math.prod(numbers)
    return () if most < SMALL else None


def _new(made: Any, given: Any) -> list[Tensor]:
    """Return the tensors of `made` that are not views of those in `given`."""
    old = {one.untyped_storage()._cdata for one in tree_leaves(given) if isinstance(one, Tensor)}
    return [one for one in tree_leaves(made) if isinstance(one, Tensor) and one.untyped_storage()._cdata not in old]


def _meta(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
