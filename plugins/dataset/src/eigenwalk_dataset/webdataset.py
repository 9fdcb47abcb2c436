"""Shards as tar files for webdataset: a picture and a JSON file for each waypoint, two pictures for each pair."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np

from eigenwalk.errors import FileError
from eigenwalk_dataset.plan import Plan

PICTURES = {"default": ("image",), "pairs": ("before", "after")}


class TarShard:
    """Writes a shard's files. Members have no time and no owner, so that the same rows give the same bytes."""

    def __init__(self, plan: Plan, files: Mapping[str, Path], metadata: Mapping[str, str]):
        self.files, self.counts, self.stack = files, dict.fromkeys(files, 0), ExitStack()
        self.tars: dict[str, tarfile.TarFile] = {}
        for name, file in files.items():
            tar = tarfile.open(file, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - the stack closes it
            self.tars[name] = self.stack.enter_context(tar)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def add(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add rows of each configuration."""
        for name, some in rows.items():
            for row in some:
                self._add(name, dict(row))

    def _add(self, name: str, row: dict[str, Any]) -> None:
        key = row["path"] if name == "pairs" else f"{row['path']}-{row['waypoint']:03d}"
        for column in PICTURES[name]:
            image = row.pop(column)
            ending = Path(image["path"]).suffix
            middle = "" if column == "image" else f".{column}"
            self._member(name, f"{key}{middle}{ending}", image["bytes"])
        self._member(name, f"{key}.json", json.dumps(row, default=_plain, sort_keys=True).encode())

    def _member(self, name: str, member: str, data: bytes) -> None:
        info = tarfile.TarInfo(member)
        info.size = len(data)
        self.tars[name].addfile(info, io.BytesIO(data))
        self.counts[name] += 1

    def check(self) -> None:
        """Read the files back; raises FileError unless every member is there."""
        for name, file in self.files.items():
            try:
                with tarfile.open(file) as tar:
                    found = sum(len(tar.extractfile(one).read()) == one.size for one in tar)  # type: ignore[union-attr]
            except (tarfile.TarError, OSError) as error:
                raise FileError(f"{file.name} cannot be read back after it was written: {error}") from error
            if found != self.counts[name]:
                raise FileError(f"{file.name} has {found} members of {self.counts[name]} after it was written")


def pictures(data: bytes, most: int) -> Iterator[tuple[bytes, bytes, Mapping[str, Any]]]:
    """Yield the encoded pictures and the row of the first pairs in a file of pairs, `most` of them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = (tar.extractfile(member).read() for member in islice(tar, 3 * most))  # type: ignore[union-attr]
        for before, after, row in zip(members, members, members, strict=True):
            yield before, after, json.loads(row)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
