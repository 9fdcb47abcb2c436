"""``eigenwalk describe``: everything that is known about a name, or the canonical form of an expression."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eigenwalk.checkpoint import Checkpoint, sharing
from eigenwalk.cli.facts import facts
from eigenwalk.errors import ContractError, ExpressionError, FileError, OptionError, UnknownName, WeightsError
from eigenwalk.names.expression import (
    Call,
    Chain,
    Complement,
    Expression,
    Held,
    Open,
    Weighted,
    parse,
    parse_generator,
    value_text,
)
from eigenwalk.names.options import by_keyword
from eigenwalk.names.resolve import package, resolve
from eigenwalk.names.source import quoted
from eigenwalk.spec import GeneratorSpec
from eigenwalk.store import megabytes
from eigenwalk.weights import declared

if TYPE_CHECKING:
    from eigenwalk.names.registry import Offer, Registry
    from eigenwalk.spec import Option


def describe(
    name: Annotated[
        str, typer.Argument(help='A feature, a generator, its file, or an expression such as "mask(sofa) | low".')
    ],
    measure: Annotated[
        bool | None,
        typer.Option(
            "--measure/--no-measure",
            help="Measure what a generator's image and waypoint cost [default: a waypoint only where it is quick]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Describe a feature, a generator, a generator's file or an expression.

    Summary, unit, options, weights, licence, provenance; of a generator also resolution, spaces, parameters, and
    memory and time for an image.
    """
    from eigenwalk.names.registry import Registry

    registry, out = Registry.discover(), Console(highlight=False, soft_wrap=True)
    try:
        _described(out, name, registry, measure)
    except (ExpressionError, UnknownName):
        if Path(name).is_dir():
            raise FileError(f"{name} is a folder here, and no name that is known: write ./{name} to open it") from None
        raise


def _described(out: Console, name: str, registry: Registry, measure: bool | None) -> None:
    """Prints what is known of a name, a file or an expression."""
    node = _read(name)
    if isinstance(node, Open):
        _file(out, node, registry, measure)
        return
    bare = isinstance(node, Call) and not node.args and not node.options and node.name != "file"
    if not bare:
        node = _canonical(node, registry)
        out.print(Text(str(node), style="bold"))
    seen: set[str] = set()
    for call in _calls(node):
        if call.name not in seen:
            seen.add(call.name)
            if not bare:
                out.print()
            _call(out, call, registry, measure)


def _call(out: Console, call: Call, registry: Registry, measure: bool | None) -> None:
    """Prints what is known of one name with its options; a generator is opened, where its options suffice."""
    if call.name == "file":
        _function(out, call, registry, measure)
        return
    offer = _find(registry, call)
    _offer(out, offer, registry)
    if isinstance(offer.spec, GeneratorSpec):
        given = {name for name, _ in call.options}
        missing = [option.name for option in offer.spec.options if option.required and option.name not in given]
        if missing:
            out.print(f"not opened: it needs {', '.join(missing)}", style="dim")
            return
        try:
            _opened(out, call, registry, offer.spec, measure)
        except WeightsError as error:
            out.print(Text(f"not opened: {error}", style="dim"))


def _file(out: Console, node: Open, registry: Registry, measure: bool | None) -> None:
    """Prints what is known of a generator's file."""
    key = dict(node.options).get("key")
    with sharing():
        offer = registry.open(Checkpoint.of(node.path, key if isinstance(key, str) else None))
        _offer(out, offer, registry)
        try:
            _opened(out, node, registry, offer.spec, measure)
        except OptionError as error:
            if node.options:
                raise
            remedy = f"open({quoted(node.path)}, option=value)"
            raise OptionError(f"{error}. A file's options follow its path: {remedy}") from error


def _function(out: Console, call: Call, registry: Registry, measure: bool | None) -> None:
    """Prints what is known of a function or class in a user's file: of a generator, as it is built there."""
    out.print(Text(f"file: the function or class {call.args[0]}, with no packaging"))
    with suppress(OptionError, ContractError):  # a feature, which nothing tells without images
        _opened(out, call, registry, None, measure)


