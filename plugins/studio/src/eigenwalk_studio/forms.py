"""An expression as a form, and a form as an expression. No torch, no gradio.

The text is what counts: a form is read from it anew each time, and what is changed in a form is written into it.

>>> from eigenwalk.names.registry import Registry
>>> registry = Registry.discover()
>>> form = read("rooms.part(sofa) < 0.02", registry)
>>> form.links[0].fields[0].name, form.links[0].fields[0].value, form.tolerance
('part', 'sofa', 0.02)
>>> edit("rooms.part(sofa)", Change(option="part", value="window, lamp"), registry)
'rooms.part((window, lamp))'
>>> edit("rooms.part(sofa)", Change(negate=True), registry)
'~rooms.part(sofa)'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from eigenwalk import store
from eigenwalk.errors import EigenwalkError, ExpressionError
from eigenwalk.names.expression import parse
from eigenwalk.names.options import by_keyword
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_whole
from eigenwalk.names.tree import Call, Chain, Complement, Expression, Held, Value, Weighted, bare, value_text
from eigenwalk.spec import FeatureSpec, Option

BOX = (0.25, 0.25, 0.75, 0.75)


@dataclass(frozen=True)
class Field:
    """One option of a feature in a form; `value` is "" where the text does not give it."""

    name: str
    type: str
    value: str
    default: str
    summary: str
    choices: tuple[str, ...]
    required: bool
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """One feature of a chain, with its options."""

    name: str
    summary: str
    negated: bool
    is_projection: bool
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Form:
    """What an expression's form shows.

    Attributes:
        text: as it was typed.
        links: of the chain, one where it is none; empty where the text does not parse.
        tolerance, weight: as written; None where they are not.
        unit: of the last link.
        error: what is wrong with it, or "".
        start, end: the characters that are wrong; both 0 where the whole text is.
    """

    text: str
    links: tuple[Link, ...] = ()
    tolerance: float | None = None
    weight: float | None = None
    unit: str = ""
    error: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Change:
    """One change of a form: each entry that is not None.

    Attributes:
        link: which link of the chain an option or a negation is of.
        option, value: the option and its new value as text; "" takes it out.
        negate: turn over what the link keeps.
        follow: the name of a feature to measure what this one keeps; "" takes the last link away.
        tolerance, weight: a positive number; 0 takes it out.
    """

    link: int = 0
    option: str | None = None
    value: str = ""
    negate: bool | None = None
    follow: str | None = None
    tolerance: float | None = None
    weight: float | None = None


def read(text: str, registry: Registry) -> Form:
    """Return the form of an expression; one that is wrong has an error, and as much of its form as can be told."""
    try:
        node = parse(text)
    except ExpressionError as error:
        return Form(text, error=error.message, start=error.start, end=error.end)
    inner = bare(node)
    parts = inner.parts if isinstance(inner, Chain) else (inner,)
    links = tuple(_link(part, registry) for part in parts)  # type: ignore[arg-type]
    tolerance = node.tolerance if isinstance(node, Held) else None
    weight = node.weight if isinstance(node, Weighted) else None
    spec = _spec(parts[-1], registry)
    form = Form(text, links, tolerance, weight, spec.unit if spec else "")
    try:
        resolve_whole(node, registry)
    except EigenwalkError as error:
        start, end = _place(text, str(error))
        return replace(form, error=str(error), start=start, end=end)
    return form


def canonical(text: str, registry: Registry) -> str:
    """Return the text as it is written in recipes; `text` itself where it is wrong."""
    try:
        return str(resolve_whole(parse(text), registry))
    except EigenwalkError:
        return text


def edit(text: str, change: Change, registry: Registry) -> str:
    """Return the expression with one change; what does not fit stays in it, for its error to be seen.

    Raises:
        ExpressionError: the text does not parse.
    """
    node = parse(text)
    inner = bare(node)
    tolerance = node.tolerance if isinstance(node, Held) else None
    weight = node.weight if isinstance(node, Weighted) else None
    parts: list[Any] = list(inner.parts) if isinstance(inner, Chain) else [inner]
    if change.option is not None and 0 <= change.link < len(parts):
        parts[change.link] = _with_option(parts[change.link], change.option, change.value, registry)
    if change.negate and 0 <= change.link < len(parts):
        parts[change.link] = _negated(parts[change.link])
    if change.follow:
        parts.append(parse(example(registry.feature(change.follow).spec)))
    elif change.follow == "" and len(parts) > 1:
        parts.pop()
    if change.tolerance is not None:
        tolerance = change.tolerance if change.tolerance > 0 else None
    if change.weight is not None:
        weight = change.weight if change.weight > 0 and change.weight != 1 else None
    whole: Expression = Chain(tuple(parts)) if len(parts) > 1 else parts[0]
    whole = Held(whole, tolerance) if tolerance else Weighted(weight, whole) if weight else whole  # type: ignore[arg-type]
    return canonical(str(whole), registry)


def default_vary(hold: Sequence[str], registry: Registry) -> str:
    """Return what varies where nobody says it: all that the held masks leave out; ``pixels`` where one has no mask.

    >>> registry = Registry.discover()
    >>> default_vary(["rooms.part(sofa) < 0.02"], registry), default_vary(["faces.identity"], registry)
    ('~rooms.part(sofa)', 'pixels')
    >>> default_vary(["rooms.part(sofa)", "rooms.part(window)"], registry)
    '~rooms.part((sofa, window))'
    """
    masks = [mask_of(text, registry) for text in hold]
    if not masks or not all(isinstance(mask, Call) for mask in masks):
        return str(masks[0].inner) if len(masks) == 1 and isinstance(masks[0], Complement) else "pixels"
    first, *others = (mask for mask in masks if isinstance(mask, Call))
    words = _words(first)
    for other in others:
        if other.name != first.name or not (words and _words(other)):
            return "pixels"
        words += [word for word in _words(other) if word not in words]
    if others:
        first = replace(first, options=((first.options[0][0], tuple(words)),))
    return str(Complement(first))


def _words(call: Call) -> list[str]:
    """Return the words of a call that has no other options."""
    values = call.options[0][1] if len(call.options) == 1 else ()
    return [str(one) for one in values] if isinstance(values, tuple) else []


def mask_of(text: str, registry: Registry) -> Call | Complement | None:
    """Return the projection in a feature's text, resolved: all of it, or its first link; None where there is none."""
    try:
        node = bare(resolve_whole(parse(text), registry))
    except EigenwalkError:
        return None
    node = node.parts[0] if isinstance(node, Chain) else node
    spec = _spec(node, registry)
    call = node.inner if isinstance(node, Complement) else node
    return node if spec and spec.kind == "projection" and isinstance(call, Call) else None  # type: ignore[return-value]


