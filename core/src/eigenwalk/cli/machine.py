"""What torch can compute on here, asked in a process of its own, and where eigenwalk keeps things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from eigenwalk import store
from eigenwalk.names.index import without_password

TIMEOUT = 120.0
TORCH = """
import json, torch
cuda = torch.cuda.is_available()
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else []
mps = bool(getattr(torch.backends, "mps", None)) and torch.backends.mps.is_available()
print(json.dumps([torch.__version__, torch.version.cuda or "", names, mps, torch.get_num_threads()]))
"""


def device() -> str:
    """Say what torch can compute on, or why it cannot be imported."""
    try:
        done = subprocess.run([sys.executable, "-c", TORCH], capture_output=True, text=True, timeout=TIMEOUT)
        version, cuda, names, mps, threads = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"torch did not answer within {TIMEOUT:g} s"
    except (ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode}"]
        return f"torch cannot be imported: {lines[-1]}"
    found = [f"cuda:{index} {name}" for index, name in enumerate(names)] + ["mps"] * mps + [f"cpu, {threads} threads"]
    built = f"built for CUDA {cuda}" if cuda else "built for CPUs"
    return f"{'; '.join(found)} (torch {version}, {built})"


def folders() -> Iterator[tuple[str, str]]:
    """Yield label and path of every folder that eigenwalk writes to beside its runs, and every setting."""
    cache = store.cache_folder()
    for label, path in (("cache", cache), ("weights", store.folder()), ("indexes", cache / "index")):
        place = path if path.exists() else path.parent
        while not place.exists():
            place = place.parent
        state = "" if path.exists() else ", not there yet"
        yield label, f"{path}{state}{'' if os.access(place, os.W_OK) else ', cannot be written'}"
    for name, value in sorted(os.environ.items()):
        if name.startswith("EIGENWALK_"):
            yield name, without_password(value)
