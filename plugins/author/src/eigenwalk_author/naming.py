"""The names of a package, its module, its class, and of what it offers. No torch here.

>>> naming("My.Feature").distribution, naming("My.Feature").name, naming("hair-colour").class_name
('eigenwalk-my-feature', 'my_feature', 'HairColour')
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass

from eigenwalk.errors import InputError
from eigenwalk.names.index import normal_name
from eigenwalk.names.near import nearest
from eigenwalk.names.registry import Registry
from eigenwalk_author.schema import NAME, RESERVED

PREFIX = "eigenwalk-"
DISTRIBUTION = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
LITERALS = ("true", "false", "package")
"""Words with a meaning in expressions that are not keywords of Python."""


@dataclass(frozen=True)
class Naming:
    """The names of a package.

    Attributes:
        distribution: as pip installs it, in its normal form, beginning with ``eigenwalk-``.
        package: as Python imports it.
        name: as expressions write it.
        class_name: of what the name stands for.
    """

    distribution: str
    package: str
    name: str
    class_name: str


def naming(text: str, name: str | None = None) -> Naming:
    """Return the names that follow from `text`, a distribution's name with or without ``eigenwalk-``.

    `name` is what expressions will write; by default it follows from `text`.

    Raises:
        InputError: `text` cannot name a distribution, or `name` cannot stand in an expression.
    """
    if not DISTRIBUTION.fullmatch(text) or not text.isascii():
        raise InputError(
            f"{text!r} cannot name a distribution: letters, digits, '-', '_' and '.', a letter or digit at both ends, "
            "such as hair-colour"
        )
    own = normal_name(text).removeprefix(PREFIX)
    if own == "eigenwalk":
        raise InputError("eigenwalk is the core itself: name what the package measures, such as hair-colour")
    distribution = PREFIX + own
    name = own.replace("-", "_") if name is None else name
    _check_name(name, text)
    words = re.split(r"[._]", name)
    class_name = "".join(word[:1].upper() + word[1:] for word in words)
    return Naming(distribution, distribution.replace("-", "_"), name, class_name)


def _check_name(name: str, text: str) -> None:
    """Raise InputError if expressions cannot write `name`."""
    parts = name.split(".")
    if not NAME.fullmatch(name) or not name.isascii():
        remedy = "say which with --name, such as --name colour.moments"
        raise InputError(f"{name!r} (of {text!r}) cannot stand in an expression: dotted words are needed; {remedy}")
    if any(keyword.iskeyword(part) or part in LITERALS for part in parts):
        raise InputError(f"{name!r} has a word with a meaning of its own in expressions: choose another with --name")
    if name in RESERVED:
        raise InputError(f"{name!r} is a name of the core ({RESERVED[name]}): choose another with --name")


def objections(named: Naming, registry: Registry) -> Iterator[str]:
    """Yield the clashes of `named` with names that are installed or indexed here."""
    for kind in ("feature", "generator", "direction"):
        for offer in getattr(registry, f"{kind}s"):
            if offer.name == named.name and normal_name(offer.distribution) != named.distribution:
                yield (
                    f"{kind} {named.name!r} is offered by {offer.distribution}, installed here: whoever has both must "
                    f'write {named.name}(package="{named.distribution}"); --name picks another name'
                )
    for kind, entry in registry.index.entries():
        if entry.name == named.name and normal_name(entry.distribution) != named.distribution:
            yield f"{kind} {named.name!r} of {entry.distribution} is in the index: --name picks another name"
    known = {normal_name(entry.distribution) for _, entry in registry.index.entries()}
    if named.distribution in known:
        yield f"{named.distribution} is in the index: another package has that name"
    elif near := nearest(named.distribution, known, alike=0.9):
        yield f"{named.distribution} can be taken for {near[0]}, which is in the index"
