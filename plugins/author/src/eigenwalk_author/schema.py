"""What a row of an index must say, and what is wrong with one; pydantic, so only ``eigenwalk index check`` imports it.

    faults = check_index(Path("registry.toml"))      # empty: the index is well

The packages themselves are not looked at, and nothing is imported or fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from eigenwalk.names.index import DISTRIBUTION, OURS, TABLES, Index, normal_name
from eigenwalk.names.methods import METHODS
from eigenwalk.names.near import nearest
from eigenwalk.textfile import parse_toml, read_text

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
COMMAND = re.compile(r"[a-z][\w-]*( [a-z][\w-]*)?")
"""A command, or one of a group of the core."""
RESERVED: Mapping[str, str] = {
    "file": "file(…) is a function in a file",
    "open": "open(…) is a generator's file",
    **dict.fromkeys(METHODS, "a solver of the core"),
}
"""Names that the core itself gives a meaning."""
UNSAID = ("", "?", "-", "n/a", "none", "tbd", "todo", "unknown", "other", "see website")
"""Words that say nothing about a licence; where there are no weights, it is ``no weights``."""
CLOSE = 0.9
"""How alike the names of two distributions must be for one to be taken for the other."""


def _check_distribution(text: str) -> str:
    if not DISTRIBUTION.fullmatch(text):
        raise ValueError("must be the name of a distribution, such as eigenwalk-hair: letters, digits, '-', '_', '.'")
    if normal_name(text) == "eigenwalk":
        raise ValueError("is the core itself: name the plugin's distribution")
    return text


def _check_spdx(text: str) -> str:
    try:
        canonical = canonicalize_license_expression(text)
    except InvalidLicenseExpression as error:
        raise ValueError(f"must be an SPDX expression, such as MIT or LicenseRef-My-Own: {error}") from error
    if canonical != text:
        raise ValueError(f"is written {canonical!r} in SPDX")
    return text


def _check_words(text: str) -> str:
    if text.strip().lower() in UNSAID:
        raise ValueError("must name the licence of the weights, or say 'no weights'")
    return text


def _check_homepage(text: str) -> str:
    if not re.fullmatch(rf"https://[^\s/]+\.\S+|{OURS}[\w-]+", text):
        raise ValueError("must be the https:// address of the project")
    return text


def _check_version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion as error:
        raise ValueError("must be the version that was checked, such as 0.1.0") from error
    return text


def _check_date(day: date) -> date:
    if day > date.today():
        raise ValueError("lies in the future")
    return day


Line = Annotated[str, Field(min_length=1, max_length=160, pattern=r"^\S([^\n]*\S)?$")]


class Row(BaseModel):
    """What every row says; `libraries` are of the shipped index alone."""

    model_config = ConfigDict(extra="forbid", strict=True)

    distribution: Annotated[str, AfterValidator(_check_distribution)]
    summary: Line
    licence: Annotated[str, AfterValidator(_check_spdx)]
    weights_licence: Annotated[Line, AfterValidator(_check_words)]
    homepage: Annotated[str, AfterValidator(_check_homepage)]
    api: Annotated[int, Field(ge=1)]
    checked: Annotated[str, AfterValidator(_check_version)]
    checked_on: Annotated[date, AfterValidator(_check_date)]
    findings: list[Line]
    libraries: list[Annotated[str, Field(pattern=rf"^{OURS}[\w-]+$")]] = []


class FeatureRow(Row):
    """What the row of a feature says: also its kind and its unit."""

    kind: Literal["feature", "projection"]
    unit: Line


class GeneratorRow(Row):
    """What the row of a generator says: also the formats of files that it opens, where it opens any."""

    reads: list[Line] = []


MODELS: Mapping[str, type[Row]] = {"features": FeatureRow, "generators": GeneratorRow}
"""What the rows of a table say, where that is more than every row does."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an index: in which line, about which row, and what to do."""

    line: int
    row: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.row}: {self.text}" if self.row else f"line {self.line}: {self.text}"


