"""The folder of a data set, local or remote: files that appear whole, and a record for every shard that is done.

dataset.json   the plan; recipe.toml, the recipe of its first seed
data/, pairs/  the shards
shards/        a record for each: its existence says that the shard is done
README.md      the card; sheet.jpg, its contact sheet
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from eigenwalk.errors import FileError, InputError, OutputError, reason
from eigenwalk.runs.outputs.lock import Lock
from eigenwalk.sealed import json_text, seal, unseal
from eigenwalk.store import write_whole
from eigenwalk_dataset.plan import Order, Plan

PLAN, RECIPE, CARD, SHEET, RECORDS = "dataset.json", "recipe.toml", "README.md", "sheet.jpg", "shards"
OLD = 3600.0
"""Seconds after which an unfinished small file belongs to nobody."""


@dataclass(frozen=True)
class Record:
    """What is known of a shard that is done.

    Attributes:
        index: of the shard.
        plan: the digest of the plan that it was made by.
        files: by name, the bytes and the SHA-256 of each.
        tally: what became of its paths; see `eigenwalk_dataset.tally.Tally`.
        batch: rows in one generator call, the plan's unless the shard had failed before.
        made: when, where, how fast and with which versions: all that may differ between two makers of a shard.
    """

    index: int
    plan: str
    files: Mapping[str, Mapping[str, Any]]
    tally: Mapping[str, Any]
    batch: int
    made: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return the record as JSON, sealed: it says whether it is whole."""
        return json_text(seal(asdict(self)))

    @classmethod
    def parse(cls, text: bytes, name: str) -> Record:
        """Return the record in a file's text; raises FileError if it is damaged."""
        entries = unseal(text, name)
        try:
            return cls(**{key: value for key, value in entries.items() if key not in ("sum", "format")})
        except TypeError:
            raise FileError(f"{name} is damaged: it has other entries than a record") from None


