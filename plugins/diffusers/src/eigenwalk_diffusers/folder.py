"""Read what a folder of diffusers says about itself, in JSON files and file names. No torch here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eigenwalk.errors import FileError

if TYPE_CHECKING:
    from eigenwalk.checkpoint import Checkpoint

INDEX, CONFIG = "model_index.json", "config.json"
"""What a pipeline's folder, and a single model's, is described in."""
LARGEST = 1 << 20
"""Bytes of a model card that are read."""
_CARD = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)


def kind(folder: Checkpoint) -> str | None:
    """Return ``pipeline`` or ``model``, what diffusers saved in `folder`; None if it saved nothing there."""
    for name, found in ((INDEX, "pipeline"), (CONFIG, "model")):
        file = folder.inside(name)
        try:
            description = file.json() if file else None
        except FileError:
            continue
        if isinstance(description, dict) and isinstance(description.get("_class_name"), str):
            return found
    return None


def described(folder: Path, name: str) -> dict[str, Any]:
    """Return the description that the file `name` of `folder` holds.

    Raises:
        FileError: there is no such folder or file, or it is no description of diffusers'.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise FileError(f"{folder} {what}: name the folder that save_pretrained wrote, the one with {name} in it")
    file = _checkpoint(folder).inside(name)
    if file is None:
        there = ", ".join(sorted(one.name for one in folder.iterdir())[:6]) or "nothing"
        raise FileError(f"{folder} has no {name}, which save_pretrained writes; it holds {there}")
    description = file.json()
    if not isinstance(description, dict):
        raise FileError(f"{folder / name} holds a {type(description).__name__}, a description was expected")
    return description


def _checkpoint(folder: Path) -> Checkpoint:
    from eigenwalk.checkpoint import Checkpoint

    return Checkpoint.of(folder)


def class_of(folder: Path, file: str, supported: tuple[str, ...], remedy: str = "") -> str:
    """Return the class that `file` of `folder` names, one of `supported`; raises FileError otherwise."""
    name = described(folder, file).get("_class_name")
    if name not in supported:
        what = f"of the class {name}" if isinstance(name, str) else "without the class's name, not of diffusers"
        raise FileError(f"{folder} is {what}; supported are {', '.join(supported)}{remedy}")
    return name


def weights(folder: Path, stem: str, legacy: str) -> list[Path]:
    """Return the files of the weights in `folder`: one, or its parts.

    `stem` begins the names of safetensors, `legacy` those of PyTorch's ``.bin``, which are taken if there are no
    safetensors. Weights without a variant come first, then ``fp16``.

    Raises:
        FileError: there are none.
    """
    names = sorted(one.name for one in folder.iterdir())
    for start, end in ((stem, "safetensors"), (legacy, "bin")):
        form = re.compile(rf"{start}(?:\.(?P<one>\w+))?(?:-\d+-of-\d+)?(?:\.(?P<other>\w+))?\.{end}")
        found = [match for match in map(form.fullmatch, names) if match]
        variants = {match["one"] or match["other"] or "" for match in found}
        chosen = next((one for one in ("", "fp16") if one in variants), min(variants, default=""))
        if found:
            return [folder / one[0] for one in found if (one["one"] or one["other"] or "") == chosen]
    raise FileError(
        f"{folder} has no weights: {stem}.safetensors was expected there (or {legacy}.bin); it holds "
        f"{', '.join(names[:6]) or 'nothing'}"
    )


def licence(folder: Path) -> str:
    """Return the licence that the model card in `folder` names, else the name of its licence file, else nothing."""
    try:
        with open(folder / "README.md", encoding="utf-8", errors="replace") as file:
            card = _CARD.match(file.read(LARGEST))
    except OSError:
        card = None
    lines = dict(re.findall(r"^(license(?:_name)?):[ \t]*(\S[^\n]*?)\s*$", card[1], re.MULTILINE)) if card else {}
    told = lines.get("license_name") or lines.get("license")
    if told:
        return told.strip("\"'")
    files = sorted(one.name for one in folder.iterdir() if re.match(r"licen[cs]e", one.name, re.IGNORECASE))
    return f"see {files[0]} in the folder" if files else ""
