"""Expression trees, and the one canonical text that each prints as.

>>> print(Held(Chain((Call("mask", ("sofa",), (("soft", True),)), Complement(Call("low")))), 0.25))
mask(sofa, soft=true) | ~low < 0.25
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from eigenwalk.names.source import quoted

Scalar = str | int | float | bool

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
LITERALS = {"true": True, "True": True, "false": False, "False": False}
EXACT = 2**53
"""Below it a whole number prints as one, whether it was written 8 or 8.0."""


@dataclass(frozen=True)
class Call:
    """A name with its options: values by position in `args`, and by keyword, sorted, in `options`.

    `file("./my.py:fn", …)`, a function in a file, is a `Call` of the reserved name ``file``. `leading` is the
    option that the text gives by position though `options` has it by keyword: ``rooms.part(sofa)``. `offer` is what
    the name stands for, once it is resolved: an `Offer` of the registry, or an `OwnFile`.
    """

    name: str
    args: tuple[Value, ...] = ()
    options: tuple[tuple[str, Value], ...] = ()
    leading: str | None = field(default=None, compare=False)
    offer: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    def __str__(self) -> str:
        first = [value for name, value in self.options if name == self.leading]
        rest = [f"{name}={value_text(value)}" for name, value in self.options if name != self.leading]
        given = [*map(value_text, (*first, *self.args)), *rest]
        return f"{self.name}({', '.join(given)})" if given else self.name

    @property
    def package(self) -> str | None:
        """The distribution that the reserved option ``package`` picks."""
        picked = dict(self.options).get("package")
        return None if picked is None else str(picked)


@dataclass(frozen=True)
class Complement:
    """``~inner``: what a projection leaves out."""

    inner: Call | Chain

    def __str__(self) -> str:
        return f"~({self.inner})" if isinstance(self.inner, Chain) else f"~{self.inner}"


@dataclass(frozen=True)
class Chain:
    """``a | b | c``: projections, then a feature of what they keep. Two parts at least, none itself a chain."""

    parts: tuple[Call | Complement, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.parts))


@dataclass(frozen=True)
class Instance:
    """A feature, generator or direction that Python code passes as an object; `name` stands for it in messages."""

    name: str
    object: Any = field(repr=False)

    def __str__(self) -> str:
        return self.name


Tree = Call | Complement | Chain
Node = Tree | Instance
Value = Scalar | tuple[str | int | float, ...] | Tree
"""What an option may hold: a feature too, for one that measures what a projection keeps."""


@dataclass(frozen=True)
class Held:
    """``inner < tolerance``: fixed, never further than this from the start, in the feature's unit."""

    inner: Node
    tolerance: float

    def __str__(self) -> str:
        return f"{self.inner} < {value_text(self.tolerance)}"


@dataclass(frozen=True)
class Weighted:
    """``weight * inner``: varied with this weight beside other varied features."""

    weight: float
    inner: Node

    def __str__(self) -> str:
        inner = f"({self.inner})" if isinstance(self.inner, Chain) else str(self.inner)
        return f"{value_text(self.weight)} * {inner}"


Expression = Node | Held | Weighted


@dataclass(frozen=True)
class Open:
    """A generator in a file that a plugin recognises: ``open("ffhq.pkl", space=w)``, or ``ffhq.pkl`` alone.

    `offer` is the plugin's, once it is resolved.
    """

    path: str
    options: tuple[tuple[str, Value], ...] = ()
    offer: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    def __str__(self) -> str:
        given = [quoted(self.path), *(f"{name}={value_text(value)}" for name, value in self.options)]
        return f"open({', '.join(given)})"


def bare(node: Expression) -> Node:
    """Return the feature of an expression, without its tolerance or weight."""
    return node.inner if isinstance(node, (Held, Weighted)) else node


def calls(node: Any) -> Iterator[Call]:
    """Yield every call of a tree from left to right, those in options among them."""
    if isinstance(node, Call):
        yield node
        for value in (*node.args, *(value for _, value in node.options)):
            yield from calls(value)
    elif isinstance(node, (Complement, Held, Weighted)):
        yield from calls(node.inner)
    elif isinstance(node, Chain):
        for part in node.parts:
            yield from calls(part)


def value_text(value: Value) -> str:
    """Return the canonical text of an option's value; words stay bare where they read back as themselves."""
    if isinstance(value, (Call, Complement, Chain)):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return value_text(value[0]) if len(value) == 1 else f"({', '.join(map(value_text, value))})"
    if isinstance(value, str):
        return value if _is_word(value) else quoted(value)
    return repr(int(value) if abs(value) < EXACT and value == int(value) else value)


def _is_word(word: str) -> bool:
    """Whether `word` reads back as itself without quotes."""
    parts = word.split(".")
    return bool(_WORD.fullmatch(word)) and not any(keyword.iskeyword(part) or part in LITERALS for part in parts)
