"""What the C library's allocator does with memory that is freed.

glibc maps every large block anew and gives it back when it is freed, so that the kernel clears each activation of each
pass again: on an anime GAN (64 x 64, 4 seeds, one thread) half of a walk's time.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4  # of mallopt(3)
PAD = 256 << 20


def keep_freed() -> bool:
    """Let the process keep memory that it frees, for what it asks for next; whether the C library can.

    For a process that is eigenwalk's own, and not for one that must give memory back to the machine: it holds its peak
    until it ends.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl and others have none
        return False
    # The order matters not, but all three do: without the first, large blocks are mapped and unmapped as before.
    return all(mallopt(*setting) == 1 for setting in ((MMAP_MAX, 0), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, PAD)))


def give_back() -> None:
    """Return to the machine what is freed and kept, so that what the process holds is what it uses."""
    if sys.platform.startswith("linux"):
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
