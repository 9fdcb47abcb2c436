"""``eigenwalk features``, ``generators`` and ``weights list``: what is installed, a name to a line, or as JSON.

Plain text, so that it can be piped; torch, typer and rich are not imported, and no weights are read.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from eigenwalk.cli.terminal import clean, raw
from eigenwalk.names.registry import Registry

if TYPE_CHECKING:
    from eigenwalk.names.registry import Offer
    from eigenwalk.weights import Item

BOLD, DIM = "1", "2"
COLOURS = {"present": "32", "unchecked": "33", "partial": "33", "damaged": "31", "missing": DIM}
"""The colour of each state of a file."""


def print_quietly(print_all: Callable[[], None]) -> None:
    """Call `print_all`, and end quietly where the reader of a pipe has gone (`| head`)."""
    try:
        print_all()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def features() -> None:
    """List the features that installed plugins offer: name, unit, what it is, who provides it."""
    registry = Registry.discover()
    offers = registry.features
    rows = [(_name(one, offers), one.spec.unit, one.spec.summary, one.provider) for one in offers]
    _print(rows, registry, "no installed plugin offers features")


def generators() -> None:
    """List the generators that installed plugins offer: name, latent spaces, what it is, who provides it."""
    registry = Registry.discover()
    offers = registry.generators
    rows = [(_name(one, offers), ", ".join(one.spec.spaces), one.spec.summary, one.provider) for one in offers]
    _print(rows, registry, "no installed plugin offers generators")


def weights() -> None:
    """List every file of weights: the names that need it, the file, its size, state and licence."""
    from eigenwalk.store import megabytes
    from eigenwalk.weights import all_items

    registry = Registry.discover()
    items, rows = all_items(registry), []
    for item in items:
        one, state = item.weights, item.state() + ("" if item.fetchable else ", in the package")
        rows.append((item.names[0], one.file, megabytes(one.size), state, one.licence))
        rows += [(name, "", "", "", "") for name in item.names[1:]]
    heads = [("needed by", "file", "size", "state", "licence")] if sys.stdout.isatty() and rows else []
    _print([*heads, *rows], registry, "no installed plugin declares weights", right=2)


def weights_json() -> None:
    """Print every file of weights as one JSON list of objects."""
    from eigenwalk.weights import all_items

    print(json.dumps([_describe(item) for item in all_items()], indent=2, ensure_ascii=False))


def _describe(item: Item) -> dict[str, Any]:
    """Return what is known of a file of weights, for JSON."""
    from eigenwalk.store import expected_sha256

    weights = item.weights
    return {
        "names": list(item.names),
        "option": list(weights.option) if weights.option else None,
        "distribution": item.distribution,
        "file": weights.file,
        "path": str(item.place),
        "size": weights.size,
        "sha256": expected_sha256(weights),
        "licence": weights.licence,
        "url": weights.url,
        "packaged": not item.fetchable,
        "state": item.state(),
    }


def _name(offer: Offer[Any], offers: Sequence[Offer[Any]]) -> str:
    """The name as it must be written: with its package where two offer it."""
    count = Counter(other.name for other in offers)[offer.name]
    return offer.name if count == 1 else f'{offer.name}(package="{offer.distribution}")'


def _print(rows: Sequence[Sequence[str]], registry: Registry, empty: str, right: int | None = None) -> None:
    """Print `rows` in columns, of which `right` stands at the right; on a terminal with styles."""
    rows = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [*(cell.ljust(wide) for cell, wide in zip(row[:-1], widths, strict=False)), row[-1]]
        if right is not None:
            cells[right] = row[right].rjust(widths[right])
        if sys.stdout.isatty():
            styles = [COLOURS.get(cell.partition(",")[0], "0") for cell in row]
            styles[0], styles[-1] = BOLD, DIM
            cells = [f"\033[{style}m{cell}\033[0m" for style, cell in zip(styles, cells, strict=True)]
        print("  ".join(cells).rstrip(), file=raw(sys.stdout))
    if not rows:
        print(empty, file=sys.stderr)
    print_failures(registry)


def print_failures(registry: Registry) -> None:
    """Print on standard error how many plugins failed, so that what they offer is missing."""
    if registry.failures:
        count = len(registry.failures)
        plural = "s" if count > 1 else ""
        print(f"{count} failure{plural} of plugins, so names may be missing: eigenwalk doctor", file=sys.stderr)
