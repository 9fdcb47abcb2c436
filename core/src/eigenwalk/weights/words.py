"""What a failing disk is called."""

from __future__ import annotations

import errno


def why(error: OSError) -> str:
    """What stopped reading or writing, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "this user may not"
    return error.strerror or str(error)
