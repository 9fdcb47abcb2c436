"""Rows of an index as tests write them, and the command line run in this process."""

from __future__ import annotations

import pytest

from eigenwalk.cli import main

ROW = {
    "distribution": '"acme-hair"',
    "summary": '"how long hair is"',
    "kind": '"feature"',
    "unit": '"logit"',
    "licence": '"MIT"',
    "weights_licence": '"no weights"',
    "homepage": '"https://example.org/hair"',
    "api": "1",
    "checked": '"1.2"',
    "checked_on": "2026-01-31",
    "findings": "[]",
}


def row(name: str = "hair", table: str = "features", **changes: str | None) -> str:
    """Return a correct row with `changes` applied; None leaves a field out."""
    fields = {key: value for key, value in (ROW | changes).items() if value is not None}
    return f"[{table}.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items()) + "\n"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(str(end.value.code or 0))
