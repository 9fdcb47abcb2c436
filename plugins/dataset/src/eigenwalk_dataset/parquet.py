"""Shards in Parquet, one file for each configuration, with row groups that stream and statistics to filter by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from eigenwalk.errors import FileError
from eigenwalk_dataset.plan import Plan
from eigenwalk_dataset.schema import IMAGE, schemas

ROWS, BYTES = 256, 32 << 20
"""Of a row group, at most, and of its pictures: what a reader takes into memory at once."""
WORDS = {"path", "status", "detail", "held.list.element", "varied.list.element"}
"""Columns of few different texts."""


class ParquetShard:
    """Writes a shard's files; rows wait until they fill a row group."""

    def __init__(self, plan: Plan, files: Mapping[str, Path], metadata: Mapping[str, str]):
        self.files, self.counts = files, dict.fromkeys(files, 0)
        self.waiting: dict[str, list[Mapping[str, Any]]] = {name: [] for name in files}
        self.room = dict.fromkeys(files, BYTES)
        self.schemas = {
            name: schema.with_metadata({**(schema.metadata or {}), **metadata})
            for name, schema in schemas(plan).items()
        }
        self.stack = ExitStack()
        self.writers = {
            name: self.stack.enter_context(_writer(file, self.schemas[name])) for name, file in files.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        try:
            if kind is None:
                for name in self.files:
                    self._flush(name)
        finally:
            self.stack.close()

    def add(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add rows of each configuration."""
        for name, some in rows.items():
            for row in some:
                self.waiting[name].append(row)
                self.room[name] -= sum(len(cell["bytes"]) for cell in row.values() if isinstance(cell, dict))
                if len(self.waiting[name]) == ROWS or self.room[name] <= 0:
                    self._flush(name)

    def _flush(self, name: str) -> None:
        rows = self.waiting[name]
        if not rows:  # `datasets` reads in batches as large as the first row group, and refuses an empty one
            return
        self.writers[name].write_table(pa.Table.from_pylist(rows, self.schemas[name]), row_group_size=ROWS)
        self.counts[name] += len(rows)
        self.waiting[name], self.room[name] = [], BYTES

    def check(self) -> None:
        """Read the files back, every page against its checksum; raises FileError unless all rows are there."""
        for name, file in self.files.items():
            rows = sum(len(batch) for batch in _read(file))
            if rows != self.counts[name]:
                raise FileError(f"{file.name} has {rows} rows of {self.counts[name]} after it was written")


def pictures(data: pa.BufferReader, most: int) -> Iterator[tuple[bytes, bytes, Mapping[str, Any]]]:
    """Yield the encoded pictures and the row of the first pairs in a file of pairs, `most` of them."""
    file = pq.ParquetFile(data, page_checksum_verification=True)
    for batch in file.iter_batches(most, columns=["before", "after", "path", "moved"]):
        for row in batch.to_pylist():
            yield row["before"]["bytes"], row["after"]["bytes"], row
        return


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    leaves = [leaf for column in schema for leaf in _leaves(column)]
    # pyarrow's annotations know only one setting for all columns.
    options: dict[str, Any] = {
        "compression": {leaf: "NONE" if leaf.endswith(".bytes") else "ZSTD" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf in WORDS],
        "write_statistics": [leaf for leaf in leaves if "." not in leaf],
    }
    return pq.ParquetWriter(str(file), schema, write_page_checksum=True, **options)


def _leaves(column: pa.Field) -> list[str]:
    if column.type == IMAGE:
        return [f"{column.name}.bytes", f"{column.name}.path"]
    return [f"{column.name}.list.element"] if pa.types.is_list(column.type) or _is_fixed(column.type) else [column.name]


def _is_fixed(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind)


def _read(file: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            yield from opened.iter_batches(ROWS, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{file.name} cannot be read back after it was written: {error}") from error
