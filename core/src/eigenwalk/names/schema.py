"""What a row of an index must say, and what is wrong with an index: pydantic, so only ``eigenwalk index check`` asks.

    findings = found_in(Path("registry.toml"))      # empty: the index is well

The packages themselves are not looked at, and nothing is imported or fetched.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from eigenwalk.errors import FileError
from eigenwalk.names.index import TABLES, Index, normal_name

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
RESERVED: Mapping[str, str] = {
    "file": "file(…) is a function in a file",
    "open": "open(…) is a generator's file",
    "davidson": "a solver of the core",
    "dense": "a solver of the core",
    "nullspace": "a solver of the core",
}
"""Names that the core itself gives a meaning."""
UNSAID = ("", "?", "-", "n/a", "none", "tbd", "todo", "unknown", "other", "see website")
"""Words that say nothing about a licence; where there are no weights, it is ``no weights``."""
OURS = "plugins/"
"""What a homepage in the shipped index may begin with: a folder of the repository that the index lies in."""
CLOSE = 0.9
"""How alike the names of two distributions must be for one to be taken for the other."""


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]", text):
        raise ValueError("must be the name of a distribution, such as eigenwalk-hair: letters, digits, '-', '_', '.'")
    if normal_name(text) == "eigenwalk":
        raise ValueError("is the core itself: name the plugin's distribution")
    return text


def _spdx(text: str) -> str:
    try:
        canonical = canonicalize_license_expression(text)
    except InvalidLicenseExpression as error:
        raise ValueError(f"must be an SPDX expression, such as MIT or LicenseRef-My-Own: {error}") from error
    if canonical != text:
        raise ValueError(f"is written {canonical!r} in SPDX")
    return text


def _said(text: str) -> str:
    if text.strip().lower() in UNSAID:
        raise ValueError("must name the licence of the weights, or say 'no weights'")
    return text


def _homepage(text: str) -> str:
    if not re.fullmatch(rf"https://[^\s/]+\.\S+|{OURS}[\w-]+", text):
        raise ValueError("must be the https:// address of the project")
    return text


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion as error:
        raise ValueError("must be the version that was checked, such as 0.1.0") from error
    return text


def _past(day: date) -> date:
    if day > date.today():
        raise ValueError("lies in the future")
    return day


Line = Annotated[str, Field(min_length=1, max_length=160, pattern=r"^\S([^\n]*\S)?$")]


class Row(BaseModel):
    """What every row says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    distribution: Annotated[str, AfterValidator(_name)]
    summary: Line
    licence: Annotated[str, AfterValidator(_spdx)]
    weights_licence: Annotated[Line, AfterValidator(_said)]
    homepage: Annotated[str, AfterValidator(_homepage)]
    api: Annotated[int, Field(ge=1)]
    checked: Annotated[str, AfterValidator(_version)]
    checked_on: Annotated[date, AfterValidator(_past)]
    findings: list[Line]


class FeatureRow(Row):
    """What the row of a feature says: also its kind and its unit."""

    kind: Literal["feature", "projection"]
    unit: Line


class GeneratorRow(Row):
    """What the row of a generator says: also the formats of files that it opens, where it opens any."""

    reads: list[Line] = []


class DirectionRow(Row):
    """What the row of a way to choose directions says."""


MODELS: Mapping[str, type[Row]] = {"features": FeatureRow, "generators": GeneratorRow, "directions": DirectionRow}


@dataclass(frozen=True)
class Found:
    """One thing that is wrong with an index: in which line, about which row, and what to do."""

    line: int
    row: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.row}: {self.text}" if self.row else f"line {self.line}: {self.text}"