class Folder:
    """A data set's folder: a path, or an address that fsspec knows, such as ``s3://bucket/hair`` or ``memory://hair``.

    Raises:
        InputError: nobody here can write to such an address.
    """

    def __init__(self, address: str):
        try:
            self.fs, self.root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"--out {address!r} cannot be opened: {error}") from None
        self.address = address
        self.local = Path(self.root) if isinstance(self.fs, LocalFileSystem) else None

    def __str__(self) -> str:
        return self.address

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file; None if there is none."""
        try:
            return self.fs.cat_file(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FileError(f"cannot read {self}/{name}: {reason(error)}") from error

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file, whole or not at all."""
        data = data.encode() if isinstance(data, str) else data
        with self._blame(name):
            if self.local is None:
                self.fs.makedirs(os.path.dirname(f"{self.root}/{name}"), exist_ok=True)
                self.fs.pipe_file(f"{self.root}/{name}", data)
                return
            (self.local / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.local / name, data)

    def publish(self, part: Path, name: str) -> None:
        """Let the local file `part` become `name`: renamed where the folder is local, else uploaded."""
        with self._blame(name):
            if self.local is not None:
                with open(part, "rb+") as file:
                    os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
                os.replace(part, self.local / name)
                return
            self.fs.makedirs(os.path.dirname(f"{self.root}/{name}"), exist_ok=True)
            self.fs.put_file(str(part), f"{self.root}/{name}")
            if self.fs.size(f"{self.root}/{name}") != part.stat().st_size:
                raise OutputError(f"{self}/{name} did not arrive whole")

    def parts(self, index: int, temporary: Path) -> Path:
        """Return the folder for the unfinished files of a shard: on the disk of the data set, where it has one."""
        if self.local is None:
            return temporary
        place = self.local / RECORDS
        with self._blame(RECORDS):
            for name in ("data", "pairs", RECORDS):
                (self.local / name).mkdir(parents=True, exist_ok=True)
            for left in place.glob(f".{index:05d}-*"):  # of a maker that was killed
                left.unlink(missing_ok=True)
        return place

    @contextmanager
    def claim(self, index: int) -> Iterator[bool]:
        """Give the exclusive right to make a shard, or False: another process of this data set is making it.

        Remote folders have no locks: there two makers may make the same shard, which is then the same.
        """
        if self.local is None:
            yield True
            return
        (self.local / RECORDS).mkdir(parents=True, exist_ok=True)
        try:
            lock = Lock(self.local / RECORDS, f".{index:05d}.lock")
        except OutputError:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def open_plan(self, order: Order) -> Plan | None:
        """Return the plan in the folder; None if there is none yet.

        Raises:
            OutputError: the folder holds another data set, or something else.
            FileError: the plan is damaged.
        """
        if (data := self.read(PLAN)) is None:
            if any(not name.startswith(".") for name, _ in self._list("")):  # those are of a driver that was killed
                raise OutputError(f"{self} is not empty and holds no data set: give another folder with --out")
            return None
        plan = Plan.parse(data.decode("utf-8", "replace"), f"{self}/{PLAN}")
        plan.check_same(order, str(self))
        return replace(plan, order=order)

    def begin(self, plan: Plan) -> Plan:
        """Write the plan, unless another driver was faster; return the one that counts."""
        if self.local is None:
            self.write(PLAN, plan.text())
        else:
            self.local.mkdir(parents=True, exist_ok=True)
            part = self.local / f".{secrets.token_hex(8)}.part"
            with self._blame(PLAN), suppress(FileExistsError):
                try:
                    write_whole(part, plan.text())
                    os.link(part, self.local / PLAN)  # fails where there is one
                finally:
                    part.unlink(missing_ok=True)
        counts = self.open_plan(plan.order)
        assert counts is not None
        self.write_recipe(counts)
        return counts

    def write_recipe(self, plan: Plan) -> None:
        """Write the recipe of the first seed, unless it is there: whoever wrote the plan may have been killed."""
        if not self.read(RECIPE):
            self.write(RECIPE, plan.recipe().text())

    def record(self, record: Record) -> None:
        """Say that a shard is done."""
        self.write(record_name(record.index), record.text())

    def done(self) -> list[int]:
        """Return the shards that have a record."""
        names = (os.path.basename(name) for name, _ in self._list(RECORDS))
        return sorted(int(name.removesuffix(".json")) for name in names if re.fullmatch(r"\d+\.json", name))

    def records(self, plan: Plan, part: tuple[int, int] = (1, 1)) -> tuple[dict[int, Record], dict[int, str]]:
        """Return the record of every shard of part i of n that is done, and what is wrong with those that are damaged.

        A part reads its own records alone: of many jobs that begin together, each would otherwise read all of them.
        """
        indices = [index for index in self.done() if index % part[1] == part[0] - 1]
        names = [record_name(index) for index in indices]
        texts = self.fs.cat([f"{self.root}/{name}" for name in names], on_error="return") if names else {}
        texts = {os.path.basename(place): text for place, text in texts.items()}
        sizes = {name: size for part in ("data", "pairs") for name, size in self._list(part)}
        found, wrong = {}, {}
        for index, name in zip(indices, names, strict=True):
            text = texts[os.path.basename(name)]
            try:
                record = Record.parse(text if isinstance(text, bytes) else b"", name)  # or what hindered reading it
            except FileError:
                wrong[index] = f"{name} is damaged"
                continue
            said = [_differs(one, entry["bytes"], sizes.get(one)) for one, entry in record.files.items()]
            said += [] if record.plan == plan.digest else [f"{name} belongs to another plan"]
            if says := "; ".join(filter(None, said)):
                wrong[index] = says
            else:
                found[index] = record
        return found, wrong

    def forget(self, index: int) -> None:
        """Say that a shard is not done."""
        with self._blame(record_name(index)), suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.root}/{record_name(index)}")

    def is_done(self, index: int) -> bool:
        """Whether a shard has a record."""
        return self.fs.exists(f"{self.root}/{record_name(index)}")

    def check(self, record: Record) -> str:
        """Read a shard's files and say which is not as it was written; "" if all are."""
        for name, entry in record.files.items():
            data = self.read(name)
            if data is None or hashlib.sha256(data).hexdigest() != entry["sha256"]:
                return f"{name} is not as it was written"
        return ""

    def tidy(self) -> None:
        """Remove what drivers and makers that were killed left behind."""
        if self.local is not None:
            for left in [*self.local.glob(".*.part"), *(self.local / RECORDS).glob(".*.part")]:
                with suppress(OSError):  # a young one may be another driver's, which is about to rename it
                    if time.time() - left.stat().st_mtime > OLD:
                        left.unlink()
            for index in {int(left.name[1:].partition("-")[0]) for left in (self.local / RECORDS).glob(".[0-9]*-*")}:
                with self.claim(index) as mine, suppress(OSError):
                    if mine:
                        self.parts(index, self.local)

    def _list(self, part: str) -> list[tuple[str, int]]:
        place = f"{self.root}/{part}".rstrip("/")
        try:
            rows = (
                self.fs.ls(place, detail=True, refresh=True) if self.local is None else self.fs.ls(place, detail=True)
            )
        except (FileNotFoundError, NotADirectoryError):
            return []
        prefix = f"{part}/" if part else ""
        return [(f"{prefix}{os.path.basename(row['name'].rstrip('/'))}", row.get("size") or 0) for row in rows]

    @contextmanager
    def _blame(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {self}/{name}: {reason(error)}; the same command goes on") from error


def record_name(index: int) -> str:
    """Return the name of a shard's record."""
    return f"{RECORDS}/{index:05d}.json"


def _differs(name: str, wanted: int, size: int | None) -> str:
    return "" if size == wanted else f"{name} is missing" if size is None else f"{name} has {size} bytes, not {wanted}"
