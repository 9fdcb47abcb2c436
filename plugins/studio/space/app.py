"""`eigenwalk studio` as Hugging Face Spaces runs it: no password, 2 processors, a disk that is not kept."""

import os
import sys
import tempfile
from pathlib import Path

MEMORY, DISK = "8GB", "8GB"
"""Of a walk, and of all that is saved: a free Space has 16 GB of memory and 50 GB of disk."""


def main() -> None:
    """Serve the page in an empty folder: visitors may open files of the working folder, and no others."""
    sys.path.insert(0, str(Path(__file__).resolve().with_name("packages")))  # put there by tools/space.py
    os.environ.pop("SYSTEM", None)  # by it gradio knows a Space: asks others for fonts and figures, watches the code
    os.environ.setdefault("OMP_NUM_THREADS", "2")  # a container sees the processors of its whole machine
    os.chdir(tempfile.mkdtemp(prefix="eigenwalk-"))
    from eigenwalk.cli import main as eigenwalk

    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    where = ["--host", "0.0.0.0", "--port", port, "--public", "--no-browser"]
    eigenwalk(["studio", "rooms", *where, "--memory", MEMORY, "--disk", DISK])


if __name__ == "__main__":
    main()