def found_in(path: Path, others: Sequence[Index] = ()) -> list[Found]:
    """What is wrong with the index at `path`, in the order of its lines; `others` are those that it is used with.

    Raises:
        FileError: it cannot be read, or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise FileError(f"the index {path} cannot be read: {error}") from error
    lines = _lines(text)
    found = [Found(1, "", f"table [{name}] is none of {', '.join(TABLES)}") for name in tables if name not in TABLES]
    for table in TABLES:
        rows = tables.get(table, {})
        if not isinstance(rows, dict):
            found.append(Found(1, table, f"must be a table of rows: [{table}.name]"))
            continue
        for name, row in rows.items():
            texts = [*_fields(table, row), *_naming(table, name, tables), *_against(table, name, row, others)]
            found += [Found(lines.get((table, name), 1), f"{table}.{name}", text) for text in texts]
    found += [Found(1, "", text) for text in _spellings(tables)]
    return sorted(found, key=lambda one: one.line)


def _fields(table: str, row: Any) -> Iterator[str]:
    """What the schema says of one row."""
    try:
        MODELS[table].model_validate(row)
    except ValidationError as error:
        missing = [str(one["loc"][0]) for one in error.errors() if one["type"] == "missing"]
        if missing:
            yield f"it lacks {', '.join(missing)}"
        for one in error.errors():
            where = ".".join(map(str, one["loc"])) or "the row"
            if one["type"] == "missing":
                continue
            if one["type"] == "extra_forbidden":
                known = MODELS[table].model_fields
                near = difflib.get_close_matches(where, known, 1)
                yield f"{where} is no field of {table}" + (f"; did you mean {near[0]}?" if near else "")
            else:
                message = one["msg"].removeprefix("Value error, ")
                message = message[:1].lower() + message[1:]
                yield f"{where} {message}, got {one['input']!r:.60}"


def _naming(table: str, name: str, tables: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a name among those of its own index."""
    if not NAME.fullmatch(name):
        yield "must be dotted words such as fourier.low: letters, digits, '_'"
    if name in RESERVED:
        yield f"is a name of the core: {RESERVED[name]}"
    for other in TABLES:
        rows = tables.get(other, {})
        for same in rows if isinstance(rows, dict) else ():
            alike = same.lower().replace("_", "") == name.lower().replace("_", "")
            if alike and (other, same) != (table, name):
                yield (
                    f"stands beside {other}.{same}: one name, one meaning"
                    if same == name
                    else (f"can hardly be told from {other}.{same}")
                )


def _against(table: str, name: str, row: Any, others: Sequence[Index]) -> Iterator[str]:
    """What is wrong with a row beside the rows of other indexes."""
    distribution = row.get("distribution") if isinstance(row, dict) else None
    if not isinstance(distribution, str):
        return
    if others and str(row.get("homepage", "")).startswith(OURS):
        yield "homepage must be the https:// address of the project"
    for index in others:
        for kind, entry in index.entries():
            where = entry.listed_in or "the shipped index"
            if entry.name == name and (
                f"{kind}s" != table or normal_name(entry.distribution) != normal_name(distribution)
            ):
                yield f"shadows {kind} {name} of {entry.distribution} in {where}"
        known = {normal_name(entry.distribution) for _, entry in index.entries()}
        near = difflib.get_close_matches(normal_name(distribution), known, 1, CLOSE)
        if near and near[0] != normal_name(distribution):
            yield f"distribution {distribution!r} can be taken for {near[0]!r} of another index"


def _spellings(tables: Mapping[str, Any]) -> Iterator[str]:
    """The distributions whose name is written in two ways."""
    spelt: dict[str, set[str]] = {}
    for table in TABLES:
        rows = tables.get(table, {})
        for row in rows.values() if isinstance(rows, dict) else ():
            name = row.get("distribution") if isinstance(row, dict) else None
            if isinstance(name, str):
                spelt.setdefault(normal_name(name), set()).add(name)
    for names in spelt.values():
        if len(names) > 1:
            yield f"one distribution is written in several ways: {', '.join(sorted(names))}"


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The line of every row's head, counted from 1."""
    heads = {}
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r'\s*\[\s*(\w+)\s*\.\s*(?:"([^"]+)"|\'([^\']+)\'|([\w-]+))\s*\]', line)
        if head:
            heads[head[1], head[2] or head[3] or head[4]] = number
    return heads