def _opened(
    out: Console, node: Call | Open, registry: Registry, spec: GeneratorSpec | None, measure: bool | None
) -> None:
    """Prints what is known of a generator once it is open."""
    from eigenwalk.cli import opened
    from eigenwalk.objects.compose import build_generator

    with opened.told("opening"):
        generator, used = build_generator(str(node), registry)
    rows = opened.known(generator, used, spec)
    if measure is not False:
        with warnings.catch_warnings(action="ignore"):  # of libraries, about themselves
            rows += opened.measured(generator, measure is True)
    out.print("opened", style="dim")
    facts(out, rows)


def _read(text: str) -> Expression | Open:
    """The tree of a feature's or a generator's text; a text that is neither raises as a feature's."""
    try:
        node = parse_generator(text)
    except ExpressionError:
        return parse(text)
    return node if isinstance(node, Open) else parse(text)


def _canonical(node: Expression, registry: Registry) -> Expression:
    """The tree with all options by keyword, checked against the specs."""
    if isinstance(node, Call) and node.name == "file":
        return node
    if isinstance(node, Call):
        call = by_keyword(node, _find(registry, node).spec)
        return resolve(call, registry) if call.name in {offer.name for offer in registry.features} else call
    if isinstance(node, (Held, Weighted)):
        return replace(node, inner=resolve(node.inner, registry))
    return resolve(node, registry)


def _calls(node: Any) -> Iterator[Call]:
    """Every call of the tree, from left to right."""
    if isinstance(node, Call):
        yield node
        for _, value in node.options:
            if isinstance(value, (Call, Complement, Chain)):
                yield from _calls(value)
    elif isinstance(node, (Complement, Held, Weighted)):
        yield from _calls(node.inner)
    else:
        for part in node.parts:
            yield from _calls(part)


def _find(registry: Registry, call: Call) -> Offer[Any]:
    """The one offer of a name among features, then generators, then directions.

    Raises:
        UnknownName, AmbiguousName: as for a feature, unless another kind has the name.
    """
    picked = package(call)
    kinds = {
        offer.name: kind for kind in ("direction", "generator", "feature") for offer in getattr(registry, f"{kind}s")
    }
    try:
        return getattr(registry, kinds.get(call.name, "feature"))(call.name, picked)
    except UnknownName as error:
        if call.name not in kinds and call.name in registry.index.generators:
            return registry.generator(call.name, picked)
        others = (offer.name for offer in (*registry.generators, *registry.directions))
        near = difflib.get_close_matches(call.name, set(others), 3)
        if near:
            raise UnknownName(f"{error}; among generators and directions: {', '.join(near)}") from None
        raise


def _offer(out: Console, offer: Offer[Any], registry: Registry) -> None:
    spec = offer.spec
    kind = type(spec).__name__.removesuffix("Spec").lower()
    if getattr(spec, "kind", "feature") == "projection":
        kind = "projection, a feature whose value is an image: another can follow it after |"
    out.print(Text.assemble((spec.name, "bold"), f"  {spec.summary}"))
    rows = [("kind", kind)]
    if hasattr(spec, "unit"):
        rows.append(("unit", spec.unit))
        if not spec.differentiable:
            rows.append(("gradient", "none: central differences along the directions that are needed"))
    if hasattr(spec, "spaces"):
        rows.append(("spaces", ", ".join(spec.spaces)))
    rows.append(("from", f"{offer.distribution} {offer.version} (plugin {offer.plugin})"))
    rows.append(("loads", spec.load))
    if spec.licence:
        rows.append(("licence", spec.licence))
    for item in declared(offer):
        weights = item.weights
        rows.append(("weights", f"{weights.file}, {megabytes(weights.size)}, {weights.licence}"))
        rows.append(("", f"{item.state()}{f', needed by {item.names[0]}' if weights.option else ''}"))
        rows.append(("", weights.url or "inside the package"))
        rows.append(("", f"SHA-256 {weights.sha256 or 'not published'}"))
    for cite in spec.cites:
        rows.append(("cites", cite))
    facts(out, rows)
    if spec.options:
        out.print("options", style="dim")
        out.print(_options(spec.options))


def _options(options: tuple[Option, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for option in options:
        default = "required" if option.required else "" if option.default is None else f"= {value_text(option.default)}"
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        table.add_row(f"  {option.name}", Text(option.type, style="cyan"), default, Text(option.summary + choices))
    return table
