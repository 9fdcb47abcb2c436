"""Trees -> offers: every name looked up once and every option checked. Imports plugins' hooks alone, and no torch.

    fixed, varied = resolve_sets(["rooms.part(sofa)"], ["~rooms.part(sofa)"], registry)
    generator = resolve_generator(parse_generator("rooms"), registry)

A resolved call carries its offer, so that building it looks nothing up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import CompositionError, InputError
from eigenwalk.names.expression import as_tree
from eigenwalk.names.files import OwnFile
from eigenwalk.names.options import by_keyword, check_options, without_defaults
from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Call, Chain, Complement, Expression, Held, Instance, Node, Open, Weighted, bare, calls

CHAINED = "what stands left of '|' must be a projection"
INVERTED = "'~' takes what a projection leaves out"


def resolve(node: Node, registry: Registry) -> Node:
    """Return `node` with every name looked up and every option by keyword, in its declared type.

    Raises:
        UnknownName, AmbiguousName, OptionError: as the registry and the options say.
        FileError: a function is in a file that does not exist.
        CompositionError: ``|`` or ``~`` on a feature that is not a projection.
    """
    if isinstance(node, Instance) or (isinstance(node, Call) and node.offer):
        return node
    if isinstance(node, Complement):
        inner = resolve(node.inner, registry)
        assert isinstance(inner, (Call, Chain))  # the parser folds ~~x
        _check_projection(inner, INVERTED)
        return Complement(inner)
    if isinstance(node, Chain):
        parts = tuple(resolve(part, registry) for part in node.parts)
        for part in parts[:-1]:
            _check_projection(part, CHAINED)
        return Chain(parts)  # type: ignore[arg-type]
    if node.name == "file":
        return replace(node, offer=OwnFile.of(str(node.args[0])))
    offer = registry.feature(node.name, node.package)
    call, options = by_keyword(node, offer.spec), []
    for name, value in call.options:
        if isinstance(value, (Call, Complement, Chain)):
            value = resolve(value, registry)
            _check_projection(value, f"option {name!r} of {call.name} takes a projection")
        options.append((name, value))
    return replace(call, options=tuple(options), offer=offer)  # type: ignore[arg-type]


def resolve_whole(node: Expression, registry: Registry) -> Expression:
    """Return `node` resolved, its tolerance or weight as it is; raises as `resolve`."""
    if is_resolved(node):
        return node
    if isinstance(node, (Held, Weighted)):
        return replace(node, inner=resolve(node.inner, registry))
    return resolve(node, registry)


def resolve_sets(fixed: Sequence[Any], varied: Sequence[Any], registry: Registry) -> tuple[tuple[Expression, ...], ...]:
    """Return the resolved trees of `fixed` and of `varied`, each given as text, tree or object.

    Raises:
        InputError: an expression, a name or an option is wrong; see `resolve`.
        CompositionError: nothing varies, a fixed feature has a weight or a varied one a tolerance, or one feature is
            named twice, however it is written.
    """
    for part, given in (("fixed", fixed), ("varied", varied)):
        if isinstance(given, str):
            raise InputError(f"{part} must be a list of expressions, got the text {given!r}: write [{given!r}]")
    if not varied:
        raise CompositionError("nothing varies: name at least one feature to vary, such as pixels")
    held = tuple(resolve_whole(as_tree(one), registry) for one in fixed)
    weighted = tuple(resolve_whole(as_tree(one), registry) for one in varied)
    for one in held:
        if isinstance(one, Weighted):
            raise CompositionError(
                f"'{one}' is to stay fixed, and a weight says how much a feature varies: leave the weight out, or "
                f"give a tolerance, such as {one.inner} < 0.25"
            )
    for one in weighted:
        if isinstance(one, Held):
            raise CompositionError(
                f"'{one}' is to vary, and a tolerance says how far a fixed feature may move: leave '< …' out, or give "
                f"a weight, such as {Weighted(0.5, one.inner)}"
            )
    _check_twice(held, weighted)
    return held, weighted


def resolve_generator(node: Call | Open | Instance, registry: Registry) -> Call | Open | Instance:
    """Return the tree of a generator with its name looked up, or its file opened, and its options checked.

    Raises:
        UnknownName, AmbiguousName, OptionError: as the registry and the options say.
        FileError: there is no such file, or no plugin recognises it.
    """
    if isinstance(node, Instance) or node.offer:
        return node
    if isinstance(node, Open):
        offer = registry.open(open_checkpoint(node))
        return replace(node, options=check_options(list(node.options), offer.spec, str(node)), offer=offer)
    if node.name == "file":
        return replace(node, offer=OwnFile.of(str(node.args[0])))
    offer = registry.generator(node.name, node.package)
    return replace(by_keyword(node, offer.spec), offer=offer)


def resolve_directions(node: Call | Instance, registry: Registry) -> Call | Instance:
    """Return the tree of a plugin's directions with its name looked up; raises as the registry and the options say."""
    if isinstance(node, Instance) or node.offer:
        return node
    offer = registry.direction(node.name, node.package)
    return replace(by_keyword(node, offer.spec), offer=offer)


