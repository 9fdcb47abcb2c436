"""What a folder in the layout of diffusers says about itself: its JSON files and its names alone. No torch here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from eigenwalk.errors import FileError

INDEX, CONFIG = "model_index.json", "config.json"
"""What a pipeline's folder, and a single model's, is described in."""
LARGEST = 1 << 20
"""Bytes of a description that are read; published ones have a few thousand."""
_CARD = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)


def kind(path: Path) -> str | None:
    """``pipeline`` or ``model``, what diffusers saved in the folder at `path`; None where it saved nothing there."""
    for file, found in ((INDEX, "pipeline"), (CONFIG, "model")):
        try:
            description = _json(path / file)
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(description, dict) and isinstance(description.get("_class_name"), str):
            return found
    return None


def described(folder: Path, file: str) -> dict[str, Any]:
    """The description that `file` of `folder` holds.

    Raises:
        FileError: there is no such folder or file, or it is no description of diffusers'.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise FileError(f"{folder} {what}: name the folder that save_pretrained wrote, the one with {file} in it")
    try:
        description = _json(folder / file)
    except FileNotFoundError:
        there = ", ".join(sorted(one.name for one in folder.iterdir())[:6]) or "nothing"
        raise FileError(f"{folder} has no {file}, which save_pretrained writes; it holds {there}") from None
    except OSError as error:
        raise FileError(f"{folder / file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{folder / file} is no JSON, it is damaged: {error}") from error
    if not isinstance(description, dict):
        raise FileError(f"{folder / file} holds a {type(description).__name__}, a description was expected")
    return description


def class_of(folder: Path, file: str, supported: tuple[str, ...], remedy: str = "") -> str:
    """The class that `file` of `folder` names, one of `supported`; raises FileError otherwise."""
    name = described(folder, file).get("_class_name")
    if name not in supported:
        what = f"of the class {name}" if isinstance(name, str) else "without the class's name, not of diffusers"
        raise FileError(f"{folder} is {what}; supported are {', '.join(supported)}{remedy}")
    return name


def weights(folder: Path, stem: str, legacy: str) -> tuple[bool, str | None]:
    """Whether the weights in `folder` are safetensors, and their variant, such as ``fp16``.

    `stem` begins the names of safetensors, `legacy` those of PyTorch's ``.bin``, which are taken where there are no
    safetensors. Weights without a variant come first.

    Raises:
        FileError: there are none, or a pointer of Git LFS stands in their place.
    """
    names = sorted(one.name for one in folder.iterdir())
    for safe, start, end in ((True, stem, "safetensors"), (False, legacy, "bin")):
        whole = re.compile(rf"{start}(?:\.(?P<one>\w+))?\.{end}|{start}\.{end}\.index(?:\.(?P<many>\w+))?\.json")
        found = [match for match in map(whole.fullmatch, names) if match]
        if found:
            variants = {match["one"] or match["many"] for match in found}
            _check_pointers(folder, [name for name in names if name.startswith(start) and name.endswith(f".{end}")])
            return safe, None if None in variants else "fp16" if "fp16" in variants else min(map(str, variants))
    raise FileError(
        f"{folder} has no weights: {stem}.safetensors was expected there (or {legacy}.bin); it holds "
        f"{', '.join(names[:6]) or 'nothing'}"
    )


def licence(folder: Path) -> str:
    """The licence that the model card in `folder` names, else the name of its licence file, else nothing."""
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


def _json(path: Path) -> Any:
    with open(path, "rb") as file:
        return json.loads(file.read(LARGEST))


def _check_pointers(folder: Path, names: list[str]) -> None:
    for name in names:
        with open(folder / name, "rb") as file:
            if file.read(23) == b"version https://git-lfs":
                raise FileError(f"{folder / name} is a Git LFS pointer, not the file itself: run git lfs pull")
