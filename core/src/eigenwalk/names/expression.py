"""Text -> expression tree -> one canonical text.

    identity                              a feature
    attributes(smile)                     with an option; a bare word is a string
    mask(box=(0, 0, 0.5, 1)) | identity   a projection, then a feature of what it keeps
    ~mask(file="sofa.png")                what it leaves out
    identity < 0.25                       held within a tolerance, in the feature's unit
    0.5 * pixels                          varied with a weight
    position(mask(label=sofa))            a feature of a projection
    ./my_feature.py:fn                    a function in a file: file("./my_feature.py:fn")

Parsed by `ast` in eval mode over a closed list of nodes; nothing is ever evaluated.

    >>> print(parse("mask( 'sofa',soft = True )|~low"))
    mask(sofa, soft=true) | ~low
"""

from __future__ import annotations

import ast
import math
import os.path
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from eigenwalk.errors import ExpressionError
from eigenwalk.names.source import Source, quoted, read
from eigenwalk.names.tree import (
    LITERALS,
    Call,
    Chain,
    Complement,
    Expression,
    Held,
    Instance,
    Open,
    Tree,
    Value,
    Weighted,
)

MAX_DEPTH, MAX_NAME, MAX_VALUES, MAX_INTEGER = 40, 200, 1000, 2**63
_FORMS = "write name(option=value), a | b, ~a, a < 0.25 or 0.5 * a"


def parse(text: str) -> Expression:
    """Return the expression tree of a feature's `text`; ``str()`` of the tree is its canonical text.

    Raises:
        ExpressionError: the text does not parse; it shows the place and says what to write.
    """
    source = read(text)
    return _Reader(source).expression(_tree(source))


def is_path(text: str) -> bool:
    """Whether `text` is a file's path, or a folder's with a separator in it: a plain word may be a name."""
    place = os.path.expanduser(text)
    return os.path.isfile(place) or (any(sep in text for sep in "/\\") and os.path.isdir(place))


def parse_generator(text: str, isfile: Callable[[str], bool] = is_path) -> Call | Open:
    """Return the tree of a generator's `text`: a name with options, ``./my_generator.py:build``, or a file's path.

    A text is a path where it holds a separator, ends like a checkpoint, or, unless it is a plain name,
    where such a file exists.

    Raises:
        ExpressionError: the text is none of these.
    """
    source = read(text, opens=True, isfile=isfile)
    reader = _Reader(source)
    node = _tree(source)
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        quotes = "without quotes " if isinstance(node, ast.Constant) else ""
        reader.fail(node, f"a generator is one name with options, ./my_generator.py:build, or a path, {quotes}alone")
    call = reader.call(node)
    if call.name != "open":
        return call
    if len(call.args) != 1 or not isinstance(call.args[0], str):
        reader.fail(node, 'open takes one path, and options by name: open("ffhq.pkl", space=w)')
    return Open(call.args[0], call.options)


def parse_either(text: str) -> Expression | Open:
    """Return the tree of a generator's file or of a feature's `text`; raises as for a feature where it is neither."""
    try:
        node = parse_generator(text)
    except ExpressionError:
        return parse(text)
    return node if isinstance(node, Open) else parse(text)


def as_tree(what: Any, parse: Callable[[str], Any] = parse) -> Any:
    """Return the tree of `what`: text parsed by `parse`, a tree as it is, another object as an `Instance`.

    Raises:
        ValueError: a number, a list or a table, as a recipe may hold by mistake.
    """
    if isinstance(what, str):
        return parse(what)
    if isinstance(what, (Call, Complement, Chain, Instance, Held, Weighted, Open)):
        return what
    if callable(what) or hasattr(what, "start"):  # a feature, a generator, a function; or a method
        return Instance(getattr(what, "__name__", type(what).__name__), what)
    raise ValueError("should be text")


