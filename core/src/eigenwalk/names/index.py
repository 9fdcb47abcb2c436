"""The curated index: which distribution provides which name, installed or not.

The index is ``registry.toml``, shipped inside this package; the file of that name at the root of the repository is a
link to it. `EIGENWALK_INDEX` adds others: paths and http(s) addresses, separated by commas, paths also as in ``PATH``.
Where several list a name, the first of `EIGENWALK_INDEX` counts, and the shipped one comes last. An address is read
from the user's cache, where ``eigenwalk index update`` puts it: nothing here opens a connection.

Listed is not audited: an entry says who offers a name, not that its code is harmless.
"""

from __future__ import annotations

import hashlib
import os
import re
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
TABLES = ("features", "generators", "directions", "commands")
SHIPPED = Path(__file__).parents[1] / "registry.toml"
OURS = "plugins/"
"""What a homepage in the shipped index may begin with: a folder of the repository that the index lies in."""
DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The name of a distribution as PEP 508 has it: never an option, a path or an address."""
VERSION = re.compile(r"([0-9][A-Za-z0-9.+!_-]*)?")
NOT_AUDITED = "Listed is not audited: an index says who offers a name, not that the code is harmless."


def normal_name(distribution: str) -> str:
    """Return the distribution's name as package tools compare it: lower case, runs of ``-_.`` as one hyphen."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@dataclass(frozen=True)
class Entry:
    """One name of the index and the distribution that provides it.

    Attributes:
        kind, unit: of a feature, as its spec says.
        licence: of the code, an SPDX expression.
        weights_licence: of its weights, in words; "no weights" where it has none.
        homepage: address of its project, or in the shipped index its folder in the repository.
        api: version of the contracts that it speaks.
        checked, checked_on, findings: which version was checked, when, and what was found.
        reads: formats of the files that a generator opens, in words.
        libraries: folders of the repository with distributions that it depends on, beside the core.
        listed_in: the index that lists it: path, address as it may be shown, or "" for the shipped one.
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
    libraries: tuple[str, ...] = ()
    listed_in: str = ""

    @property
    def installables(self) -> tuple[str, ...]:
        """What pip is given: the distribution, or in a copy of the repository its folder, after those of its libraries.

        The distributions of the repository are on no index of packages yet.
        """
        if not self.is_ours:
            return (self.distribution,)
        root = SHIPPED.parents[3]
        here = (root / self.homepage / "pyproject.toml").is_file()
        return tuple(str(root / one) if here else f"./{one}" for one in (*self.libraries, self.homepage))

    @property
    def is_ours(self) -> bool:
        """Whether the distribution lies in eigenwalk's own repository."""
        return not self.listed_in and self.homepage.startswith(OURS)

    @property
    def pip_line(self) -> str:
        """The command that installs it, in words."""
        what = " ".join(self.installables)
        where = ", in a copy of eigenwalk's repository" if what.startswith("./") else ""
        return f"pip install {what}{where}"


_TYPES: Mapping[str, type] = {"api": int, "checked_on": date, "findings": list, "reads": list, "libraries": list}
_FIELDS = tuple(one.name for one in fields(Entry) if one.name not in ("name", "listed_in"))


@dataclass(frozen=True)
class Index:
    """Every name that is known to exist, by table.

    `problems` says which indexes could not be read, and why.
    """

    features: Mapping[str, Entry] = field(default_factory=dict)
    generators: Mapping[str, Entry] = field(default_factory=dict)
    directions: Mapping[str, Entry] = field(default_factory=dict)
    commands: Mapping[str, Entry] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, listed_in: str = "") -> Index:
        """Read the index in the TOML file at `path`; fields that this version does not know are left out.

        Raises:
            FileError: the file is missing, is not TOML, or an entry lacks its distribution.
        """
        from eigenwalk.textfile import read_text  # listing installed names reads no index

        return cls.parse(read_text(path, "index"), f"the index {path}", listed_in)

    @classmethod
    def parse(cls, text: str, source: str, listed_in: str = "") -> Index:
        """Read the index in `text`; `source` names it in messages. Raises as `read` does."""
        from eigenwalk.textfile import parse_toml

        tables = parse_toml(text, source)
        read: dict[str, Any] = {one: _entries(source, one, tables.get(one, {}), listed_in) for one in TABLES}
        return cls(**read)

    def entries(self) -> tuple[tuple[str, Entry], ...]:
        """Return every entry with the word for what it is: feature, generator, direction, command."""
        return tuple((table[:-1], entry) for table in TABLES for entry in getattr(self, table).values())

    def names_of(self, distribution: str) -> tuple[str, ...]:
        """Return every name that `distribution` provides, sorted."""
        wanted = normal_name(distribution)
        return tuple(sorted({entry.name for _, entry in self.entries() if normal_name(entry.distribution) == wanted}))


