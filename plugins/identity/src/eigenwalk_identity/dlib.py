"""dlib's face recogniser, from its own file: 128 numbers a face, of one person where they lie less than 0.6 apart.

A ``.dat`` is a sequence of whole numbers (a byte that says how many follow, and the sign), of texts and of float32
numbers in a row. Of each layer with weights it has the name, a tensor, and the sizes; layers stand in the order in
which an image passes them. Nothing in it is run: names and sizes are read, and the numbers of a tensor are taken where
they lie. What stands between two layers (flags, rates) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk.shapes import Distances, Values
from eigenwalk.store import find
from eigenwalk_face.dlib import Affine, ChipFeature, Convolution, Dense, fill, resnet
from eigenwalk_identity.plugin import DLIB

SIZE, PADDING = 150, 0.25
GROUPS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
LAYER = re.compile(rb"\x01[\x04-\x0c](con_[45]|affine_2?|fc_[23]?)\x01")
LAYERS = 1000
GAP = 4096
"""Bytes at most between the layers with weights: what dlib writes of the layers without is far shorter."""


class DlibIdentity(ChipFeature):
    """The embeddings ``(batch, 128)`` of dlib's recogniser; the distance is Euclidean, below 0.6 for one person."""

    unit = "Euclidean distance"

    def distance(self, a: Values, b: Values) -> Distances:
        """|a - b| ``(batch,)``."""
        return (a - b).square().sum(1).sqrt()

    def radius(self, distance: float, values: Values) -> Distances:
        """The distance itself ``(batch,)``."""
        return values.new_full((len(values),), distance)


def identity(file: str | None, box: Sequence[float] | str | None, least: float) -> DlibIdentity:
    """Open dlib's recogniser in `file`, or the published one, as a feature; see `eigenwalk_identity.identity`."""
    path = find(DLIB, "identity(model=dlib)") if file is None else Path(file).expanduser()
    return DlibIdentity("identity", recogniser(path), SIZE, PADDING, box, least)


def recogniser(path: Path) -> torch.nn.Module:
    """Open dlib's recogniser in the file at `path`.

    Raises:
        FileError: no file of dlib's, or truncated.
        WeightsError: another network's.
    """
    file = Checkpoint.of(path)
    return fill(resnet(GROUPS, 128, bias=False), layers(file), str(file))


def layers(file: Checkpoint) -> Iterator[Convolution | Affine | Dense]:
    """Yield the layers with weights in `file`, in the order in which an image passes them.

    Raises:
        FileError: it holds none, ends inside one, or says sizes that do not fit its numbers.
    """
    place = 0
    for _ in range(LAYERS):
        match = LAYER.search(file.data, place, place + GAP)
        if match is None:
            break
        name = match[1]
        reader = Reader(file, match.end() - 1)
        if match[0][1] != len(name):
            raise reader.damaged(f"the text {name!r} has another length")
        if name.startswith(b"con"):
            numbers = reader.tensor()
            after, height, width = (reader.number() for _ in range(3))
            yield _convolution(reader, numbers, after, height, width)
        elif name.startswith(b"affine"):
            numbers = reader.tensor()
            yield Affine(*numbers.chunk(2))
        else:
            after, before = reader.number(), reader.number()
            yield _dense(reader, reader.tensor(), before, after)
        place = reader.place
    if not place:
        raise FileError(f"{file} is no network of dlib's: it has no layer with weights")


def _convolution(reader: Reader, numbers: Tensor, after: int, height: int, width: int) -> Convolution:
    before, left = divmod(numbers.numel() - after, max(1, after * height * width))
    if after < 1 or left or before < 1:
        raise reader.damaged(f"{numbers.numel()} numbers are no convolution to {after} channels, {height} x {width}")
    return Convolution(numbers[:-after].view(after, before, height, width), numbers[-after:])


def _dense(reader: Reader, numbers: Tensor, before: int, after: int) -> Dense:
    if min(before, after) < 1 or numbers.numel() not in (before * after, (before + 1) * after):
        raise reader.damaged(f"{numbers.numel()} numbers are no linear layer from {before} to {after}")
    rows = numbers.view(-1, after)
    return Dense(rows[:before], rows[before] if len(rows) > before else None)


class Reader:
    """Numbers and tensors of dlib's format, from a `place` in a file on."""

    def __init__(self, file: Checkpoint, place: int):
        self.file, self.place = file, place

    def damaged(self, why: str) -> FileError:
        """Return the error that the file is damaged here."""
        return FileError(f"{self.file} is truncated, damaged or no file of dlib's: at byte {self.place}, {why}")

    def number(self) -> int:
        """Read a whole number: a byte with the number of bytes, and 128 for a minus, then these, the lowest first."""
        head = bytes(self.file.data[self.place : self.place + 1])
        size = head[0] & 15 if head else 0
        data = bytes(self.file.data[self.place + 1 : self.place + 1 + size])
        if not 1 <= size <= 8 or len(data) < size or head[0] & 112:
            raise self.damaged("a whole number was expected")
        self.place += 1 + size
        return int.from_bytes(data, "little") * (-1 if head[0] & 128 else 1)

    def tensor(self) -> Tensor:
        """Read a tensor, in a row: its version, which is 2, four sizes, and float32 numbers, the lowest byte first."""
        version, *sizes = (self.number() for _ in range(5))
        if version != 2 or not all(0 < size < 2**31 for size in sizes):
            raise self.damaged(f"a tensor of version {version} and sizes {sizes} was not expected")
        count = 1
        for size in sizes:
            count *= size
        if 4 * count > len(self.file.data) - self.place:
            raise self.damaged(f"a tensor of {count:,} numbers ends after the file")
        numbers = bytearray(self.file.data[self.place : self.place + 4 * count])
        self.place += 4 * count
        return torch.frombuffer(numbers, dtype=torch.float32)
