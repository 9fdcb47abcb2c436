"""This Python environment: where its plugins come from, what does not fit together, what torch computes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eigenwalk import store
from eigenwalk.errors import InputError
from eigenwalk.names.discovery import Source
from eigenwalk.names.index import without_password
from eigenwalk.names.installer import installer

REMEDIES: Mapping[str, str] = {
    "facenet-pytorch": "pip install 'facenet-pytorch>=2.5.3,<2.6'",
    "eigenwalk": "upgrade eigenwalk and its plugins together",
}
"""What helps where the latest version of a package accepts only an old torch, or a plugin another core."""
COMPILED = ("torchvision", "torchaudio")
"""What is compiled against one build of torch, for a CPU or for one CUDA."""
TORCH_TIMEOUT, CHECK_TIMEOUT = 120.0, 60.0
TORCH = """
import json, torch
cuda = torch.cuda.is_available()
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else []
mps = bool(getattr(torch.backends, "mps", None)) and torch.backends.mps.is_available()
print(json.dumps([torch.__version__, torch.version.cuda or "", names, mps, torch.get_num_threads()]))
"""


def origin(source: Source) -> str:
    """Say where a plugin's distribution comes from: a folder, a repository, a file, or an index of packages."""
    told: dict = {}
    with suppress(OSError, ValueError, TypeError):
        told = json.loads(Path(source.info or "", "direct_url.json").read_text(encoding="utf-8"))
    url = str(told.get("url", ""))
    path = unquote(urlsplit(url).path) if url.startswith("file:") else url
    if "vcs_info" in told:
        info = told["vcs_info"]
        return f"{info.get('vcs', 'repository')} {path} at {str(info.get('commit_id', '?'))[:12]}"
    if told.get("dir_info", {}).get("editable"):
        return f"editable {path}"
    if url:
        return f"{'folder' if 'dir_info' in told else 'file'} {path}"
    if source.info is not None and source.info.suffix == ".egg-info":
        return f"folder {source.info.parent}"
    return "wheel"


def conflicts() -> list[str]:
    """Return what does not fit together here, and what would help; nothing of it is imported."""
    versions = {name: installed_version(name) for name in ("torch", *COMPILED)}
    return [*_unmet(), *_labels({name: version for name, version in versions.items() if version})]


def installed_version(distribution: str) -> str | None:
    """Return the version of `distribution` that is installed here."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _unmet() -> Iterator[str]:
    """The requirements that are not met, as ``pip check`` or ``uv pip check`` says."""
    try:
        done = subprocess.run(installer().check(), capture_output=True, text=True, timeout=CHECK_TIMEOUT, check=False)
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
                f"{name} {have[name]} is built for {_target(label)}, torch {have['torch']} for "
                f"{_target(torch)}, so its operators are missing: install both from one index, "
                f"pip install --force-reinstall --no-deps torch {name}, with --index-url where it is PyTorch's own"
            )


def _target(label: str) -> str:
    return {"cpu": "CPUs alone", "": "CUDA, as on PyPI"}.get(label, label)


def device() -> str:
    """Say what torch can compute on, or why it cannot be imported."""
    try:
        done = subprocess.run([sys.executable, "-c", TORCH], capture_output=True, text=True, timeout=TORCH_TIMEOUT)
        version, cuda, names, mps, threads = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"torch did not answer within {TORCH_TIMEOUT:g} s"
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
