"""What pydantic says of the entries of a TOML file, in lines for people. Imports pydantic, which takes long."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from eigenwalk.names.near import nearest


def complaints(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Return every complaint of `error` once, with the first part of its place: what is wrong, given and to write."""
    found = [(str((*one["loc"], "")[0]), dict(one)) for one in error.errors()]
    # A list whose items are all wrong is also too short once pydantic has left them out: that is no second mistake.
    wrong = {first for first, one in found if one["type"] != "too_short"}
    kept = ((first, one) for first, one in found if one["type"] != "too_short" or first not in wrong)
    return list(dict.fromkeys((first, _complaint(one, model)) for first, one in kept))


def shown(value: Any) -> str:
    """Return `value` as Python writes it, cut to a line; also numbers of more digits than Python prints."""
    try:
        return f"{value!r:.200}"
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that is too long to show"


def _complaint(found: dict[str, Any], model: type[BaseModel]) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"]).lstrip(".")
    key, given = str(found["loc"][-1] if found["loc"] else ""), shown(found["input"])
    if found["type"] == "missing":
        return f"{where} is missing"
    if found["type"] == "extra_forbidden":
        fields = _table(model, found["loc"]).model_fields
        near = nearest(key, fields, alike=0.5)
        return f"there is no entry {where!r}: " + (
            f"did you mean {near[0]}?" if near else f"it takes {', '.join(fields)}"
        )
    if found["type"] == "tuple_type":
        return f"{where} must be a list, got {given}: write {key} = [{given}]"
    message = re.sub(r"^(Value error, |Input |Tuple |String )", "", found["msg"])
    got = "" if isinstance(found["input"], dict) else f", got {given}"
    return f"{where or 'the table'} {message[:1].lower() + message[1:]}{got}"


def _table(model: type[BaseModel], place: tuple[str | int, ...]) -> type[BaseModel]:
    """Return the model of the table in which `place` lies."""
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model


def _models(annotation: Any):
    """Yield the models inside a type such as ``tuple[Entry, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
