"""Write what a distribution offers, and whether that keeps the contract, as JSON.

This file is run by itself, inside the environment that a wheel is tried in: the core there may be another version.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any


def main(distribution: str, cases: str, answer: str) -> None:
    """Write to the file `answer` what the plugin `distribution` offers, and the kit's reports on the `cases` file."""
    from eigenwalk.names.index import normal_name
    from eigenwalk.names.registry import Registry
    from eigenwalk_testing.case import Case
    from eigenwalk_testing.kit import check, names

    registry, own = Registry.discover(), normal_name(distribution)
    kinds = ("feature", "generator", "direction")
    offers = [
        (kind, one) for kind in kinds for one in getattr(registry, f"{kind}s") if normal_name(one.distribution) == own
    ]
    todo: list[Any] = _load_cases(cases) if cases else []
    covered = {name for case in todo for name in names(case, registry)}
    bare = [one.spec for _, one in offers if one.name not in covered]
    todo += [Case(spec.name) for spec in bare if not any(option.required for option in spec.options)]
    reports = []
    for case in todo:
        print(f"checking {case}", flush=True)
        reports.append(check(case, registry).as_dict() | {"names": sorted(names(case, registry))})
    answers = {
        "core": metadata.version("eigenwalk"),
        "inside": Path(str(metadata.distribution(distribution).locate_file("")))
        .resolve()
        .is_relative_to(Path(sys.prefix).resolve()),
        "offers": [_offer(kind, one.spec) for kind, one in offers],
        "failures": [str(one) for one in registry.failures if normal_name(one.distribution) == own],
        "unchecked": [spec.name for spec in bare if any(option.required for option in spec.options)],
        "reports": reports,
    }
    Path(answer).write_text(json.dumps(answers), encoding="utf-8")


def _load_cases(file: str) -> list[Any]:
    """Return CASES of a Python file."""
    sys.path.insert(0, str(Path(file).parent))
    spec = importlib.util.spec_from_file_location("cases", file)
    assert spec and spec.loader
    sys.modules["cases"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.CASES)


def _offer(kind: str, spec: Any) -> dict[str, Any]:
    """Return the fields of a name's row in the index that its spec knows."""
    row = {"table": f"{kind}s", "name": spec.name, "summary": spec.summary, "api": spec.api}
    if kind == "feature":
        row |= {"kind": spec.kind, "unit": spec.unit}
    return row | {"weights": [asdict(weights)["licence"] for weights in spec.weights]}


if __name__ == "__main__":
    main(*sys.argv[1:])
