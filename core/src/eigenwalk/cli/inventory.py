"""``eigenwalk weights list``: every file that installed plugins declare, a file to a line, or as JSON.

Plain text, so that it can be piped; torch, typer and rich are not imported, and no file is read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from eigenwalk import store
from eigenwalk.cli.catalogue import print_failures
from eigenwalk.cli.terminal import clean, raw
from eigenwalk.names.registry import Registry
from eigenwalk.weights import Item, every

COLOURS = {"present": "32", "unchecked": "33", "partial": "33", "damaged": "31", "missing": "2"}


def print_table() -> None:
    """List every file of weights: the names that need it, the file, its size, state and licence."""
    registry = Registry.discover()
    items = every(registry)
    rows = [
        tuple(map(clean, (item.names[0], one.file, store.megabytes(one.size), state(item), one.licence)))
        for item in items
        for one in (item.weights,)
    ]
    heads = ("needed by", "file", "size", "state", "licence")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    colour, out = sys.stdout.isatty(), raw(sys.stdout)
    if colour and rows:
        print("\033[2m" + _line(heads, widths) + "\033[0m", file=out)
    for item, row in zip(items, rows, strict=True):
        line = _line(row, widths)
        cell = f"{row[3]:<{widths[3]}}"
        print(line.replace(cell, f"\033[{COLOURS[item.state()]}m{cell}\033[0m", 1) if colour else line, file=out)
        for name in item.names[1:]:
            print(name)
    if not rows:
        print("no installed plugin declares weights", file=sys.stderr)
    print_failures(registry)


def print_json() -> None:
    """Print every file of weights as one JSON list of objects."""
    print(json.dumps([describe(item) for item in every()], indent=2, ensure_ascii=False))


def describe(item: Item) -> dict[str, Any]:
    """Return what is known of `item`, for JSON."""
    weights = item.weights
    return {
        "names": list(item.names),
        "option": list(weights.option) if weights.option else None,
        "distribution": item.distribution,
        "file": weights.file,
        "path": str(item.place),
        "size": weights.size,
        "sha256": store.sum_of(weights),
        "licence": weights.licence,
        "url": weights.url,
        "packaged": not item.fetchable,
        "state": item.state(),
    }


def state(item: Item) -> str:
    """Return the state of `item` in words."""
    return item.state() if item.fetchable else f"{item.state()}, in the package"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    size = f"{row[2]:>{widths[2]}}"
    cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
    return "  ".join([*cells[:2], size, *cells[3:]]).rstrip()