def open_checkpoint(node: Open) -> Checkpoint:
    """Return the file of `node`, opened; ``key`` says where the network stands in it."""
    key = dict(node.options).get("key")
    return Checkpoint.of(node.path, key if isinstance(key, str) else None)


def not_a_projection(node: Node, kind: str, rule: str) -> CompositionError:
    """Return the error of a `node` that breaks `rule` by being a `kind`."""
    return CompositionError(
        f"{rule}, a feature whose value is again an image, such as mask or fourier.low; {node} is a {kind}"
    )


def is_resolved(node: Any) -> bool:
    """Whether every name in a tree has its offer."""
    return all(call.offer for call in calls(node))


def _check_twice(fixed: Sequence[Expression], varied: Sequence[Expression]) -> None:
    """Raise CompositionError if one feature stands twice among resolved trees."""
    seen: dict[Node | str, tuple[str, Node]] = {}
    for part, nodes in (("fixed", fixed), ("varied", varied)):
        for node in map(bare, nodes):
            for key in (_meaning(node), str(node)):
                before, same = seen.setdefault(key, (part, node))
                if same is node:
                    continue
                also = "" if str(same) == str(node) else f" (as {same})"
                if before == part:
                    raise CompositionError(f"{node} stands twice among the {part} features{also}: name it once")
                raise CompositionError(f"{node} is both fixed{also} and varied: take it out of one of them")


def _meaning(node: Node) -> Node:
    """Return the tree that two texts share when they mean the same feature."""
    if isinstance(node, Instance):
        return Call(node.name)
    if isinstance(node, Complement):
        return Complement(_meaning(node.inner))  # type: ignore[arg-type]
    if isinstance(node, Chain):
        return Chain(tuple(_meaning(part) for part in node.parts))  # type: ignore[arg-type]
    if isinstance(node.offer, OwnFile):
        return replace(node, args=(f"{node.offer.path.resolve()}:{node.offer.name}", *node.args[1:]))
    options = [(n, _meaning(v) if isinstance(v, (Call, Complement, Chain)) else v) for n, v in node.options]
    return without_defaults(replace(node, options=tuple(options)), node.offer.spec, node.offer.distribution)  # type: ignore[arg-type]


def _check_projection(node: Node, rule: str) -> None:
    """Raise CompositionError if the spec says that `node` is no projection; a file's is checked when it is built."""
    last = node.parts[-1] if isinstance(node, Chain) else node
    if isinstance(last, Call) and not isinstance(last.offer, OwnFile) and last.offer.spec.kind != "projection":
        raise not_a_projection(last, last.offer.spec.kind, rule)
