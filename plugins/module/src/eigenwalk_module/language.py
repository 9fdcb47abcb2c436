"""An interpreter of our own for the language of TorchScript.

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
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eigenwalk_module.compiler import Compiler
from eigenwalk_module.frames import Frame, Function, Instance, is_name, run_body
from eigenwalk_module.opened import Refusal
from eigenwalk_module.words import Place

CODE = 4 << 20
"""Bytes of code: that of StyleGAN2 at 1024 pixels has 0.4 million."""
DEPTH = 60
"""Calls within calls."""


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
        self.tuples[full] = any(is_name(base, "NamedTuple") for base in node.bases)
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
        """Return what the method ``forward`` of `network` returns; `tensors` are those of the file."""
        return self.call(f"{network.kind}.forward", [network, *given], {}, Frame({}, tensors))

    def call(self, name: str, given: list[Any], named: Mapping[str, Any], caller: Frame) -> Any:
        """Return what the function of this full name returns. `given` is emptied, so that nothing is held twice."""
        function = self.functions.get(name)
        if function is None:
            raise Refusal(f"its code calls {name[:80]}, which is not there")
        if caller.depth > DEPTH:
            raise Refusal(f"its code calls more than {DEPTH} functions within each other")
        if function.body is None:
            function.body = Compiler(self).body(function)
        frame = Frame({}, caller.tensors, caller.depth + 1, caller.steps)
        frame.values = {key: run(frame) for key, run in function.defaults.items()}
        frame.values |= {**dict(zip(function.names, given, strict=False)), **named}
        given.clear()
        run_body(function.body, frame)
        return frame.result


def _parse(name: str, text: bytes) -> ast.Module:
    try:
        return ast.parse(text.decode())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refusal(f"its code in {name[:80]} is none that torch writes ({type(error).__name__})") from None
