"""The curated index: which distribution provides which name, installed or not.

The index is ``registry.toml``, shipped inside this package; the file of that name at the root of the repository is a
link to it. `EIGENWALK_INDEX` adds others: paths and http(s) addresses, separated by commas, paths also as in ``PATH``.
Where several list a name, the first of `EIGENWALK_INDEX` counts, and the shipped one comes last. What an address holds
is read from the user's cache, where ``eigenwalk index update`` puts it: nothing here opens a connection.

Listed is not audited: an entry says who offers a name, not that its code is harmless.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from eigenwalk.errors import FileError
from eigenwalk.store import cache_folder

INDEX = "EIGENWALK_INDEX"
TABLES = ("features", "generators", "directions")
SHIPPED = Path(__file__).parents[1] / "registry.toml"
NOT_AUDITED = "Listed is not audited: an index says who offers a name, not that the code is harmless."


def normal_name(distribution: str) -> str:
    """The distribution's name as package tools compare it: lower case, runs of ``-_.`` as one hyphen."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@dataclass(frozen=True)
class Entry:
    """One name of the index and the distribution that provides it.

    Attributes:
        kind, unit: of a feature, as its spec says.
        licence: of the code, an SPDX expression.
        weights_licence: of its weights, in words; "no weights" where it has none.
        homepage: address of its project.
        api: version of the contracts that it speaks.
        checked, checked_on, findings: which version was checked, when, and what was found.
        reads: formats of the files that a generator opens, in words.
        listed_in: the index that lists it: path, address, or nothing for the shipped one.
    """

    name: str
    distribution: str
    summary: str = ""
    kind: str = ""
    unit: str = ""
    licence: str = ""
    weights_licence: str = ""
    homepage: str = ""
    api: int = 1
    checked: str = ""
    checked_on: date | None = None
    findings: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    listed_in: str = ""


_TYPES: Mapping[str, type] = {"api": int, "checked_on": date, "findings": list, "reads": list}
_FIELDS = tuple(one.name for one in fields(Entry) if one.name not in ("name", "listed_in"))


@dataclass(frozen=True)
class Index:
    """Every name that is known to exist, by table: features, generators, directions.

    `problems` says which indexes could not be read, and why.
    """

    features: Mapping[str, Entry] = field(default_factory=dict)
    generators: Mapping[str, Entry] = field(default_factory=dict)
    directions: Mapping[str, Entry] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, listed_in: str = "") -> Index:
        """The index in the TOML file at `path`; fields that this version does not know are left out.

        Raises:
            FileError: the file is missing, is not TOML, or an entry lacks its distribution.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FileError(f"the index {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise FileError(f"the index {path} cannot be read: {error}") from error
        features, generators, directions = (_entries(path, one, tables.get(one, {}), listed_in) for one in TABLES)
        return cls(MappingProxyType(features), MappingProxyType(generators), MappingProxyType(directions))

    def entries(self) -> tuple[tuple[str, Entry], ...]:
        """Every entry with the word for what it is: feature, generator, direction."""
        return tuple((table[:-1], entry) for table in TABLES for entry in getattr(self, table).values())

    def names_of(self, distribution: str) -> tuple[str, ...]:
        """Every name that `distribution` provides, sorted."""
        wanted = normal_name(distribution)
        return tuple(sorted({entry.name for _, entry in self.entries() if normal_name(entry.distribution) == wanted}))


def _entries(path: Path, table: str, rows: Any, listed_in: str) -> dict[str, Entry]:
    entries = {}
    for name, row in rows.items() if isinstance(rows, dict) else ():
        if not isinstance(row, dict) or not isinstance(row.get("distribution"), str):
            raise FileError(f"{path}: [{table}.{name!r}] must have a distribution: what to install for it")
        given: dict[str, Any] = {key: row[key] for key in _FIELDS if key in row}
        for key, value in given.items():
            wanted = _TYPES.get(key, str)
            if not isinstance(value, wanted):
                raise FileError(f"{path}: {key} of [{table}.{name!r}] must be a {wanted.__name__}, got {value!r:.80}")
        given |= {key: tuple(map(str, value)) for key, value in given.items() if isinstance(value, list)}
        entries[name] = Entry(name=name, listed_in=listed_in, **given)
    return entries


@cache
def shipped() -> Index:
    """The index that this version of eigenwalk ships."""
    return Index.read(SHIPPED)


def known() -> Index:
    """The indexes of `EIGENWALK_INDEX` and the shipped one as one; what cannot be read is among its problems."""
    found, problems = [], []
    for place in places(os.environ.get(INDEX, "")):
        try:
            found.append(Index.read(file_of(place), place))
        except FileError as error:
            remedy = ": eigenwalk index update fetches it" if is_address(place) else f": {INDEX} names it"
            problems.append(f"{error}{remedy}")
    return replace(merged([*found, shipped()]), problems=tuple(problems)) if found or problems else shipped()


def merged(indexes: Iterable[Index]) -> Index:
    """One index of all; where several list a name, the first counts."""
    features, generators, directions = {}, {}, {}
    for index in reversed(list(indexes)):
        features |= index.features
        generators |= index.generators
        directions |= index.directions
    return Index(MappingProxyType(features), MappingProxyType(generators), MappingProxyType(directions))


def places(text: str) -> tuple[str, ...]:
    """The paths and addresses that `text` lists, in their order; an address ends at a comma.

    >>> places("https://example.org:8080/index.toml, /a.toml")
    ('https://example.org:8080/index.toml', '/a.toml')
    """
    found: list[str] = []
    for part in text.split(","):
        address = re.search(r"https?://.*", part)
        paths = part[: address.start()] if address else part
        found += [*paths.split(os.pathsep), *([address[0]] if address else [])]
    return tuple(dict.fromkeys(place.strip() for place in found if place.strip()))


def is_address(place: str) -> bool:
    """Whether `place` is an http(s) address, not a path."""
    return place.startswith(("https://", "http://"))


def file_of(place: str) -> Path:
    """Where the index of `place` is read from: the path, or for an address its copy in the user's cache."""
    if not is_address(place):
        return Path(place).expanduser()
    return cache_folder() / "index" / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.toml"