def check_index(path: Path, others: Sequence[Index] = ()) -> list[Fault]:
    """Return what is wrong with the index at `path`, by line; `others` are those that it is used with.

    Raises:
        FileError: it cannot be read, or is not TOML.
    """
    text = read_text(path, "index")
    tables = parse_toml(text, f"the index {path}")
    faults = [Fault(1, "", f"table [{name}] is none of {', '.join(TABLES)}") for name in tables if name not in TABLES]
    lines, rows = _lines(text), list(_rows(tables))
    for table, name, row in rows:
        if not name:
            faults.append(Fault(1, table, f"must be a table of rows: [{table}.name]"))
            continue
        texts = [*_field_faults(table, row), *_name_faults(table, name, rows), *_rivals(table, name, row, others)]
        faults += [Fault(lines.get((table, name), 1), f"{table}.{name}", text) for text in texts]
    faults += [Fault(1, "", text) for text in _spellings(rows)]
    return sorted(faults, key=lambda fault: fault.line)


def _rows(tables: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield table, name and row of every row; a table that is none has one row without a name."""
    for table in TABLES:
        rows = tables.get(table, {})
        for name, row in rows.items() if isinstance(rows, dict) else [("", {})]:
            yield table, name, row if isinstance(row, dict) else {}


def _field_faults(table: str, row: dict[str, Any]) -> Iterator[str]:
    """What the schema says of one row."""
    model = MODELS.get(table, Row)
    try:
        model.model_validate(row)
    except ValidationError as error:
        missing = [str(one["loc"][0]) for one in error.errors() if one["type"] == "missing"]
        if missing:
            yield f"it lacks {', '.join(missing)}"
        for one in error.errors():
            where = ".".join(map(str, one["loc"]))
            if one["type"] == "extra_forbidden":
                near = nearest(where, model.model_fields)
                yield f"{where} is no field of {table}" + (f"; did you mean {near[0]}?" if near else "")
            elif one["type"] != "missing":
                message = one["msg"].removeprefix("Value error, ")
                yield f"{where} {message[:1].lower()}{message[1:]}, got {one['input']!r:.60}"


def _name_faults(table: str, name: str, rows: Sequence[tuple[str, str, Any]]) -> Iterator[str]:
    """What is wrong with a name among those of its own index; commands have names of their own."""
    if table == "commands":
        if not COMMAND.fullmatch(name):
            yield "must be one word, or a group of eigenwalk's and one word"
    elif not NAME.fullmatch(name):
        yield "must be dotted words such as fourier.low: letters, digits, '_'"
    if name in RESERVED and table != "commands":
        yield f"is a name of the core: {RESERVED[name]}"
    for other, same, _ in rows:
        alike = same.lower().replace("_", "") == name.lower().replace("_", "")
        if alike and (other, same) != (table, name) and (other == "commands") == (table == "commands"):
            if same == name:
                yield f"stands beside {other}.{same}: one name, one meaning"
            else:
                yield f"can hardly be told from {other}.{same}"


def _rivals(table: str, name: str, row: Mapping[str, Any], others: Sequence[Index]) -> Iterator[str]:
    """What is wrong with a row beside the rows of other indexes."""
    distribution = row.get("distribution")
    if not isinstance(distribution, str):
        return
    if others and str(row.get("homepage", "")).startswith(OURS):
        yield "homepage must be the https:// address of the project"
    for index in others:
        for kind, entry in index.entries():
            same = f"{kind}s" == table and normal_name(entry.distribution) == normal_name(distribution)
            if entry.name == name and not same and (kind == "command") == (table == "commands"):
                where = entry.listed_in or "the shipped index"
                yield f"shadows {kind} {name} of {entry.distribution} in {where}"
        known = {normal_name(entry.distribution) for _, entry in index.entries()}
        near = nearest(normal_name(distribution), known, alike=CLOSE)
        if near and near[0] != normal_name(distribution):
            yield f"distribution {distribution!r} can be taken for {near[0]!r} of another index"


def _spellings(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Iterator[str]:
    """The distributions whose name is written in two ways."""
    spelt: dict[str, set[str]] = {}
    for _, _, row in rows:
        name = row.get("distribution")
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
