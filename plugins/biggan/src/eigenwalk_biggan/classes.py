"""The classes of a network: which one a label means, and where their embeddings lie."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk.errors import FileError, OptionError

IMAGENET = 1000
"""Classes of ImageNet's competition (ILSVRC 2012), in the order of their WordNet numbers, as everywhere."""
LEAST = 1e-6
"""Directions in which the embeddings spread by less than this share of the widest do not count."""


def names(classes: int, file: Path | None) -> list[str]:
    """Return the names of `classes` classes: those in `file`, one a line; of 1000 those of ImageNet; else none.

    Raises:
        FileError: the file cannot be read.
        OptionError: it has another number of lines.
    """
    if file is None:
        packaged = resources.files("eigenwalk_biggan").joinpath("imagenet.txt")
        return packaged.read_text(encoding="utf-8").split() if classes == IMAGENET else []
    try:
        found = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{file} cannot be read as a list of names: {error}") from error
    if len(found) != classes:
        raise OptionError(f"names must be a file of {classes} lines, one a class; {file} has {len(found)}")
    return [plain_name(name) for name in found]


def index(label: str | int, names: list[str], classes: int) -> int:
    """Return the index of the class that `label` means: a name, or a number from 0.

    Raises:
        OptionError: there is no such class; the message has the nearest.
    """
    text = str(label).strip()
    if text.lstrip("-").isdecimal():
        if not 0 <= int(text) < classes:
            raise OptionError(f"label must be from 0 to {classes - 1}, got {text}")
        return int(text)
    if not names:
        raise OptionError(
            f"label must be a number from 0 to {classes - 1}, got {text!r}: the file does not name its classes. "
            "Name them with names=FILE, a text file with one name a line"
        )
    if plain_name(text) in names:
        return names.index(plain_name(text))
    within = [name for name in names if plain_name(text) in name]
    near = within[:5] or difflib.get_close_matches(plain_name(text), names, 5, 0.4)
    told = f"; near it are {', '.join(near)}" if near else ""
    raise OptionError(f"label must be one of the {classes} classes, by name or number, got {text!r}{told}")


def plain_name(name: str) -> str:
    """Return a name in the form of the list.

    >>> plain_name("Golden Retriever")
    'golden_retriever'
    """
    return name.strip().lower().replace("'", "").replace(" ", "_").replace("-", "_")


def standardise(table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean ``(d,)`` and root C½ ``(d, d)`` of embeddings ``(classes, d)``, and their coordinates ``(classes, d)``.

    Embeddings e have the coordinates c = (e - mean) C^-½, C being their covariance: mean 0 and unit variance wherever
    they spread, so that a step in them is as long, for what is usual, as one in z. Of all such coordinates these lie
    nearest the embedding's own. Where there are fewer classes than dimensions, what no class does stays out of reach.
    """
    mean = table.double().mean(0)
    centred = table.double() - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / max(len(table) - 1, 1))
    spread = values.clamp(min=0).sqrt()
    live = spread > LEAST * spread.max()
    inverse = torch.where(live, 1 / spread, torch.zeros(()).double())
    root = vectors * torch.where(live, spread, torch.zeros(()).double()) @ vectors.T
    return mean, root, centred @ (vectors * inverse @ vectors.T)