def without_limit(text: str) -> str:
    """Return a feature's text without its tolerance or weight; `text` itself where it is wrong."""
    try:
        return str(bare(parse(text)))
    except EigenwalkError:
        return text


def moved(text: str, to: str) -> str:
    """Return a feature's text for the other list: a tolerance is for what is held, a weight for what varies."""
    with suppress(EigenwalkError):
        node = parse(text)
        if isinstance(node, Held if to == "vary" else Weighted):
            return str(node.inner)
    return text


def example(spec: FeatureSpec) -> str:
    """Return an expression to begin with: what a feature requires has its first choice.

    >>> example(FeatureSpec("rooms.part", "x:X", "", (Option("part", "words", choices=("sofa",), required=True),)))
    'rooms.part(sofa)'
    """
    given: dict[str, Value] = {}
    for option in spec.options:
        if option.required:
            mask = Call("mask", options=(("box", BOX),))
            given[option.name] = mask if option.type == "projection" else option.choices[0] if option.choices else ""
    if spec.name == "mask":
        given["box"] = BOX
    with suppress(EigenwalkError):
        return str(by_keyword(Call(spec.name, options=tuple(given.items())), spec))
    return spec.name


def offered(registry: Registry, search: str, generator: str) -> list[FeatureSpec]:
    """Return the features that `search` finds among names, summaries and choices, those made for the generator first.

    Those of other miniatures come last; weights that are not fetched do not hide a feature.
    """
    words = search.lower().split()
    own = re.split(r"[(:]", generator)[0]
    worlds = {offer.name for offer in registry.generators} - {own}

    def rank(spec: FeatureSpec) -> tuple[int, str]:
        head = spec.name.split(".")[0]
        return (0 if head == own else 2 if head in worlds and "." in spec.name else 1), spec.name

    found = []
    for spec in (offer.spec for offer in registry.features):
        every = [spec.name, spec.summary, *(word for option in spec.options for word in option.choices)]
        if all(word in " ".join(every).lower() for word in words):
            found.append(spec)
    return sorted(found, key=rank)


