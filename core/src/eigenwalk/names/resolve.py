"""Expression trees with every name known and every option checked; nothing of a plugin is imported, nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eigenwalk.errors import CompositionError
from eigenwalk.names.expression import Call, Chain, Complement, Node, Value
from eigenwalk.names.files import reference
from eigenwalk.names.options import by_keyword, key
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.spec import FeatureSpec

CHAINED = "what stands left of '|' must be a projection"
INVERTED = "'~' takes what a projection leaves out"


def resolve(node: Node, registry: Registry) -> Node:
    """`node` with every name known and every option checked, by keyword, in its declared type.

    Raises:
        UnknownName, AmbiguousName, OptionError: as the registry and the options say.
        CompositionError: ``|`` or ``~`` on a feature that is not a projection.
    """
    if isinstance(node, Complement):
        inner = resolve(node.inner, registry)
        assert not isinstance(inner, Complement)  # the parser folds ~~x
        _must_project(inner, registry, INVERTED)
        return Complement(inner)
    if isinstance(node, Chain):
        parts = tuple(resolve(part, registry) for part in node.parts)
        for part in parts[:-1]:
            _must_project(part, registry, CHAINED)
        return Chain(parts)  # type: ignore[arg-type]
    if node.name == "file":
        return node
    call = by_keyword(node, feature_offer(node, registry).spec)
    return replace(call, options=tuple((name, _inner(call, name, value, registry)) for name, value in call.options))


def _inner(call: Call, name: str, value: Value, registry: Registry) -> Value:
    """The value of an option; one that is a projection is resolved in its turn."""
    if not isinstance(value, (Call, Complement, Chain)):
        return value
    node = resolve(value, registry)
    _must_project(node, registry, f"option {name!r} of {call.name} takes a projection")
    return node


def check_sets(fixed: Sequence[Node], varied: Sequence[Node], registry: Registry) -> None:
    """Nothing, where no feature stands twice among the resolved `fixed` and `varied`, however it is written.

    Raises:
        CompositionError: one does.
    """
    seen: dict[Node, tuple[str, Node]] = {}
    for name, nodes in (("fixed", fixed), ("varied", varied)):
        for node in nodes:
            before, same = seen.setdefault(_key(node, registry), (name, node))
            if same is node:
                continue
            also = "" if str(same) == str(node) else f" (as {same})"
            if before == name:
                raise CompositionError(f"{node} stands twice among the {name} features{also}: name it once")
            raise CompositionError(f"{node} is both fixed{also} and varied: take it out of one of them")


def feature_offer(call: Call, registry: Registry) -> Offer[FeatureSpec]:
    """The offer of the feature that `call` names; raises as `Registry.feature`."""
    return registry.feature(call.name, package(call))


def package(call: Call) -> str | None:
    """The distribution that the reserved option ``package`` picks."""
    picked = dict(call.options).get("package")
    return None if picked is None else str(picked)


def not_a_projection(node: Node, kind: str, rule: str) -> CompositionError:
    """The error of a `node` that breaks `rule` by being a `kind`."""
    return CompositionError(
        f"{rule}, a feature whose value is again an image, such as mask or fourier.low; {node} is a {kind}"
    )


def _key(node: Node, registry: Registry) -> Node:
    """The tree that two texts share when they mean the same feature."""
    if isinstance(node, Complement):
        return Complement(_key(node.inner, registry))  # type: ignore[arg-type]
    if isinstance(node, Chain):
        return Chain(tuple(_key(part, registry) for part in node.parts))  # type: ignore[arg-type]
    if node.name == "file":
        path, name = reference(str(node.args[0]))
        return replace(node, args=(f"{path.resolve()}:{name}", *node.args[1:]))
    offer = feature_offer(node, registry)
    options = tuple((n, _key(v, registry) if isinstance(v, (Call, Complement, Chain)) else v) for n, v in node.options)
    return key(replace(node, options=options), offer.spec, offer.distribution)


def _must_project(node: Node, registry: Registry, rule: str) -> None:
    """Whether `node` is a projection, as far as its spec tells; a file's is told when it is built."""
    last = node.parts[-1] if isinstance(node, Chain) else node
    if isinstance(last, Call) and last.name != "file":
        kind = feature_offer(last, registry).spec.kind
        if kind != "projection":
            raise not_a_projection(last, kind, rule)
