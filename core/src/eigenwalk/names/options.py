"""Options as a user wrote them, checked against those that a spec declares. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eigenwalk.errors import ExpressionError, OptionError
from eigenwalk.names.expression import parse
from eigenwalk.names.near import nearest
from eigenwalk.names.tree import Call, Chain, Complement, Value, value_text
from eigenwalk.spec import DirectionSpec, FeatureSpec, GeneratorSpec, Option

Spec = FeatureSpec | GeneratorSpec | DirectionSpec

_EXPECTED = {
    "str": "a word or a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "path": 'the path of a file, such as file="mask.png"',
    "numbers": "numbers, such as (0, 0, 0.5, 1)",
    "words": "words, such as (sofa, lamp)",
    "projection": "a projection, such as mask(box=(0, 0, 0.5, 1))",
}


def by_keyword(call: Call, spec: Spec) -> Call:
    """Return `call` with every option by keyword and in its declared type; ``package`` stays as it is.

    Raises:
        OptionError: unknown, given twice, of the wrong type, not among the choices, or required and missing.
    """
    package = tuple((name, value) for name, value in call.options if name == "package")
    names = [option.name for option in spec.options]
    if len(call.args) > len(names):
        takes = f"{len(names)} ({', '.join(names)})" if names else "none"
        raise OptionError(f"{spec.name} takes {takes} by position, got {len(call.args)}: {call}")
    given = list(zip(names, call.args, strict=False))
    for name, value in call.options:
        if name in dict(given):
            raise OptionError(f"option {name!r} of {spec.name} is given twice, by position and by name: {call}")
        given += [(name, value)] if name != "package" else []
    return replace(call, args=(), options=check_options(given, spec, str(call)) + package, leading=_leading(spec))


def _leading(spec: Spec) -> str | None:
    """Return the option that says which one is meant, and so is written by position: ``rooms.part(sofa)``."""
    first = spec.options[0] if spec.options else None
    return first.name if first and first.required and first.type in ("str", "words", "projection") else None


def check_options(given: list[tuple[str, Value]], spec: Spec, text: str) -> tuple[tuple[str, Value], ...]:
    """Return the options `given` in the types that `spec` declares; raises as `by_keyword` does."""
    declared = {option.name: option for option in spec.options}
    for name, _ in given:
        if name not in declared:
            raise OptionError(f"{spec.name} has no option {name!r}{_nearest(name, list(declared))} (in {text})")
    for option in spec.options:
        if option.required and option.name not in dict(given):
            raise OptionError(f"{spec.name} needs option {option.name!r}, {_expected(option)} (in {text})")
    return tuple((name, _check_value(declared[name], value, spec.name)) for name, value in given)


def without_defaults(call: Call, spec: Spec, distribution: str) -> Call:
    """Return `call`, by keyword, without the options that equal a default: the same for texts that mean the same."""
    defaults = {option.name: option.default for option in spec.options if option.default is not None}
    given = tuple((n, v) for n, v in call.options if n != "package" and not (n in defaults and defaults[n] == v))
    return replace(call, options=(*given, ("package", distribution)))


def factory_options(options: tuple[tuple[str, Value], ...]) -> Mapping[str, Any]:
    """Return the options that a factory is called with: all but ``package``, which is for the registry."""
    return {name: value for name, value in options if name != "package"}


def _expected(option: Option) -> str:
    """Return what an option takes, in words."""
    words = f", or {' or '.join(option.choices)}" if option.type == "numbers" and option.choices else ""
    return _EXPECTED[option.type] + words


def _check_value(option: Option, value: Value, owner: str) -> Value:
    """Return `value` in the type of `option`; raises OptionError if it has another or is not among the choices."""
    if option.type == "numbers" and value in option.choices:
        return value
    converted = _convert(option.type, value)
    if converted is None:
        raise OptionError(
            f"option {option.name!r} of {owner} is {_expected(option)}, got {value_text(value)}"
            + (f': write "{value_text(value)}"' if option.type in ("str", "path") else "")
        )
    words = converted if isinstance(converted, tuple) else (converted,)
    for word in words if option.choices and option.type != "numbers" else ():
        if word not in option.choices:
            near = nearest(str(word), option.choices)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(
                f"option {option.name!r} of {owner} is one of {', '.join(option.choices)}, "
                f"got {value_text(word)}{meant}"
            )
    return converted


def _convert(kind: str, value: Value) -> Value | None:
    """Return `value` as an option of type `kind`; None if it is none."""
    if kind == "projection":
        return _as_feature(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in ("str", "path"):
        return value if isinstance(value, str) else None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "int":
        return int(value) if number and int(value) == value else None  # type: ignore[arg-type]
    if kind == "float":
        return float(value) if number else None  # type: ignore[arg-type]
    values = value if isinstance(value, tuple) else (value,)
    if kind == "words":
        return values if all(isinstance(item, str) for item in values) else None  # type: ignore[return-value]
    numbers = all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in values)
    return values if numbers else None  # type: ignore[return-value]


def _as_feature(value: Value) -> Value | None:
    """Return the tree of a feature, also where `value` is its name or a function in a file; None if it is none."""
    if isinstance(value, str):
        try:
            value = parse(value)  # type: ignore[assignment]
        except ExpressionError:
            return None
    return value if isinstance(value, (Call, Complement, Chain)) else None


def _nearest(name: str, names: list[str]) -> str:
    near = nearest(name, names)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; its options are {', '.join(names)}" if names else "; it takes none"