def fetched(spec: FeatureSpec) -> bool:
    """Whether every file that the feature needs whatever its options are is on this machine."""
    return all(one.source is None or store.place(one).is_file() for one in spec.needed({}))


def _link(part: Call | Complement, registry: Registry) -> Link:
    call = part.inner if isinstance(part, Complement) else part
    negated = isinstance(part, Complement)
    if not isinstance(call, Call):
        return Link(str(call), "", negated, True)
    spec = _spec(call, registry)
    if spec is None:
        return Link(call.name, "", negated, True)
    given = dict(zip((option.name for option in spec.options), call.args, strict=False)) | dict(call.options)
    fields = tuple(_field(option, given.get(option.name)) for option in spec.options)
    return Link(call.name, spec.summary, negated, spec.kind == "projection", fields)


def _field(option: Option, value: Value | None) -> Field:
    text = "" if value is None else value_text(value)
    chosen = tuple(map(str, value if isinstance(value, tuple) else (value,))) if value is not None else ()
    if isinstance(value, (str, tuple)):
        text = ", ".join(
            one if isinstance(one, str) else value_text(one)
            for one in (value if isinstance(value, tuple) else (value,))
        )
    default = "" if option.default is None else value_text(option.default)
    return Field(option.name, option.type, text, default, option.summary, option.choices, option.required, chosen)


def _spec(node: Any, registry: Registry) -> FeatureSpec | None:
    while isinstance(node, (Complement, Chain)):
        node = node.inner if isinstance(node, Complement) else node.parts[-1]
    with suppress(EigenwalkError):
        return registry.feature(node.name, node.package).spec if node.name != "file" else None
    return None


def _negated(part: Any) -> Any:
    return part.inner if isinstance(part, Complement) else Complement(part)


def _with_option(part: Any, name: str, text: str, registry: Registry) -> Any:
    """Return a link with another value of an option."""
    if isinstance(part, Complement):
        return Complement(_with_option(part.inner, name, text, registry))
    spec = _spec(part, registry)
    option = next((one for one in spec.options if one.name == name), None) if spec else None
    if not isinstance(part, Call) or spec is None or option is None:
        return part
    given = dict(zip((one.name for one in spec.options), part.args, strict=False)) | dict(part.options)
    given.pop(name, None)
    if text.strip():
        given[name] = _value(option, text.strip())
    return Call(part.name, (), tuple(given.items()))


def _value(option: Option, text: str) -> Value:
    """Return what a person wrote into a field, in the option's type where it is of it, else as the text."""
    if option.type in ("words", "numbers") and not (option.type == "numbers" and text in option.choices):
        parts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
        values = tuple(_number(part) if option.type == "numbers" else part for part in parts)
        return values[0] if len(values) == 1 else values
    if option.type in ("int", "float"):
        return _number(text)
    if option.type == "bool":
        return {"true": True, "on": True, "false": False}.get(text.lower(), text)
    if option.type == "projection":
        with suppress(EigenwalkError):
            return parse(text)  # type: ignore[return-value]
    return text


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < 1e300 else text


def _place(text: str, message: str) -> tuple[int, int]:
    """Return the characters of a text that a message says it got, or quotes first; none where it quotes none of it."""
    for word in (*re.findall(r"got ([^\s;:,]+)", message), *re.findall(r"'([^']+)'", message)):
        if word and word != text and word in text:
            return text.index(word), text.index(word) + len(word)
    return 0, 0
