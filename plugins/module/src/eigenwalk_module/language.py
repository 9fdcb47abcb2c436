"""The language of TorchScript, carried out by an interpreter of ours.

The code in such a file has the syntax of Python, of which torch writes a small part: assignments, conditions, loops,
calls. It is parsed as data and each construct is looked up here; a construct, an operation or an attribute that is not
known is refused. Nothing is compiled and no name of the file reaches Python. Devices that a trace has written down
become the device of the latent, and float32 the dtype of the network.

A local variable is forgotten after its last use, as torch's own interpreter does; otherwise all layers of a network
would be held until its end.
"""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eigenwalk_module.aten import CHECKS
from eigenwalk_module.bounds import NODES
from eigenwalk_module.opened import Refusal
from eigenwalk_module.words import CONVERSIONS, ONLY_PLAIN, OWN, PLAIN, TENSOR_IN, Operation, Place

CODE = 4 << 20
"""Bytes of code: that of StyleGAN2 at 1024 pixels has 0.4 million."""
DEPTH = 60
"""Calls within calls."""
Run = Callable[["Frame"], Any]
"""An expression or a statement, ready to be carried out. A statement returns whether its function ends there."""


@dataclass
class Instance:
    """An object of the file: the name of its class and its attributes."""

    kind: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Slot:
    """A tensor of the file, by the name of the buffer that holds it."""

    name: str


@dataclass
class Frame:
    """One call of a function: its local variables and, at its end, its result.

    Attributes:
        tensors: those of the file, by the names in `Slot`s.
        depth: calls that this one stands in.
        steps: one number, the statements that were carried out so far for this batch.
    """

    values: dict[str, Any]
    tensors: Mapping[str, Tensor]
    depth: int = 0
    steps: list[int] = field(default_factory=lambda: [0])
    result: Any = None

    def count(self) -> None:
        """Count a statement; raises Refusal after too many."""
        self.steps[0] += 1
        if self.steps[0] > NODES:
            raise Refusal(f"its code runs more than {NODES:,} statements for one batch of images")


@dataclass
class Function:
    """A function or method of the file, prepared when it is first called."""

    node: ast.FunctionDef
    body: list[tuple[Run, list[str]]] | None = None
    defaults: dict[str, Run] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Its parameters."""
        return [one.arg for one in self.node.args.args]


class Code:
    """The functions in the files of code `texts`, by their full names.

    Raises:
        Refusal: the code is too long, or is none that torch writes.
    """

    def __init__(self, texts: Mapping[str, bytes], constants: Sequence[Any]) -> None:
        if sum(map(len, texts.values())) > CODE:
            raise Refusal(f"its code has more than {CODE >> 20} MB")
        self.constants, self.functions, self.tuples = constants, {}, {}
        self.place = Place(torch.device("cpu"), torch.float32)
        for name, text in texts.items():
            for node in _parse(name, text).body:
                full = f"{name}.{node.name}" if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else name
                if isinstance(node, ast.FunctionDef):
                    self.functions[full] = Function(node)
                elif isinstance(node, ast.ClassDef):
                    self._add_class(full, node)
                else:
                    raise Refusal(f"{name} holds a {type(node).__name__}, where classes and functions are expected")

    def _add_class(self, full: str, node: ast.ClassDef) -> None:
        self.tuples[full] = any(_is_name(base, "NamedTuple") for base in node.bases)
        for one in node.body:
            if isinstance(one, ast.FunctionDef):
                self.functions[f"{full}.{one.name}"] = Function(one)

    def __deepcopy__(self, memo: Any) -> Code:
        """Code that shares the parsed functions, and prepares them for a place of its own."""
        made = copy.copy(self)
        made.place = Place(self.place.device, self.place.dtype)
        made.functions = {name: Function(one.node) for name, one in self.functions.items()}
        return made

    def run(self, network: Instance, given: list[Any], tensors: Mapping[str, Tensor]) -> Any:
        """What the method ``forward`` of `network` returns; `tensors` are those of the file."""
        return self.call(f"{network.kind}.forward", [network, *given], {}, Frame({}, tensors))

    def call(self, name: str, given: list[Any], named: Mapping[str, Any], caller: Frame) -> Any:
        """What the function of this full name returns. `given` is emptied, so that nothing is held twice."""
        function = self.functions.get(name)
        if function is None:
            raise Refusal(f"its code calls {name[:80]}, which is not there")
        if caller.depth > DEPTH:
            raise Refusal(f"its code calls more than {DEPTH} functions within each other")
        if function.body is None:
            function.body = _Compiler(self).body(function)
        frame = Frame({}, caller.tensors, caller.depth + 1, caller.steps)
        frame.values = {key: run(frame) for key, run in function.defaults.items()}
        frame.values |= {**dict(zip(function.names, given, strict=False)), **named}
        given.clear()
        _run(function.body, frame)
        return frame.result


def _parse(name: str, text: bytes) -> ast.Module:
    try:
        return ast.parse(text.decode())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refusal(f"its code in {name[:80]} is none that torch writes ({type(error).__name__})") from None


def _run(body: list[tuple[Run, list[str]]], frame: Frame) -> bool:
    for statement, last in body:
        if statement(frame):
            return True
        for name in last:
            frame.values.pop(name, None)
    return False


def _is_name(node: ast.AST, name: str | None = None) -> bool:
    return isinstance(node, ast.Name) and name in (None, node.id)


def _path(node: ast.AST) -> list[str]:
    """The names of ``a.b.c``; nothing for another expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *names[::-1]] if isinstance(node, ast.Name) else []


