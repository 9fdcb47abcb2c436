"""Labelled images: from two folders, or from a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk.errors import FileError, InputError
from eigenwalk.images import find_pictures, read, read_size
from eigenwalk.textfile import read_text
from eigenwalk_attributes.labels import LOGIT
from eigenwalk_attributes.preprocessing import Preprocessing

MIN_IMAGES = 16
"""Images of each class, or a quarter of all images with values: with fewer, the held-out ones say nothing."""
MAX_BYTES = 64 << 20
"""Size of a CSV file: a million lines."""


@dataclass(frozen=True)
class Examples:
    """Images, and the value of each label at each image.

    Attributes:
        paths: of the n images.
        values: ``(n, labels)`` float64; 0 or 1 where the unit is ``logit``.
        labels: their names.
        units: ``logit`` for labels that are there or not, else the value's own.
    """

    paths: tuple[Path, ...]
    values: Tensor
    labels: tuple[str, ...]
    units: tuple[str, ...]

    def rows(self, kept: list[int]) -> Examples:
        """The examples at `kept`."""
        return Examples(tuple(self.paths[i] for i in kept), self.values[kept], self.labels, self.units)

    def check(self) -> None:
        """Raise InputError if there are too few images, one class only, or values that are all the same."""
        for column, (label, unit) in enumerate(zip(self.labels, self.units, strict=True)):
            values = self.values[:, column]
            if unit == LOGIT:
                positive = int(values.sum())
                for count, what in ((positive, "positive"), (len(values) - positive, "negative")):
                    if count < MIN_IMAGES:
                        raise InputError(
                            f"{label} has {count} {what} image{'s' * (count != 1)} that can be used: it takes at least "
                            f"{MIN_IMAGES} of each class, and a few hundred to be good"
                        )
            elif len(values) < 4 * MIN_IMAGES:
                raise InputError(
                    f"{label} has {len(values)} images with values: it takes at least {4 * MIN_IMAGES}, and a few "
                    "hundred to be good"
                )
            elif float(values.std()) == 0:
                raise InputError(f"{label} is {float(values[0]):g} at every image: there is nothing to learn")


@dataclass
class Skipped:
    """Images that were left out, by reason."""

    broken: list[Path] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        reasons = [
            (self.broken, "could not be opened, the first of them"),
            (self.copies, "copies of others, the first of them"),
        ]
        return "; ".join(f"{len(paths)} {reason} {paths[0]}" for paths, reason in reasons if paths)


def from_folders(name: str, positive: Path, negative: Path) -> Examples:
    """List the images below two folders: those that have the label, and those that do not.

    Raises:
        FileError: a folder is missing, or holds no image.
    """
    if positive.resolve() == negative.resolve():
        raise InputError(f"--positive and --negative are the same folder, {positive}")
    yes, no = _images(positive), _images(negative)
    values = torch.tensor([1.0] * len(yes) + [0.0] * len(no), dtype=torch.float64)[:, None]
    return Examples((*yes, *no), values, (name,), (LOGIT,))


def from_csv(name: str, file: Path) -> Examples:
    """Read the images and values of a CSV file with the columns ``image,value`` or ``image,label,label…``.

    Paths are relative to the file's folder. A heading ``age [years]`` names the unit. A single column of values is
    called `name`. A column of zeros and ones is a label that is there or not.

    Raises:
        FileError: missing, no CSV, without these columns, or a value is no number; the message names the line.
    """
    text = read_text(file, "CSV file", MAX_BYTES).removeprefix("\ufeff")
    rows = list(csv.reader(io.StringIO(text)))
    head = [cell.strip() for cell in rows[0]] if rows else []
    if "image" not in head or len(head) < 2:
        raise FileError(f"the first line of {file} must name its columns, image,{name}; it is {','.join(head)!r}")
    place = head.index("image")
    columns = [i for i in range(len(head)) if i != place]
    titles = [re.fullmatch(r"(.*?)\s*(?:\[(.*)\])?", head[i]) for i in columns]
    labels = [name] if len(columns) == 1 else [title[1] if title else "" for title in titles]
    wrong = next((label for label in labels if not label.isidentifier() or labels.count(label) > 1), None)
    if wrong is not None:
        raise FileError(f"{file}: a column must have a name of its own, letters, digits and _, got {wrong!r}")
    paths, values = [], []
    for line, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(head):
            raise FileError(f"{file}, line {line}: {len(row)} cells where the head names {len(head)} columns")
        paths.append(file.parent / row[place].strip())
        values.append([_number(row[i], head[i], f"{file}, line {line}") for i in columns])
    if not paths:
        raise FileError(f"{file} names no image: its only line is the head")
    table = torch.tensor(values, dtype=torch.float64)
    units = []
    for column, title in enumerate(titles):
        binary = bool(((table[:, column] == 0) | (table[:, column] == 1)).all())
        units.append(LOGIT if binary else (title[2] if title and title[2] else f"unit of {labels[column]}"))
    return Examples(tuple(paths), table, tuple(labels), tuple(units))


def prepare(
    examples: Examples, preprocessing: Preprocessing, skipped: Skipped, batch: int = 32
) -> Iterator[tuple[list[int], Tensor]]:
    """Prepare images for a network, in batches, each with its rows; images that cannot be used are left out.

    Raises:
        InputError: the same image has two different values.
    """
    first: dict[bytes, int] = {}
    rows: list[int] = []
    images: list[Tensor] = []
    for row, path in enumerate(examples.paths):
        try:
            image = read(path)
        except FileError:
            skipped.broken.append(path)
            continue
        other = first.setdefault(hashlib.sha256(image.numpy().tobytes()).digest(), row)
        if other != row:
            if not bool((examples.values[other] == examples.values[row]).all()):
                raise InputError(
                    f"{path} is the same image as {examples.paths[other]}, with another value: take one of them out"
                )
            skipped.copies.append(path)
            continue
        rows.append(row)
        images.append(preprocessing(image[None]))
        if len(rows) == batch:
            yield rows, torch.cat(images)
            rows, images = [], []
    if rows:
        yield rows, torch.cat(images)


def shorter_side(examples: Examples, of: int = 32) -> int:
    """The median of the shorter sides, in pixels, of the first `of` images that open.

    Raises:
        FileError: none opens.
    """
    sides: list[int] = []
    for path in examples.paths:
        try:
            sides.append(min(read_size(path)))
        except FileError:
            continue
        if len(sides) == of:
            break
    if not sides:
        raise FileError(f"none of the {len(examples.paths)} images could be opened; the first is {examples.paths[0]}")
    return sorted(sides)[len(sides) // 2]


def _images(folder: Path) -> list[Path]:
    """List the images below `folder`, sorted by name."""
    if not folder.is_dir():
        raise FileError(f"there is no folder {folder}")
    found = find_pictures(folder, below=True)
    if not found:
        raise FileError(f"there is no image in the folder {folder}")
    return found


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FileError(f"{where}: {column} must be a number, got {text!r}")
    return value
