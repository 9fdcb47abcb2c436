"""The files of weights that installed plugins declare: the names that need them, their places, their state."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from eigenwalk import store
from eigenwalk.errors import UnknownName, WeightsError
from eigenwalk.names.expression import parse_either
from eigenwalk.names.options import by_keyword, factory_options
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.names.tree import Call, Chain, Complement, Held, Weighted
from eigenwalk.spec import Weights

State = Literal["present", "unchecked", "damaged", "partial", "missing"]
"""State of a file: present with the right sum; present, but not hashed yet or without a known sum; with another
sum or size; fetched in part; not here."""


@dataclass(frozen=True)
class Item:
    """One file of weights.

    Attributes:
        weights: as its plugin declares it.
        names: the expressions that need it, such as ``identity(pretrained=vggface2)``.
        distribution: that of the plugin.
        package: the top-level Python package of the plugin, inside which it may ship.
    """

    weights: Weights
    names: tuple[str, ...]
    distribution: str
    package: str

    @property
    def fetchable(self) -> bool:
        """Whether it lies in the store; otherwise it ships inside the package."""
        return self.weights.source is not None

    @property
    def place(self) -> Path | Traversable:
        """Where the file lies, or would lie."""
        if self.fetchable:
            return store.place(self.weights)
        return files(self.package).joinpath(*self.weights.file.split("/"))

    def state(self) -> State:
        """Return the state of the file, as far as it is known without reading it."""
        place = self.place
        if not place.is_file():
            return "partial" if isinstance(place, Path) and store.part(place).is_file() else "missing"
        if not isinstance(place, Path):  # in an archive: there it has no size of its own to look at
            return "unchecked"
        if self.weights.sha256 is not None and place.stat().st_size != self.weights.size:
            return "damaged"
        if not self.fetchable:
            return "present"
        found, expected = store.known_sha256(place), store.expected_sha256(self.weights)
        if found is None or expected is None:
            return "unchecked"
        return "present" if found == expected else "damaged"

    def verify(self) -> State:
        """Hash the file again, and return its state.

        Raises:
            WeightsError: it cannot be read.
        """
        place, expected = self.place, store.expected_sha256(self.weights)
        if not place.is_file():
            return self.state()
        if self.fetchable:
            found = store.sha256_of(Path(str(place)), again=True)
        else:
            try:
                with place.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            except OSError as error:
                raise WeightsError(f"{place} cannot be read: {error.strerror}") from error
        return "unchecked" if expected is None else "present" if found == expected else "damaged"


def declared_items(offer: Offer[Any]) -> tuple[Item, ...]:
    """Return every file that one offer declares."""
    return _merge(_item(offer, weights, False) for weights in offer.spec.weights)


def all_items(registry: Registry | None = None) -> tuple[Item, ...]:
    """Return every file that an installed feature or generator declares, in the order of the plugins' names."""
    registry = registry or Registry.discover()
    offers: list[Offer[Any]] = [*registry.features, *registry.generators]
    twice = Counter(offer.name for offer in offers)
    return _merge(
        _item(offer, weights, twice[offer.name] > 1)
        for offer in sorted(offers, key=lambda offer: offer.distribution)
        for weights in offer.spec.weights
    )


def needed_items(
    expressions: str | Iterable[str], registry: Registry | None = None, whole: bool = False
) -> tuple[Item, ...]:
    """Return the files that `expressions` of features or generators need, including those inside packages.

    Options that are not given have their defaults, and required ones may be left out. `whole`: every file of each
    name, whatever the options are.

    Raises:
        ExpressionError: a text does not parse.
        UnknownName, AmbiguousName: no installed plugin offers a name, or two do.
        OptionError: an option that is unknown or of the wrong type.
    """
    registry = registry or Registry.discover()
    found: list[Item] = []
    for text in [expressions] if isinstance(expressions, str) else expressions:
        for offer, call in _offers(parse_either(text), registry):
            spec = offer.spec
            needed = spec.weights if whole else spec.needed(factory_options(call.options))
            found += [_item(offer, weights, call.package is not None) for weights in needed]
    return _merge(found)


def _item(offer: Offer[Any], weights: Weights, picked: bool) -> Item:
    options = (*([weights.option] if weights.option else []), *([("package", offer.distribution)] if picked else []))
    top = offer.spec.load.partition(":")[0].partition(".")[0]
    return Item(weights, (str(Call(offer.name, options=tuple(options))),), offer.distribution, top)


def _merge(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return one item per file, since several features may need the same one."""
    found: dict[tuple[Weights, str], Item] = {}
    for item in items:
        key = (replace(item.weights, option=None, unless=None), item.distribution)
        before = found.get(key)
        names = dict.fromkeys((*before.names, *item.names)) if before else item.names
        found[key] = replace(before or item, names=tuple(names))
    return tuple(found.values())


def _offers(node: Any, registry: Registry) -> Iterator[tuple[Offer[Any], Call]]:
    """Yield every name of the tree as its offer and a call, with the given options by keyword."""
    if isinstance(node, (Held, Weighted, Complement)):
        yield from _offers(node.inner, registry)
    elif isinstance(node, Chain):
        for part in node.parts:
            yield from _offers(part, registry)
    elif isinstance(node, Call) and node.name != "file":
        offer = _offer(node, registry)
        lenient = replace(offer.spec, options=tuple(replace(option, required=False) for option in offer.spec.options))
        call = by_keyword(node, lenient)
        yield offer, call
        for _, value in call.options:
            yield from _offers(value, registry)


def _offer(call: Call, registry: Registry) -> Offer[Any]:
    """Return the one offer of a name among features, then generators; raises as for a feature if neither has it."""
    try:
        return registry.feature(call.name, call.package)
    except UnknownName:
        if registry.kind_of(call.name, ["generator"]) or call.name in registry.index.generators:
            return registry.generator(call.name, call.package)
        raise
