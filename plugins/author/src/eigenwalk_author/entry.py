"""The rows to propose for the index of names: what a wheel says, and what its trial showed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import tomli_w

from eigenwalk.names.index import shipped_index
from eigenwalk_author.schema import check_index
from eigenwalk_author.trial import Answer
from eigenwalk_author.wheel import Wheel

LONGEST = 160
"""Most characters of a finding in the index."""


def entry(wheel: Wheel, answer: Answer, day: date) -> str:
    """Return the rows as TOML, a table for each name."""
    tables: dict[str, dict[str, Any]] = {}
    for offer in answer.offers:
        row = {"distribution": wheel.distribution, "summary": offer["summary"]}
        row |= {key: offer[key] for key in ("kind", "unit") if key in offer}
        row |= {
            "licence": wheel.licence,
            "weights_licence": ", ".join(dict.fromkeys(offer["weights"])) or "no weights",
            "homepage": wheel.homepage,
            "api": offer["api"],
            "checked": wheel.version,
            "checked_on": day,
            "findings": list(findings(offer["name"], answer.reports)),
        }
        tables.setdefault(offer["table"], {})[offer["name"]] = row
    return tomli_w.dumps(tables)


def findings(name: str, reports: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yield where `name` breaks the contract, expected failures included."""
    for report in reports:
        if name in report["names"]:
            for one in report["findings"]:
                if one["outcome"] in ("failed", "expected"):
                    yield " ".join(f"{report['name']}: {one['check']}: {one['measured']}".split())[:LONGEST].strip()


def index_faults(file: Path) -> list[str]:
    """Return what the index would refuse in the rows of `file`."""
    return [str(one) for one in check_index(file, [shipped_index()])]