class _Compiler:
    """Turns the functions of `code` into closures."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def body(self, function: Function) -> list[tuple[Run, list[str]]]:
        """The statements of a function, each with the variables that are used in it for the last time."""
        arguments = function.node.args
        optional = function.names[len(function.names) - len(arguments.defaults) :]
        function.defaults = {name: self.expression(one) for name, one in zip(optional, arguments.defaults, strict=True)}
        used: dict[str, int] = dict.fromkeys(function.names, 0)
        for i, node in enumerate(function.node.body):
            used |= {one.id: i for one in ast.walk(node) if isinstance(one, ast.Name)}
        last: list[list[str]] = [[] for _ in function.node.body]
        for name, i in used.items():
            last[i].append(name)
        made = []
        for node, names in zip(function.node.body, last, strict=True):
            if isinstance(node, (ast.Assign, ast.Return, ast.Expr)):  # taken out where they are read, if they are once
                read = [one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
                for one in read:
                    one.moves = one.id in names and sum(one.id == other.id for other in read) == 1  # type: ignore
            made.append((self.statement(node), names))
        return made

    def block(self, nodes: list[ast.stmt]) -> Run:
        body = [(self.statement(one), []) for one in nodes]
        return lambda frame: _run(body, frame)

    def statement(self, node: ast.stmt) -> Run:
        """`node` as a closure. What is not carried out is refused when it is reached: many branches never are."""
        make = getattr(self, f"_statement_{type(node).__name__}", None)
        try:
            if make is None:
                raise Refusal(f"its code has the statement {type(node).__name__}, which torch does not write")
            run = make(node)
        except Refusal as error:
            return _refuse(str(error))

        def counted(frame: Frame) -> bool:
            frame.count()
            return bool(run(frame))

        return counted

    def _statement_Pass(self, node: ast.Pass) -> Run:
        return lambda frame: False

    def _statement_Expr(self, node: ast.Expr) -> Run:
        value = self.expression(node.value)

        def run(frame: Frame) -> bool:
            value(frame)
            return False

        return run

    def _statement_Return(self, node: ast.Return) -> Run:
        value = self.expression(node.value) if node.value else lambda frame: None

        def run(frame: Frame) -> bool:
            frame.result = value(frame)
            return True

        return run

    def _statement_AnnAssign(self, node: ast.AnnAssign) -> Run:
        return self._assign(node.target, node.value or ast.Constant(None))

    def _statement_Assign(self, node: ast.Assign) -> Run:
        return self._assign(node.targets[0], node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> Run:
        run = self.expression(value)
        if isinstance(target, ast.Name):
            name = target.id

            def assign(frame: Frame) -> None:
                frame.values[name] = run(frame)

            return assign
        if isinstance(target, ast.Tuple) and all(map(_is_name, target.elts)):
            names = [one.id for one in target.elts]  # type: ignore

            def unpack(frame: Frame) -> None:
                frame.values |= zip(names, run(frame), strict=True)

            return unpack
        raise Refusal("its code changes an attribute of the network, which images must not depend on")

    def _statement_If(self, node: ast.If) -> Run:
        test, yes, no = self.expression(node.test), self.block(node.body), self.block(node.orelse)
        return lambda frame: yes(frame) if test(frame) else no(frame)

    def _statement_While(self, node: ast.While) -> Run:
        test, block = self.expression(node.test), self.block(node.body)

        def run(frame: Frame) -> bool:
            while test(frame):
                frame.count()
                if block(frame):
                    return True
            return False

        return run

    def _statement_For(self, node: ast.For) -> Run:
        call = node.iter
        if not (isinstance(call, ast.Call) and _is_name(call.func, "range") and _is_name(node.target)):
            raise Refusal("its code has a loop over something else than a range")
        limits, block = [self.expression(one) for one in call.args], self.block(node.body)
        name = node.target.id  # type: ignore

        def run(frame: Frame) -> bool:
            for i in range(*(one(frame) for one in limits)):
                frame.count()
                frame.values[name] = i
                if block(frame):
                    return True
            return False

        return run

    def expression(self, node: ast.expr) -> Run:
        make = getattr(self, f"_{type(node).__name__}", None)
        if make is None:
            raise Refusal(f"its code has the expression {type(node).__name__}, which torch does not write")
        return make(node)

    def _Constant(self, node: ast.Constant) -> Run:
        value = node.value
        return lambda frame: value

    def _Name(self, node: ast.Name) -> Run:
        name, words = node.id, {"inf": float("inf"), "nan": float("nan"), "infj": complex(0, float("inf"))}
        if name in words:
            return lambda frame: words[name]
        take = operator.methodcaller("pop", name) if getattr(node, "moves", False) else operator.itemgetter(name)

        def get(frame: Frame) -> Any:
            try:
                return take(frame.values)
            except KeyError:
                raise Refusal(f"its code names {name[:80]}, which is not there") from None

        return get

    def _UnaryOp(self, node: ast.UnaryOp) -> Run:
        value = self.expression(node.operand)
        if isinstance(node.op, ast.USub):
            return lambda frame: -value(frame)
        return lambda frame: not value(frame)

    def _IfExp(self, node: ast.IfExp) -> Run:
        test, yes, no = self.expression(node.test), self.expression(node.body), self.expression(node.orelse)
        return lambda frame: yes(frame) if test(frame) else no(frame)

    def _List(self, node: ast.List) -> Run:
        values = [self.expression(one) for one in node.elts]
        return lambda frame: [one(frame) for one in values]

    def _Tuple(self, node: ast.Tuple) -> Run:
        values = [self.expression(one) for one in node.elts]
        return lambda frame: tuple([one(frame) for one in values])

    def _Dict(self, node: ast.Dict) -> Run:
        pairs = [(self.expression(key), self.expression(one)) for key, one in zip(node.keys, node.values, strict=True)]  # type: ignore
        return lambda frame: {key(frame): value(frame) for key, value in pairs}

    def _Subscript(self, node: ast.Subscript) -> Run:
        value = self.expression(node.value)
        if isinstance(node.slice, ast.Slice):
            ends = [self.expression(one) if one else None for one in (node.slice.lower, node.slice.upper)]
            return lambda frame: value(frame)[slice(*(one and one(frame) for one in ends))]
        place = self.expression(node.slice)
        return lambda frame: value(frame)[place(frame)]

    def _Attribute(self, node: ast.Attribute) -> Run:
        names = _path(node)
        if names[:1] == ["__torch__"]:
            name = ".".join(names)
            return lambda frame: name
        if names[:1] == ["CONSTANTS"] and len(names) == 2:
            i = int(names[1].removeprefix("c"))
            return lambda frame: _read(self.code.constants[i], frame.tensors)
        return self._attribute(self.expression(node.value), node.attr)

    def _attribute(self, value: Run, name: str) -> Run:
        def get(frame: Frame) -> Any:
            found = value(frame)
            if isinstance(found, Instance):
                return _read(found.attributes[name], frame.tensors)
            raise Refusal(f"its code reads {name[:40]!r} of a {type(found).__name__}")

        return get

    def _Call(self, node: ast.Call) -> Run:
        names = _path(node.func)
        if names[:1] == ["torch"] and len(names) == 2:
            return self._operation("aten", names[1], node)
        if names[:1] == ["ops"] and len(names) == 3:
            return self._operation(names[1], names[2], node)
        if names[:1] == ["__torch__"]:
            return self._function(".".join(names), node)
        if len(names) == 1 and names[0] in CONVERSIONS:
            return self._word(names[0], node.args)
        if isinstance(node.func, ast.Name):
            function, (given, named) = self.expression(node.func), self._arguments(node)
            return lambda frame: self.code.call(function(frame), given(frame), named(frame), frame)
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func, node)
        raise Refusal("its code calls what has no name")

    def _arguments(self, node: ast.Call) -> tuple[Run, Run]:
        values = [self.expression(one) for one in node.args]
        words = {one.arg: self.expression(one.value) for one in node.keywords if one.arg}
        return (
            lambda frame: [one(frame) for one in values],
            lambda frame: {name: one(frame) for name, one in words.items()},
        )

    def _method(self, function: ast.Attribute, node: ast.Call) -> Run:
        owner, name, (given, named) = self.expression(function.value), function.attr, self._arguments(node)

        def call(frame: Frame) -> Any:
            found = owner(frame)
            if not isinstance(found, Instance):
                raise Refusal(f"its code calls {name[:40]!r} of a {type(found).__name__}")
            return self.code.call(f"{found.kind}.{name}", [found, *given(frame)], named(frame), frame)

        return call

    def _function(self, name: str, node: ast.Call) -> Run:
        if name == "__torch__.torch.backends.mha.get_fastpath_enabled":
            return lambda frame: False  # the fused form has no forward mode
        given, named = self._arguments(node)
        if self.code.tuples.get(name):
            return lambda frame: tuple(given(frame))
        return lambda frame: self.code.call(name, given(frame), named(frame), frame)

    def _word(self, name: str, arguments: list[ast.expr]) -> Run:
        if name in ("annotate", "unchecked_cast"):  # the type comes first
            value = self.expression(arguments[1])
            if any(_is_name(arguments[0], kind) for kind in ("int", "float", "number")):
                return lambda frame: found.item() if isinstance(found := value(frame), Tensor) else found
            return value
        if name in ("uninitialized", "print"):
            return lambda frame: None
        if name == "isinstance":
            value, kind = self.expression(arguments[0]), _path(arguments[1])
            known = {"Tensor": Tensor, "int": int, "float": float, "bool": bool, "str": str}
            if len(kind) != 1 or kind[0] not in known:
                raise Refusal("its code asks for a type that is not known here")
            return lambda frame: isinstance(value(frame), known[kind[0]])
        if name == "getattr":
            if not isinstance(arguments[1], ast.Constant):
                raise Refusal("its code reads an attribute whose name is computed")
            return self._attribute(self.expression(arguments[0]), str(arguments[1].value))
        value, convert = self.expression(arguments[0]), CONVERSIONS[name]
        return lambda frame: convert(value(frame))

    def _operation(self, space: str, name: str, node: ast.Call) -> Run:
        if space == "profiler" or (space == "aten" and name in CHECKS):
            return lambda frame: None
        given, named = self._arguments(node)
        if space == "prim" or (space == "aten" and name in OWN):
            own = OWN.get(name)
            if own is None:
                raise Refusal(f"it uses {space}::{name[:80]}, which is not carried out")
            return lambda frame: own(self.code.place, *given(frame), **named(frame))
        if space != "aten":
            raise Refusal(f"it uses {space[:40]}::{name[:80]}: operations that are not torch's own are not carried out")
        plain, tensors = PLAIN.get(name), Operation(self.code.place, name) if name not in ONLY_PLAIN else None

        def call(frame: Frame) -> Any:
            values, words = given(frame), named(frame)
            if plain is not None and not any(isinstance(one, Tensor) for one in values[: TENSOR_IN.get(name, 2)]):
                return plain(*values, **words)
            if tensors is None:
                raise Refusal(f"it uses aten::{name}, which is carried out for numbers and lists alone")
            return tensors(values, words)

        return call


def _refuse(reason: str) -> Run:
    def refuse(frame: Frame) -> bool:
        raise Refusal(reason)

    return refuse


def _read(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """An attribute's value, in which tensors, also those in a list or a dictionary, are looked up."""
    if isinstance(value, Slot):
        return tensors[value.name]
    if isinstance(value, (list, tuple)):
        return type(value)([tensors[one.name] if isinstance(one, Slot) else one for one in value])
    if isinstance(value, dict):
        return {key: tensors[one.name] if isinstance(one, Slot) else one for key, one in value.items()}
    return value
