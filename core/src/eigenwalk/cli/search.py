"""``eigenwalk search``: what exists, installed or not, by words."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from eigenwalk.cli.catalogue import print_failures
from eigenwalk.cli.errors import console, warn
from eigenwalk.names.index import NOT_AUDITED, Entry
from eigenwalk.names.near import nearest
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.spec import API

NOTHING = 1
EXACT, BEGINS, IN_NAME, CHOICE, IN_SUMMARY, IN_REST, NEAR = 100, 60, 40, 30, 20, 8, 5
"""What a word is worth by where it stands: it is a part of the name, begins one, stands in one, is a value of an
option, stands in the summary, in unit, kind or distribution, or is nearly a part of the name."""
ALIKE = 0.75


@dataclass(frozen=True)
class Known:
    """One name that is installed, listed, or both.

    `table` is feature, generator, direction or command; `version` that of the installed distribution, or ""; `choices`
    the values that its options choose from, where it is installed.
    """

    table: str
    entry: Entry
    version: str = ""
    choices: tuple[str, ...] = ()


def search(
    words: Annotated[list[str] | None, typer.Argument(help="Words in names, summaries or units; none: all.")] = None,
) -> None:
    """Search features, generators, directions and commands by words: installed ones and listed ones.

    Exits with 1 where nothing is found.
    """
    registry = Registry.discover()
    out = console()
    found = rank(all_names(registry), list(words or ()))
    wide = max((len(one.entry.name) for one in found), default=0)
    for one in found:
        entry = one.entry
        what = entry.unit or one.table
        values = [word for word in words or () if word.lower() in one.choices]
        value = f"; a value of its options: {', '.join(values)}" if values else ""
        out.print(Text.assemble((f"{entry.name:<{wide}}  ", "bold"), entry.summary, (f"  [{what}]{value}", "dim")))
        style = "green" if one.version else "dim"
        out.print(Text.assemble(" " * (wide + 2), (_state(one), style)))
    for problem in registry.index.problems:
        warn(problem)
    print_failures(registry)
    if not found:
        print(f"nothing is known of {' '.join(words or ())!r}: eigenwalk search lists everything", file=sys.stderr)
        raise typer.Exit(NOTHING)
    if any(not one.version for one in found):
        print(NOT_AUDITED, file=sys.stderr)


def _state(known: Known) -> str:
    entry = known.entry
    by = {"": "", "not listed": ", not listed"}.get(entry.listed_in, f", listed by {entry.listed_in}")
    if known.version:
        return f"installed: {entry.distribution} {known.version}{by}"
    if entry.api > API:
        return f"needs a later eigenwalk (contracts {entry.api}, this speaks {API}): {entry.distribution}{by}"
    return f"eigenwalk install {entry.name}  ({entry.distribution}{by})"


def all_names(registry: Registry) -> list[Known]:
    """Return every name that is installed or listed, once for each distribution that offers it."""
    found: dict[tuple[str, str, str], Known] = {}
    for table in ("feature", "generator", "direction", "command"):
        offers: tuple[Offer, ...] = getattr(registry, f"{table}s")
        listed = getattr(registry.index, f"{table}s")
        for offer in offers:
            spec, row = offer.spec, listed.get(offer.name)
            where = row.listed_in if row and row.distribution == offer.distribution else "not listed"
            unit, kind = getattr(spec, "unit", ""), getattr(spec, "kind", "")
            licence = getattr(spec, "licence", "")
            entry = Entry(offer.name, offer.distribution, spec.summary, kind, unit, licence, listed_in=where)
            choices = tuple(choice for option in getattr(spec, "options", ()) for choice in option.choices)
            found[table, offer.name, offer.distribution] = Known(table, entry, offer.version, choices)
        for entry in listed.values():
            found.setdefault((table, entry.name, entry.distribution), Known(table, entry))
    return list(found.values())


def rank(known: list[Known], words: list[str]) -> list[Known]:
    """Return those of `known` that every one of `words` finds, best first; without words all, by name."""
    scored = [(sum(scores), one) for one in known if all(scores := [_score(one, word.lower()) for word in words])]
    return [one for _, one in sorted(scored, key=lambda pair: (-pair[0], pair[1].entry.name))]


def _score(known: Known, word: str) -> int:
    entry = known.entry
    name, summary = entry.name.lower(), entry.summary.lower()
    parts = [name, *name.replace("_", ".").split(".")]
    if word in parts:
        return EXACT
    if any(part.startswith(word) for part in parts):
        return BEGINS
    if word in name:
        return IN_NAME
    if word in known.choices:
        return CHOICE
    if word in summary:
        return IN_SUMMARY
    if any(word in text.lower() for text in (entry.unit, entry.kind, entry.distribution, known.table)):
        return IN_REST
    return NEAR if nearest(word, parts, alike=ALIKE) else 0
