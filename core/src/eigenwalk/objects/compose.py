"""Trees -> objects: the fixed and the varied set, the generator, directions.

    composition = compose(["rooms.part(sofa) < 0.02"], ["~rooms.part(sofa)"], Registry.discover())
    generator, used = build_generator("rooms", registry)

What is text is parsed, and what is not resolved is resolved; names and options are then right before any factory is
imported, so that a typing error is answered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eigenwalk.checkpoint import sharing
from eigenwalk.direction import Method
from eigenwalk.errors import ContractError
from eigenwalk.feature import Feature, FunctionFeature, Projection, chain
from eigenwalk.generator import Generator
from eigenwalk.names.expression import as_tree, parse_generator
from eigenwalk.names.methods import METHODS
from eigenwalk.names.options import factory_options
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import (
    CHAINED,
    INVERTED,
    is_resolved,
    not_a_projection,
    resolve,
    resolve_directions,
    resolve_generator,
    resolve_sets,
)
from eigenwalk.names.tree import Call, Chain, Complement, Expression, Held, Instance, Node, Open, Weighted, bare
from eigenwalk.objects.build import Used, build, check_generator, feature_from_file, generator_from_file, open_generator

__all__ = ["Built", "Composition", "Term", "Used", "build_feature", "build_generator", "compose", "resolve"]

Built = dict[Any, tuple[Any, tuple[Used, ...]]]
"""The objects that calls were built into, and what was used for each; a generator stands under ("generator", tree)."""


@dataclass(frozen=True)
class Term:
    """One feature of a set; `text` is the canonical text of the feature alone."""

    text: str
    feature: Feature
    tolerance: float | None = None
    weight: float = 1.0
    used: tuple[Used, ...] = ()


@dataclass(frozen=True)
class Composition:
    """What stays fixed, each with its tolerance, and what varies, each with its weight."""

    fixed: tuple[Term, ...]
    varied: tuple[Term, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """All of them, the fixed ones first."""
        return (*self.fixed, *self.varied)


def compose(fixed: Sequence[Any], varied: Sequence[Any], registry: Registry, built: Built | None = None) -> Composition:
    """Build the features of `fixed` and `varied`: expressions, trees, `Feature` objects or functions of images.

    What `built` holds already is taken from there, and what is new is put there.

    Raises:
        InputError: an expression, a name, an option or the two sets are wrong; see `resolve_sets`.
        PluginError: a plugin's factory, or a user's file, fails.
    """
    fixed, varied = resolve_sets(fixed, varied, registry)
    built = {} if built is None else built
    return Composition(tuple(_term(node, built) for node in fixed), tuple(_term(node, built) for node in varied))


def build_feature(node: Node, registry: Registry, built: Built | None = None) -> tuple[Feature, tuple[Used, ...]]:
    """Return the feature that a tree stands for, and what was used for it; `built` and errors as of `compose`."""
    return _build(node if is_resolved(node) else resolve(node, registry), {} if built is None else built)


def build_generator(what: Any, registry: Registry, built: Built | None = None) -> tuple[Generator, tuple[Used, ...]]:
    """Return the generator of `what`, text, a tree or an object, and what was used for it; see `compose` for `built`.

    Raises:
        InputError: the text, the name or an option is wrong.
        FileError: the file is missing, empty, truncated, or no installed plugin recognises it.
        PluginError: the plugin's factory, or the user's file, fails or returns no `Generator`.
    """
    with sharing():
        node = resolve_generator(as_tree(what, parse_generator), registry)
        if isinstance(node, Instance):
            if not isinstance(node.object, Generator):
                raise ContractError(f"generator must be a Generator or its name, got {node.object!r:.80}")
            return check_generator(node.object, node.name), ()
        if built is not None and ("generator", node) in built:
            return built["generator", node]
        if isinstance(node, Open):
            generator, used = open_generator(node)
        elif node.name == "file":
            generator, used = generator_from_file(node)
        else:
            generator, used = build(node.offer, node, Generator, **factory_options(node.options))
    found = check_generator(generator, str(node)), (used,)
    if built is not None:
        built["generator", node] = found
    return found


def build_method(what: Any, registry: Registry) -> tuple[Method, tuple[Used, ...]]:
    """Return the method of `what`, such as ``outward`` or ``ganspace(components=20)``; raises as `build_generator`."""
    node = as_tree(what)
    if isinstance(node, Call) and node.name in METHODS:
        return METHODS[node.name].factory()(), ()
    node = resolve_directions(node, registry)
    if isinstance(node, Instance):
        if not isinstance(node.object, Method):
            raise ContractError(f"a solver is a name or an eigenwalk.direction.Method, got {node.object!r}")
        return node.object, ()
    method, used = build(node.offer, node, Method, **factory_options(node.options))  # type: ignore[type-abstract]
    return method, (used,)


def _build(node: Node, built: Built) -> tuple[Feature, tuple[Used, ...]]:
    """Return the feature of a resolved tree.

    Two expressions that share a call share its object through `built`, so that a segmenter in ``x`` and ``~x`` is
    loaded once.
    """
    if isinstance(node, Instance):
        return node.object if isinstance(node.object, Feature) else FunctionFeature(node.object), ()
    if isinstance(node, Complement):
        inner, used = _build(node.inner, built)
        return _as_projection(inner, node.inner, INVERTED).complement(), used
    if isinstance(node, Chain):
        links = [_build(part, built) for part in node.parts]
        feature = links[-1][0]
        for part, (left, _) in reversed(list(zip(node.parts[:-1], links[:-1], strict=True))):
            feature = chain(_as_projection(left, part, CHAINED), feature)
        return feature, tuple(dict.fromkeys(used for _, every in links for used in every))
    if node not in built:
        built[node] = _build_call(node, built)
    return built[node]


def _build_call(node: Call, built: Built) -> tuple[Feature, tuple[Used, ...]]:
    if node.name == "file":
        feature, used = feature_from_file(node)
        return feature, (used,)
    options, inner = dict(factory_options(node.options)), ()
    for name, value in options.items():
        if isinstance(value, (Call, Complement, Chain)):
            nested, used = _build(value, built)
            options[name] = _as_projection(nested, value, f"option {name!r} of {node.name} takes a projection")
            inner += used
    feature, used = build(node.offer, node, Feature, **options)
    return feature, tuple(dict.fromkeys((used, *inner)))


def _term(node: Expression, built: Built) -> Term:
    feature, used = _build(bare(node), built)
    tolerance = node.tolerance if isinstance(node, Held) else None
    weight = node.weight if isinstance(node, Weighted) else 1.0
    return Term(str(bare(node)), feature, tolerance, weight, used)


def _as_projection(feature: Feature, node: Node, rule: str) -> Projection:
    if not isinstance(feature, Projection):
        raise not_a_projection(node, type(feature).__name__, rule)
    return feature
