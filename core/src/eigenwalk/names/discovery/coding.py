"""Specs as JSON and back: plain data alone, so that what is remembered can hold no code."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from eigenwalk.spec import CommandSpec, DirectionSpec, FeatureSpec, GeneratorSpec, Option, Weights

KINDS = {kind.__name__: kind for kind in (CommandSpec, DirectionSpec, FeatureSpec, GeneratorSpec, Option, Weights)}
KIND, TUPLE = "$spec", "$tuple"  # no field of a spec is called so


def encode(value: Any) -> Any:
    """Return `value`, a spec or a field of one, as JSON has it; fields that have their default are left out.

    Raises:
        TypeError: it holds something else.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if type(value) is tuple:
        return {TUPLE: [encode(one) for one in value]}
    if KINDS.get(type(value).__name__) is not type(value):
        raise TypeError(f"a spec holds plain data, got {value!r:.80}")
    told = {}
    for field in fields(value):
        given = getattr(value, field.name)
        if field.default is MISSING or field.name == "api" or given != field.default:
            told[field.name] = encode(given)
    return {KIND: type(value).__name__, **told}


def decode(value: Any) -> Any:
    """Return what `encode` was given.

    Raises:
        TypeError, ValueError, KeyError: it is not what `encode` returns.
    """
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(decode(one) for one in value[TUPLE])
    given = {name: decode(one) for name, one in value.items() if name != KIND}
    return KINDS[value[KIND]](**given)
