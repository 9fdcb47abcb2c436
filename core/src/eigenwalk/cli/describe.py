"""``eigenwalk describe``: what is known about a name or a file, or the canonical form of an expression."""

from __future__ import annotations

import os.path
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eigenwalk.checkpoint import sharing
from eigenwalk.cli.errors import console, print_facts
from eigenwalk.errors import ContractError, ExpressionError, FileError, OptionError, UnknownName, WeightsError
from eigenwalk.names.expression import parse_either
from eigenwalk.names.near import nearest
from eigenwalk.names.options import by_keyword
from eigenwalk.names.resolve import open_checkpoint, resolve_whole
from eigenwalk.names.source import quoted
from eigenwalk.names.tree import Call, Expression, Open, calls, value_text
from eigenwalk.spec import FeatureSpec, GeneratorSpec
from eigenwalk.store import megabytes
from eigenwalk.weights import declared_items

if TYPE_CHECKING:
    from eigenwalk.generator import Generator
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

    registry, out = Registry.discover(), console()
    try:
        _describe(out, name, registry, measure)
    except (ExpressionError, UnknownName):
        if os.path.isdir(name):
            raise FileError(f"{name} is a folder here, and no name that is known: write ./{name} to open it") from None
        raise


def _describe(out: Console, name: str, registry: Registry, measure: bool | None) -> None:
    """Print what is known of a name, a file or an expression."""
    node = parse_either(name)
    if isinstance(node, Open):
        _describe_file(out, node, registry, measure)
        return
    alone = isinstance(node, Call) and not node.args and not node.options and node.name != "file"
    if not alone:
        node = _resolve(node, registry)
    named = {call.name: call for call in reversed(list(calls(node)))}.values()
    # Before anything is printed, so that an error stands alone.
    offers = [None if call.name == "file" else call.offer or _find(registry, call) for call in named]
    opened = [_try_open(call, offer, registry) for call, offer in zip(named, offers, strict=True)]
    if not alone:
        out.print(Text(str(node), style="bold"))
    for call, offer, found in zip(named, offers, opened, strict=True):
        if not alone:
            out.print()
        if offer is None:
            out.print(Text(f"file: the function or class {call.args[0]}, with no packaging"))
        else:
            _print_offer(out, offer)
        if isinstance(found, str):
            out.print(Text(found, style="dim"))
        elif found:
            _print_opened(out, *found, offer and offer.spec, measure)


def _try_open(call: Call, offer: Offer[Any] | None, registry: Registry) -> tuple[Generator, Any] | str | None:
    """Open the generator that `call` names; return it, or why it is not opened, or None if it names no generator."""
    if offer is None:
        with suppress(OptionError, ContractError):  # a feature: without images there is no more to say
            return _open(call, registry)
        return None
    if not isinstance(offer.spec, GeneratorSpec):
        return None
    given = {name for name, _ in call.options}
    missing = [option.name for option in offer.spec.options if option.required and option.name not in given]
    if missing:
        return f"not opened: it needs {', '.join(missing)}"
    try:
        return _open(call, registry)
    except WeightsError as error:
        return f"not opened: {error}"


def _describe_file(out: Console, node: Open, registry: Registry, measure: bool | None) -> None:
    """Print what is known of a generator's file."""
    with sharing():
        offer = registry.open(open_checkpoint(node))
        try:
            generator, used = _open(node, registry)
        except OptionError as error:
            if node.options:
                raise
            remedy = f"open({quoted(node.path)}, option=value)"
            raise OptionError(f"{error}. A file's options follow its path: {remedy}") from error
    _print_offer(out, offer)
    _print_opened(out, generator, used, offer.spec, measure)


def _open(node: Call | Open, registry: Registry) -> tuple[Generator, Any]:
    """Build the generator of `node`; return it and what it was built from."""
    from eigenwalk.cli import opened
    from eigenwalk.objects.compose import build_generator

    with opened.status("opening"):
        return build_generator(node, registry)


def _print_opened(
    out: Console, generator: Generator, used: Any, spec: GeneratorSpec | None, measure: bool | None
) -> None:
    """Print what is known of a generator once it is open."""
    from eigenwalk.cli import opened

    rows = opened.known_facts(generator, used, spec)
    if measure is not False:
        with warnings.catch_warnings(action="ignore"):  # of libraries, about themselves
            rows += opened.measure(generator, measure is True)
    out.print("opened", style="dim")
    print_facts(out, rows)


def _resolve(node: Expression, registry: Registry) -> Expression:
    """Return the tree with all options by keyword, checked against the specs."""
    if isinstance(node, Call) and node.name != "file":
        offer = _find(registry, node)
        if not isinstance(offer.spec, FeatureSpec):
            return replace(by_keyword(node, offer.spec), offer=offer)
    return resolve_whole(node, registry)


def _find(registry: Registry, call: Call) -> Offer[Any]:
    """Return the one offer of a name among features, then generators, then directions.

    Raises:
        UnknownName, AmbiguousName: as for a feature, unless another kind has the name.
    """
    kind = registry.kind_of(call.name)
    try:
        return getattr(registry, kind or "feature")(call.name, call.package)
    except UnknownName as error:
        if not kind and call.name in registry.index.generators:
            return registry.generator(call.name, call.package)
        others = (offer.name for offer in (*registry.generators, *registry.directions))
        near = nearest(call.name, set(others), 3)
        if near:
            raise UnknownName(f"{error}; among generators and directions: {', '.join(near)}") from None
        raise


def _print_offer(out: Console, offer: Offer[Any]) -> None:
    """Print what the spec of an offer says, and how its files of weights are."""
    spec = offer.spec
    kind = type(spec).__name__.removesuffix("Spec").lower()
    if getattr(spec, "kind", "feature") == "projection":
        kind = "projection, a feature whose value is an image: another can follow it after |"
    out.print(Text.assemble((spec.name, "bold"), f"  {spec.summary}"))
    rows = [("kind", kind)]
    if hasattr(spec, "unit"):
        rows.append(("unit", " or, as the options say, ".join((spec.unit, *spec.other_units))))
        if not spec.differentiable:
            rows.append(("gradient", "none: central differences along the directions that are needed"))
    if hasattr(spec, "spaces"):
        rows.append(("spaces", ", ".join(spec.spaces)))
    rows.append(("from", f"{offer.provider} (plugin {offer.plugin})"))
    rows.append(("loads", spec.load))
    if spec.licence:
        rows.append(("licence", spec.licence))
    for item in declared_items(offer):
        weights = item.weights
        rows.append(("weights", f"{weights.file}, {megabytes(weights.size)}, {weights.licence}"))
        rows.append(("", f"{item.state()}{f', needed by {item.names[0]}' if weights.option else ''}"))
        rows.append(("", weights.source or "inside the package"))
        rows.append(("", f"SHA-256 {weights.sha256 or 'not published'}"))
    for cite in spec.cites:
        rows.append(("cites", cite))
    print_facts(out, rows)
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