def _tree(source: Source) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes such as "\d", which stay as written
            return ast.parse(source.python, mode="eval").body
    except SyntaxError as error:
        start = error.offset - 1 if error.offset and error.lineno == 1 else len(source.python)
        end = (error.end_offset or 0) - 1
        start, end = source.place(start, max(start + 1, end))
        raise ExpressionError(_reason(error.msg), source.text, start, end) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError(f"nested too deeply, or not text that can be read; {_FORMS}", source.text) from None


def _reason(message: str) -> str:
    if "was never closed" in message or "unmatched" in message or "does not match" in message:
        return message
    if "unterminated" in message:
        return "a string without its closing quote"
    if "positional argument follows" in message:
        return "a value without a name stands after a named one: put it first"
    return f"does not parse; {_FORMS}; a value that is not a word or a number wants quotes"


class _Reader:
    """Turn Python's nodes into ours, or say where that fails."""

    def __init__(self, source: Source):
        self.source = source

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Return where `node` begins and ends in the user's text."""
        encoded = self.source.python.encode()  # ast counts bytes
        start = len(encoded[: getattr(node, "col_offset", 0)].decode())
        end = len(encoded[: getattr(node, "end_col_offset", len(encoded))].decode())
        return self.source.place(start, end)

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        """Raise an ExpressionError at `node`."""
        raise ExpressionError(message, self.source.text, *self.place(node))

    def expression(self, node: ast.expr) -> Expression:
        """Return a feature's whole expression, with the tolerance or weight that may stand at the top alone."""
        if isinstance(node, ast.Compare):
            return self.held(node)
        if weight := _leading_weight(node):
            return Weighted(self.positive(weight.left, "a weight"), self.node(node, without=weight))
        return self.node(node)

    def held(self, node: ast.Compare) -> Held:
        """Return the tree of ``x < 0.25``."""
        if len(node.ops) > 1:
            self.fail(node, "only one comparison: write x < 0.25")
        if not isinstance(node.ops[0], ast.Lt):
            self.fail(node, "a tolerance is written with '<', the feature on the left: x < 0.25")
        if _number(node.left) is not None:
            self.fail(node, "the feature stands on the left of '<': x < 0.25")
        if weight := _leading_weight(node.left):
            self.fail(weight, "a weight is for a varied feature, a tolerance for a fixed one: write one of them")
        return Held(self.node(node.left), self.positive(node.comparators[0], "a tolerance"))

    def positive(self, node: ast.expr, what: str) -> float:
        """Return the positive, finite number at `node`."""
        number = _number(node)
        if number is None or not 0 < number <= sys.float_info.max:
            self.fail(node, f"{what} is a positive number, such as 0.25")
        return float(number)

    def node(self, node: ast.expr, depth: int = 0, without: ast.BinOp | None = None) -> Tree:
        """Return a call, a complement or a chain; `without` is a leading weight that is already read."""
        if depth > MAX_DEPTH:
            self.fail(node, f"nested more than {MAX_DEPTH} deep")
        if without is not None and node is without:
            return self.node(without.right, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self.chain(node, depth, without)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            inner = self.node(node.operand, depth + 1)
            return inner.inner if isinstance(inner, Complement) else Complement(inner)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
            return self.call(node, depth)
        self.fail(node, self.complaint(node))

    def chain(self, node: ast.BinOp, depth: int, without: ast.BinOp | None) -> Chain:
        """Return the tree of ``a | b | c``; a chain inside a chain is the same chain."""
        links: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.BitOr):
            links.append(left.right)
            left = left.left
        parts: list[Call | Complement] = []
        for link in (left, *reversed(links)):
            part = self.node(link, depth + 1, without)
            parts += part.parts if isinstance(part, Chain) else (part,)
        return Chain(tuple(parts))

    def complaint(self, node: ast.expr) -> str:
        """Return what to write instead of a `node` that cannot stand where a feature stands."""
        if isinstance(node, ast.Compare):
            return "a tolerance stands at the end of the whole expression, without a weight: a | b < 0.25"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            if _number(node.right) is not None:
                return "the weight comes first: 0.5 * x"
            return "a weight stands once, before the whole expression: 0.5 * x"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return f"a name stands without quotes; a function in a file is file({quoted(node.value)})"
        if _number(node) is not None:
            return "expected the name of a feature, found a number"
        return f"this is not part of the language; {_FORMS}"

    def call(self, node: ast.Name | ast.Attribute | ast.Call, depth: int = 0) -> Call:
        """Return the call of a name, with or without options."""
        target = node.func if isinstance(node, ast.Call) else node
        name = _dotted(target)
        if name is None or len(name) > MAX_NAME:
            self.fail(target, "a name is words joined by dots, such as fourier.low")
        if name in LITERALS:
            self.fail(target, f"expected a name, found {name}")
        if not isinstance(node, ast.Call):
            return Call(name)
        options: dict[str, Value] = {}
        for option in node.keywords:
            if option.arg is None:
                self.fail(option, "options are written name=value")
            if option.arg in options:
                self.fail(option, f"option {option.arg!r} is given twice")
            options[option.arg] = self.value(option.value, depth)
        args = tuple(self.value(arg, depth) for arg in node.args)
        if name == "file" and not (args and isinstance(args[0], str)):
            self.fail(node, 'file takes the path and the name of a function: file("./my_feature.py:fn")')
        return Call(name, args, tuple(options.items()))

    def value(self, node: ast.expr, depth: int = 0) -> Value:
        """Return an option's value: a number, word, string, true, false, several numbers or words, or a feature."""
        if isinstance(node, (ast.Tuple, ast.List)):
            if len(node.elts) > MAX_VALUES:
                self.fail(node.elts[MAX_VALUES], f"at most {MAX_VALUES} values, got {len(node.elts)}")
            values: list[str | int | float] = []
            for element in node.elts:
                value = self.value(element, depth)
                if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                    self.fail(element, "several values are numbers or words: (0, 0, 0.5, 1) or (sofa, lamp)")
                values.append(value)
            return values[0] if len(values) == 1 else tuple(values)  # (sofa,) means what sofa means, and prints so
        if isinstance(node, ast.Call) or isinstance(getattr(node, "op", None), (ast.BitOr, ast.Invert)):
            return self.node(node, depth + 1)
        number = _number(node)
        if number is not None:
            if isinstance(number, float) and not math.isfinite(number):
                self.fail(node, "a number must be finite")
            if isinstance(number, int) and abs(number) > MAX_INTEGER:
                self.fail(node, "a whole number must lie between -2^63 and 2^63")
            return number
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bool)):
            return node.value
        word = _dotted(node)
        if word is not None:
            return LITERALS.get(word, word)
        start, end = self.place(node)
        text = quoted(self.source.text[start:end])
        self.fail(node, f"a value is a number, a word, true, false, several of them, or text in quotes: {text}")


def _number(node: ast.expr) -> int | float | None:
    """Return the number that `node` writes, with its sign; None if it is none."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        sign = -1 if isinstance(node.op, ast.USub) else 1
        node = node.operand
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return sign * node.value  # type: ignore[operator, return-value]
    return None


def _dotted(node: ast.expr) -> str | None:
    """Return the name that `node` writes, such as ``fourier.low``; None if it is none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((node.id, *reversed(parts)))


def _leading_weight(node: ast.expr) -> ast.BinOp | None:
    """Return the product ``0.5 * a`` that begins `node`: Python reads ``0.5 * a | b`` as ``(0.5 * a) | b``."""
    first = node
    while isinstance(first, ast.BinOp) and isinstance(first.op, ast.BitOr):
        first = first.left
    if not (isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult)):
        return None
    whole = first is node or first.col_offset == node.col_offset  # differs where parentheses enclose the product
    return first if whole and _number(first.right) is None and not isinstance(first.left, ast.BinOp) else None
