"""Expressions -> feature objects: the fixed and the varied set, and the generator.

    composition = compose(["rooms.part(sofa) < 0.02"], ["~rooms.part(sofa)"], Registry.discover())
    generator, used = build_generator("rooms", registry)

Names and options are checked before any factory is imported, so that a typing error is answered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eigenwalk.checkpoint import Checkpoint, sharing
from eigenwalk.direction import Directions
from eigenwalk.errors import CompositionError, InputError
from eigenwalk.feature import Feature, Projection, chain
from eigenwalk.generator import Generator
from eigenwalk.names.expression import (
    Call,
    Chain,
    Complement,
    Expression,
    Held,
    Node,
    Open,
    Weighted,
    parse,
    parse_generator,
)
from eigenwalk.names.options import by_keyword, factory_options, opened_by_keyword
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.names.resolve import CHAINED, INVERTED, check_sets, feature_offer, not_a_projection, package, resolve
from eigenwalk.objects.build import Used, check_generator, feature_from_file, generator_from_file, made
from eigenwalk.spec import GeneratorSpec

__all__ = ["Composition", "Term", "Used", "build_feature", "build_generator", "compose", "resolve"]

Built = dict[Call, tuple[Feature, tuple[Used, ...]]]
"""What names were built into, and what was used for each."""


@dataclass(frozen=True)
class Term:
    """One feature of a set. `text` is canonical and says the feature alone; `str()` adds tolerance or weight."""

    text: str
    feature: Feature
    tolerance: float | None = None
    weight: float = 1.0
    used: tuple[Used, ...] = ()

    def __str__(self) -> str:
        node = _weighted(self.text)[0]
        if self.tolerance is not None:
            return str(Held(node, self.tolerance))
        return self.text if self.weight == 1.0 else str(Weighted(self.weight, node))


@dataclass(frozen=True)
class Composition:
    """What stays fixed, each with its tolerance, and what varies, each with its weight."""

    fixed: tuple[Term, ...]
    varied: tuple[Term, ...]


def compose(fixed: Sequence[str | Term], varied: Sequence[str | Term], registry: Registry) -> Composition:
    """The features named in `fixed` and `varied`, checked against each other, then built.

    A `Term` among them is taken as it is: a feature that somebody has as an object.

    Raises:
        InputError: an expression, a name, an option or the two sets are wrong; see `eigenwalk.errors`.
        PluginError: a plugin's factory, or a user's file, fails.
    """
    for name, texts in (("fixed", fixed), ("varied", varied)):
        if isinstance(texts, str):
            raise InputError(f"{name} must be a list of expressions, got the text {texts!r}: write [{texts!r}]")
    if not varied:
        raise CompositionError("nothing varies: name at least one feature to vary, such as pixels")
    held = [(resolve(node, registry), tolerance) for node, tolerance in map(_held, _texts(fixed))]
    weighted = [(resolve(node, registry), weight) for node, weight in map(_weighted, _texts(varied))]
    check_sets([node for node, _ in held], [node for node, _ in weighted], registry)
    built: Built = {}
    holds = iter([_term(node, registry, built, tolerance=tolerance) for node, tolerance in held])
    varies = iter([_term(node, registry, built, weight=weight) for node, weight in weighted])
    composition = Composition(
        tuple(one if isinstance(one, Term) else next(holds) for one in fixed),
        tuple(one if isinstance(one, Term) else next(varies) for one in varied),
    )
    names = [term.text for term in (*composition.fixed, *composition.varied)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise CompositionError(f"{twice!r} is named twice: a feature is either fixed or varied, once")
    return composition


def build_feature(node: Node, registry: Registry, built: Built | None = None) -> tuple[Feature, tuple[Used, ...]]:
    """The feature that a tree stands for, and what was used for it.

    `built` keeps what names were built into: two expressions that share a name then share its object, so
    that a segmenter in ``x`` and ``~x`` is loaded once.

    Raises:
        InputError, PluginError, FileError: as `compose`.
    """
    node, built = resolve(node, registry), {} if built is None else built
    if isinstance(node, Complement):
        inner, used = build_feature(node.inner, registry, built)
        return _projection(inner, node.inner, INVERTED).complement(), used
    if isinstance(node, Chain):
        links = [build_feature(part, registry, built) for part in node.parts]
        feature = links[-1][0]
        for part, (left, _) in reversed(list(zip(node.parts[:-1], links[:-1], strict=True))):
            feature = chain(_projection(left, part, CHAINED), feature)
        return feature, tuple(dict.fromkeys(used for _, every in links for used in every))
    if node not in built and node.name == "file":
        feature, used = feature_from_file(node)
        built[node] = feature, (used,)
    elif node not in built:
        options, inner = dict(factory_options(node.options)), ()
        for name, value in options.items():
            if isinstance(value, (Call, Complement, Chain)):
                nested, used = build_feature(value, registry, built)
                options[name] = _projection(nested, value, f"option {name!r} of {node.name} takes a projection")
                inner += used
        feature, used = made(feature_offer(node, registry), node, Feature, **options)
        built[node] = feature, tuple(dict.fromkeys((used, *inner)))
    return built[node]


def build_generator(text: str, registry: Registry) -> tuple[Generator, tuple[Used, ...]]:
    """The generator that `text` names, and what was used for it.

    Raises:
        InputError: the text, the name or an option is wrong.
        FileError: the file is missing, empty, truncated, or no installed plugin recognises it.
        PluginError: the plugin's factory, or the user's file, fails or returns no `Generator`.
    """
    node = parse_generator(text)
    if isinstance(node, Open):
        with sharing():
            generator, used = _opened(node, registry)
    elif node.name == "file":
        generator, used = generator_from_file(node)
    else:
        offer = registry.generator(node.name, package(node))
        node = by_keyword(node, offer.spec)
        generator, used = made(offer, node, Generator, **factory_options(node.options))
    return check_generator(generator, str(node)), (used,)


def build_directions(text: str, registry: Registry) -> tuple[Directions, Used]:
    """The directions that `text` names, such as ``ganspace(components=20)``, and what was used for them.

    Raises:
        InputError, PluginError: as `build_generator`.
    """
    node = parse(text)
    assert isinstance(node, Call)  # a recipe holds no other
    offer = registry.direction(node.name, package(node))
    node = by_keyword(node, offer.spec)
    return made(offer, node, Directions, **factory_options(node.options))


def _opened(node: Open, registry: Registry) -> tuple[Generator, Used]:
    key = dict(node.options).get("key")
    checkpoint = Checkpoint.of(node.path, key if isinstance(key, str) else None)
    offer: Offer[GeneratorSpec] = registry.open(checkpoint)
    options = dict(opened_by_keyword(node, offer.spec).options)
    path = checkpoint if offer.reads_checkpoints else checkpoint.path
    generator, used = made(offer, None, Generator, path=path, **options)
    files = () if checkpoint.is_folder else ((node.path, checkpoint.sha256),)
    return generator, replace(used, files=files)


def _texts(items: Sequence[str | Term]) -> list[str]:
    return [one for one in items if isinstance(one, str)]


def _term(node: Node, registry: Registry, built: Built, **role: Any) -> Term:
    feature, used = build_feature(node, registry, built)
    return Term(str(node), feature, used=used, **role)


def _held(text: str) -> tuple[Node, float | None]:
    node = parse(text)
    if isinstance(node, Weighted):
        raise CompositionError(
            f"{text!r} is to stay fixed, and a weight says how much a feature varies: leave the weight out, or "
            f"give a tolerance, such as {node.inner} < 0.25"
        )
    return (node.inner, node.tolerance) if isinstance(node, Held) else (node, None)


def _weighted(text: str) -> tuple[Node, float]:
    node: Expression = parse(text)
    if isinstance(node, Held):
        raise CompositionError(
            f"{text!r} is to vary, and a tolerance says how far a fixed feature may move: leave '< …' out, or give "
            f"a weight, such as {Weighted(0.5, node.inner)}"
        )
    return (node.inner, node.weight) if isinstance(node, Weighted) else (node, 1.0)


def _projection(feature: Feature, node: Node, rule: str) -> Projection:
    if not isinstance(feature, Projection):
        raise not_a_projection(node, type(feature).__name__, rule)
    return feature
