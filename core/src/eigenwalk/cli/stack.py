"""What is known to break in the torch stack: versions that do not accept each other, builds that do not fit."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from eigenwalk.names.index import normal_name

BASE = ("torch", "torchvision", "torchaudio", "numpy")
"""What the packages of this field are built against: each says which versions it accepts."""
REMEDIES: Mapping[str, str] = {
    "facenet-pytorch": "pip install 'facenet-pytorch>=2.5.3,<2.6'",
}
"""What helps where a package's latest version accepts only an old torch."""
COMPILED = ("torchvision", "torchaudio")
"""What is compiled against one build of torch, for a CPU or for one CUDA."""


def versions() -> dict[str, str]:
    """The version of every installed distribution, by its normal name; the first on the path counts."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(normal_name(name), distribution.version or "0")
    return found


def requirements() -> Iterator[tuple[str, Requirement]]:
    """What installed distributions ask for, here and now, each with the name of who asks."""
    seen = set()
    for distribution in metadata.distributions():
        name = normal_name(distribution.metadata["Name"] or "")
        if not name or name in seen:
            continue
        seen.add(name)
        for line in distribution.requires or ():
            try:
                one = Requirement(line)
            except InvalidRequirement:
                continue
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                yield name, one


def broken() -> list[str]:
    """What does not fit together here, and what would help; nothing of it is imported."""
    have = versions()
    return [*_unaccepted(have), *_labels(have)]


def _unaccepted(have: Mapping[str, str]) -> Iterator[str]:
    for name, asked in requirements():
        wanted = normal_name(asked.name)
        plugin = name == "eigenwalk" or name.startswith("eigenwalk-")
        if wanted not in BASE and not plugin:
            continue
        version = have.get(wanted)
        if version is None:
            if plugin:
                yield f"{name} asks for {asked}, which is not installed: pip install {name} brings it"
        elif not asked.specifier.contains(version, prereleases=True):
            both = f"pip install --upgrade eigenwalk {name}"
            other = f"pip install --upgrade {name}, or another {wanted}"
            remedy = REMEDIES.get(name) or (both if wanted == "eigenwalk" else other)
            yield f"{name} {have[name]} asks for {wanted}{asked.specifier}, {wanted} {version} is here: {remedy}"


def _labels(have: Mapping[str, str], platform: str = sys.platform) -> Iterator[str]:
    """Builds that do not fit: a wheel of PyPI has no label and is built for CUDA, a CPU's is labelled ``+cpu``."""
    if platform == "darwin" or "torch" not in have:
        return
    torch = _label(have["torch"])
    for name in COMPILED:
        if name in have and _label(have[name]) != torch:
            yield (
                f"{name} {have[name]} is built for {_built_for(_label(have[name]))}, torch {have['torch']} for "
                f"{_built_for(torch)}, so its operators are missing: install both from one index, "
                f"pip install --force-reinstall --no-deps torch {name}, with --index-url where it is PyTorch's own"
            )


def _label(version: str) -> str:
    try:
        return Version(version).local or ""
    except InvalidVersion:
        return ""


def _built_for(label: str) -> str:
    return {"cpu": "CPUs alone", "": "CUDA, as on PyPI"}.get(label, label)
