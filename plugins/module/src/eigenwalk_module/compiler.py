"""Compile TorchScript's syntax trees to closures. Every construct is looked up here; unknown ones are refused."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from eigenwalk_module.aten import CHECKS
from eigenwalk_module.frames import Frame, Function, Instance, Run, Slot, is_name, run_body
from eigenwalk_module.opened import Refusal
from eigenwalk_module.words import CONVERSIONS, ONLY_PLAIN, OWN, PLAIN, TENSOR_IN, Operation

if TYPE_CHECKING:
    from eigenwalk_module.language import Code


def _path(node: ast.AST) -> list[str]:
    """Return the names in ``a.b.c``; empty for any other expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *names[::-1]] if isinstance(node, ast.Name) else []


class Compiler:
    """Turns the functions of `code` into closures."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def body(self, function: Function) -> list[tuple[Run, list[str]]]:
        """Return the statements of a function, each with the variables that it is the last to use."""
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
        """Return the statements of a branch or a loop as one closure."""
        body = [(self.statement(one), []) for one in nodes]
        return lambda frame: run_body(body, frame)

    def statement(self, node: ast.stmt) -> Run:
        """Return `node` as a closure. An unsupported statement is refused only if it is reached."""
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
        if isinstance(target, ast.Tuple) and all(map(is_name, target.elts)):
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
        if not (isinstance(call, ast.Call) and is_name(call.func, "range") and is_name(node.target)):
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
        """Return the closure that gives the value of `node`."""
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
            if any(is_name(arguments[0], kind) for kind in ("int", "float", "number")):
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
    """Return an attribute's value, with tensors looked up, including those in lists and dictionaries."""
    if isinstance(value, Slot):
        return tensors[value.name]
    if isinstance(value, (list, tuple)):
        return type(value)([tensors[one.name] if isinstance(one, Slot) else one for one in value])
    if isinstance(value, dict):
        return {key: tensors[one.name] if isinstance(one, Slot) else one for key, one in value.items()}
    return value
