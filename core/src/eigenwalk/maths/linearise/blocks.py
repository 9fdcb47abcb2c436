"""Recording by blocks: only a block's inputs are kept, and its activations are computed again for the gradient.

Gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv 1604.06174) of the
modules that a generator or a feature calls, whatever holds them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.checkpoint import checkpoint

from eigenwalk.maths.linearise.tracker import Tracker

LARGEST = 1 / 16
"""A block that makes a larger share of all bytes is replaced by the modules inside it, if those make most of it."""
LEAST = 1 / 2000
"""A module that makes a smaller share is not worth computing again."""


@contextmanager
def recomputing(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Record only the inputs and outputs of each of `blocks`."""
    with ExitStack() as stack:
        for block in blocks:
            own = vars(block).get("forward")
            stack.callback(functools.partial(_restore, block, own))
            block.forward = functools.partial(_again, block.forward)
        yield


def _again(forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **options)
    return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False, **options)


def _restore(block: nn.Module, own: Callable[..., Any] | None) -> None:
    del block.forward
    if own is not None:
        block.forward = own


@dataclass(eq=False)
class _Called:
    """A called module, the modules that it called, and the bytes that its operations made."""

    module: nn.Module | None
    made: int = 0
    inner: dict[int, _Called] = field(default_factory=dict)


def find_blocks(action: Callable[[], object], limit: int | None = None) -> tuple[nn.Module, ...]:
    """Return the modules called by `action` that are worth computing again: each a small share of the work.

    Raises:
        OutOfMemory: `action` itself takes more than `limit` bytes.
    """
    root, tracker = _Called(None), Tracker(limit)
    stack, starts = [root], [0]

    def enter(module: nn.Module, inputs: Any) -> None:
        stack.append(stack[-1].inner.setdefault(id(module), _Called(module)))
        starts.append(tracker.made)

    def leave(module: nn.Module, inputs: Any, outputs: Any) -> None:
        stack.pop().made += tracker.made - starts.pop()

    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        with torch.no_grad(), tracker:
            action()
    finally:
        for hook in hooks:
            hook.remove()
    chosen = dict.fromkeys(one for part in root.inner.values() for one in _chosen(part, tracker.made))
    return tuple(chosen)


def _chosen(part: _Called, whole: int) -> Iterator[nn.Module]:
    """Yield `part` itself if it is small enough or has no parts, else the modules inside it."""
    if part.made < LEAST * whole or isinstance(part.module, torch.jit.ScriptModule):
        return
    inside = sum(one.made for one in part.inner.values())
    if part.made > LARGEST * whole and inside > part.made / 2:
        for one in part.inner.values():
            yield from _chosen(one, whole)
    elif part.module is not None:
        yield part.module
