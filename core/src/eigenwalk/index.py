"""The curated index: which distribution provides which name, installed or not.

The index is ``registry.toml``, shipped inside this package; the file of that name at the root of the
repository is a link to it. It lists what exists, so that an unknown name can be answered with the
command that installs it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from eigenwalk.errors import FileError

TABLES = ("features", "generators", "directions")
SHIPPED = Path(__file__).with_name("registry.toml")


def normalised(distribution: str) -> str:
    """The distribution's name as package tools compare it: lower case, runs of ``-_.`` as one hyphen."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@dataclass(frozen=True)
class Entry:
    """One name of the index and the distribution that provides it."""

    name: str
    distribution: str
    summary: str = ""
    kind: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Index:
    """Every name that is known to exist, by table: features, generators, directions."""

    features: Mapping[str, Entry] = field(default_factory=dict)
    generators: Mapping[str, Entry] = field(default_factory=dict)
    directions: Mapping[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Index:
        """The index in the TOML file at `path`.

        Raises:
            FileError: the file is missing, is not TOML, or an entry lacks its distribution.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FileError(f"the index {path} cannot be read: {error}") from error
        return cls(**{table: MappingProxyType(_entries(path, table, tables.get(table, {}))) for table in TABLES})

    def names_of(self, distribution: str) -> tuple[str, ...]:
        """Every name that `distribution` provides, sorted."""
        wanted = normalised(distribution)
        entries = (entry for table in TABLES for entry in getattr(self, table).values())
        return tuple(sorted({entry.name for entry in entries if normalised(entry.distribution) == wanted}))


def _entries(path: Path, table: str, rows: Any) -> dict[str, Entry]:
    entries = {}
    for name, row in rows.items() if isinstance(rows, dict) else ():
        try:
            entries[name] = Entry(name=name, **row)
        except TypeError as error:
            raise FileError(
                f"{path}: [{table}.{name!r}] must have a distribution, and may have summary, kind and unit: {error}"
            ) from error
    return entries


@cache
def shipped() -> Index:
    """The index that this version of eigenwalk ships."""
    return Index.read(SHIPPED)
