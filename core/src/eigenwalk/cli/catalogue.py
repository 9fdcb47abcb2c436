"""``eigenwalk features`` and ``eigenwalk generators``: what is installed, a name to a line.

Plain text, so that it can be piped; torch, typer and rich are not imported.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from eigenwalk.cli.terminal import clean, raw

if TYPE_CHECKING:
    from eigenwalk.names.registry import Offer, Registry


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
    from eigenwalk.names.registry import Registry

    registry = Registry.discover()
    rows = [
        (_name(offer, registry.features), offer.spec.unit, offer.spec.summary, _who(offer))
        for offer in registry.features
    ]
    _print(rows, "features", registry)


def generators() -> None:
    """List the generators that installed plugins offer: name, latent spaces, what it is, who provides it."""
    from eigenwalk.names.registry import Registry

    registry = Registry.discover()
    offers = registry.generators
    rows = [(_name(offer, offers), ", ".join(offer.spec.spaces), offer.spec.summary, _who(offer)) for offer in offers]
    _print(rows, "generators", registry)


def _name(offer: Offer[Any], offers: Sequence[Offer[Any]]) -> str:
    """The name as it must be written: with its package where two offer it."""
    count = Counter(other.name for other in offers)[offer.name]
    return offer.name if count == 1 else f'{offer.name}(package="{offer.distribution}")'


def _who(offer: Offer[Any]) -> str:
    return f"{offer.distribution} {offer.version}"


def _print(rows: Sequence[Sequence[str]], what: str, registry: Registry) -> None:
    rows = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    bold, quiet, plain = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
    for name, unit, summary, who in rows:
        line = f"{bold}{name:<{widths[0]}}{plain}  {unit:<{widths[1]}}  {summary:<{widths[2]}}  {quiet}{who}{plain}"
        print(line.rstrip(), file=raw(sys.stdout))
    if not rows:
        print(f"no installed plugin offers {what}", file=sys.stderr)
    print_failures(registry)


def print_failures(registry: Registry) -> None:
    """Print on standard error how many plugins failed, so that what they offer is missing."""
    if registry.failures:
        count = len(registry.failures)
        plural = "s" if count > 1 else ""
        print(f"{count} failure{plural} of plugins, so names may be missing: eigenwalk doctor", file=sys.stderr)