def _entries(source: str, table: str, rows: Any, listed_in: str) -> Mapping[str, Entry]:
    entries = {}
    for name, row in rows.items() if isinstance(rows, dict) else ():
        given: dict[str, Any] = {key: row[key] for key in _FIELDS if key in row} if isinstance(row, dict) else {}
        for key, value in given.items():
            wanted = _TYPES.get(key, str)
            if not isinstance(value, wanted):
                raise FileError(f"{source}: {key} of [{table}.{name!r}] must be a {wanted.__name__}, got {value!r:.80}")
        if not DISTRIBUTION.fullmatch(given.get("distribution", "")) or not VERSION.fullmatch(given.get("checked", "")):
            raise FileError(
                f"{source}: [{table}.{name!r}] must have a distribution, the name of what to install for it, and as "
                f"checked a version, got {given.get('distribution', '')!r:.60}, {given.get('checked', '')!r:.60}"
            )
        given |= {key: tuple(map(str, value)) for key, value in given.items() if isinstance(value, list)}
        entries[name] = Entry(name=name, listed_in=listed_in, **given)
    return MappingProxyType(entries)


@cache
def shipped_index() -> Index:
    """Return the index that this version of eigenwalk ships."""
    return Index.read(SHIPPED)


def known_index() -> Index:
    """Return the indexes of `EIGENWALK_INDEX` and the shipped one as one, with the problems met."""
    found, problems = [], []
    for place in places(os.environ.get(INDEX, "")):
        try:
            found.append(Index.read(file_of(place), without_password(place)))
        except FileError as error:
            remedy = "eigenwalk index update fetches it" if is_address(place) else f"{INDEX} names it"
            problems.append(f"{error}: {remedy}")
    return replace(merge([*found, shipped_index()]), problems=tuple(problems))


def merge(indexes: Iterable[Index]) -> Index:
    """Return one index of all; where several list a name, the first counts."""
    tables: dict[str, Any] = {table: {} for table in TABLES}
    for index in reversed(list(indexes)):
        for table, entries in tables.items():
            entries |= getattr(index, table)
    return Index(**tables)


def places(text: str) -> tuple[str, ...]:
    """Return the paths and addresses that `text` lists, in their order; an address ends at a comma.

    >>> places("https://example.org:8080/index.toml, /a.toml")
    ('https://example.org:8080/index.toml', '/a.toml')
    """
    found: list[str] = []
    for part in text.split(","):
        address = re.search(r"https?://.*", part)
        paths = part[: address.start()] if address else part
        found += [*paths.split(os.pathsep), *([address[0]] if address else [])]
    return tuple(dict.fromkeys(place.strip() for place in found if place.strip()))


def without_password(text: str) -> str:
    """Return `text` as it may be shown: its addresses without user, password and query.

    >>> without_password("https://me:secret@example.org/index.toml?token=1, /a.toml")
    'https://example.org/index.toml, /a.toml'
    """
    return re.sub(r"(https?://)(?:[^/\s,]*@)?([^?#\s,]*)[^\s,]*", r"\1\2", text)


def is_address(place: str) -> bool:
    """Whether `place` is an http(s) address, not a path."""
    return place.startswith(("https://", "http://"))


def file_of(place: str) -> Path:
    """Return the file that the index of `place` is read from: of an address, its copy in the user's cache."""
    if not is_address(place):
        return Path(place).expanduser()
    return cache_folder() / "index" / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.toml"
