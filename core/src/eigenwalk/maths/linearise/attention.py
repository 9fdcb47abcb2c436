"""Attention that has every derivative.

The fused kernels behind `scaled_dot_product_attention`, and the fast path that transformer layers take where no
gradient is recorded, have neither a forward mode nor a second gradient (pytorch#128971). Written out in plain matrix
products, attention has both; so networks of others need no change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch.backends.cuda as sdp
import torch.backends.mha as mha

SWITCHES: tuple[tuple[Callable[[], bool], Callable[[bool], None], bool], ...] = (
    (sdp.flash_sdp_enabled, sdp.enable_flash_sdp, False),
    (sdp.mem_efficient_sdp_enabled, sdp.enable_mem_efficient_sdp, False),
    (sdp.cudnn_sdp_enabled, sdp.enable_cudnn_sdp, False),
    (sdp.math_sdp_enabled, sdp.enable_math_sdp, True),
    (mha.get_fastpath_enabled, mha.set_fastpath_enabled, False),
)
"""For each kind of attention: whether it is allowed, how to allow it, and whether it has every derivative. The names of
`torch.backends.cuda` rule the CPU's kernels too."""


@dataclass
class _Users:
    """How many contexts are open, in all threads together, and what was allowed before the first of them."""

    count: int = 0
    before: list[bool] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


_users = _Users()


@contextmanager
def plain_attention() -> Iterator[None]:
    """Forbid fused attention inside; the last of all overlapping contexts restores what was allowed before.

    torch keeps these switches for the whole process, since a backward pass on a GPU runs in threads of its own. Another
    thread that computes attention meanwhile gets the plain kind too: the same numbers up to rounding, in more memory.
    """
    with _users.lock:
        if _users.count == 0:
            _users.before = [is_allowed() for is_allowed, _, _ in SWITCHES]
            _allow([plain for _, _, plain in SWITCHES])
        _users.count += 1
    try:
        yield
    finally:
        with _users.lock:
            _users.count -= 1
            if _users.count == 0:
                _allow(_users.before)


def _allow(kinds: list[bool]) -> None:
    for (_, allow, _), allowed in zip(SWITCHES, kinds, strict=True):
        allow(allowed)
