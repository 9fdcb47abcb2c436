"""The rows to propose for the index of names, from what a wheel says and what was found where it was tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import tomli_w

from eigenwalk.names.index import shipped_index
from eigenwalk.names.schema import check_index
from eigenwalk_author.trial import Told
from eigenwalk_author.wheel import Wheel

LONGEST = 160
"""Characters of a finding in the index."""


def entry(wheel: Wheel, told: Told, day: date) -> str:
    """The rows as TOML, a table for each name."""
    tables: dict[str, dict[str, Any]] = {}
    for offer in told.offers:
        row = {"distribution": wheel.distribution, "summary": offer["summary"]}
        row |= {key: offer[key] for key in ("kind", "unit") if key in offer}
        row |= {
            "licence": wheel.licence,
            "weights_licence": ", ".join(dict.fromkeys(offer["weights"])) or "no weights",
            "homepage": wheel.homepage,
            "api": offer["api"],
            "checked": wheel.version,
            "checked_on": day,
            "findings": list(findings(offer["name"], told.reports)),
        }
        tables.setdefault(offer["table"], {})[offer["name"]] = row
    return tomli_w.dumps(tables)


def findings(name: str, reports: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """What the kit found of `name` that is not as the contract wants it, whether that was foretold or not."""
    for report in reports:
        if name in report["names"]:
            for one in report["findings"]:
                if one["outcome"] in ("failed", "expected"):
                    yield " ".join(f"{report['name']}: {one['check']}: {one['measured']}".split())[:LONGEST].strip()


def lacks(file: Path) -> list[str]:
    """What the index would refuse of the rows in `file`."""
    return [str(one) for one in check_index(file, [shipped_index()])]
