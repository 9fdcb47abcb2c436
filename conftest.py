"""Shapes and types of the core are checked at run time; what eigenwalk caches goes to a folder of the tests'."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest
from jaxtyping import install_import_hook

TENSORS = ("maths", "path", "walk")
"""Where tensors travel. (What a plugin's feature or generator returns, `maths.linearise` itself checks and names.)"""

# Before anything imports torch: on the small tensors of tests threads wait for each other, many times longer than
# they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Before anything imports eigenwalk: what is imported earlier stays unchecked.
install_import_hook([f"eigenwalk.{module}" for module in TENSORS], "typechecked.check")


# Half of the time of a small walk is the kernel's otherwise. (Imported here: `eigenwalk.runs.memory` holds no tensors.)
from eigenwalk.runs.memory.allocator import keep_freed  # noqa: E402

keep_freed()

# A shell that starts tests in the background lets them ignore Ctrl-C, which they and what they start then never see.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def cache() -> Iterator[None]:
    """A cache that no other run has written, for subprocesses too."""
    before = os.environ.get("EIGENWALK_CACHE")
    with tempfile.TemporaryDirectory(prefix="eigenwalk-tests-") as folder:
        os.environ["EIGENWALK_CACHE"] = folder
        yield
    if before is None:
        del os.environ["EIGENWALK_CACHE"]
    else:
        os.environ["EIGENWALK_CACHE"] = before
