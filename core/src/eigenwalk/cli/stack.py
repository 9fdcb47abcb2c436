"""What is known to break in an installation: versions that do not accept each other, builds that do not fit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from eigenwalk.errors import InputError
from eigenwalk.names.installer import installer

REMEDIES: Mapping[str, str] = {
    "facenet-pytorch": "pip install 'facenet-pytorch>=2.5.3,<2.6'",
    "eigenwalk": "upgrade eigenwalk and its plugins together",
}
"""What helps where the latest version of a package accepts only an old torch, or a plugin another core."""
COMPILED = ("torchvision", "torchaudio")
"""What is compiled against one build of torch, for a CPU or for one CUDA."""
TIMEOUT = 60.0


def conflicts() -> list[str]:
    """Return what does not fit together here, and what would help; nothing of it is imported."""
    have = {}
    for name in ("torch", *COMPILED):
        try:
            have[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return [*_unmet(), *_labels(have)]


def _unmet() -> Iterator[str]:
    """The requirements that are not met, as ``pip check`` or ``uv pip check`` says."""
    try:
        done = subprocess.run(installer().check(), capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (InputError, subprocess.SubprocessError, OSError) as error:
        yield f"what is installed cannot be checked: {error}"
        return
    for line in (f"{done.stdout}\n{done.stderr}" if done.returncode else "").splitlines():
        if " require" in line:
            remedy = next((f": {remedy}" for name, remedy in REMEDIES.items() if name in line.split(" require")[0]), "")
            yield f"{line.strip().rstrip('.')}{remedy}"


def _labels(have: Mapping[str, str], platform: str = sys.platform) -> Iterator[str]:
    """Builds that do not fit: a wheel of PyPI has no label and is built for CUDA, a CPU's is labelled ``+cpu``."""
    if platform == "darwin" or "torch" not in have:
        return
    torch = have["torch"].partition("+")[2]
    for name in COMPILED:
        if name in have and (label := have[name].partition("+")[2]) != torch:
            yield (
                f"{name} {have[name]} is built for {_device(label)}, torch {have['torch']} for "
                f"{_device(torch)}, so its operators are missing: install both from one index, "
                f"pip install --force-reinstall --no-deps torch {name}, with --index-url where it is PyTorch's own"
            )


def _device(label: str) -> str:
    return {"cpu": "CPUs alone", "": "CUDA, as on PyPI"}.get(label, label)
