"""The data of TorchScript's code: objects of the file, call frames with their variables, functions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from eigenwalk_module.bounds import NODES
from eigenwalk_module.opened import Refusal

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
    """One call of a function: its local variables and finally its result.

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


def run_body(body: list[tuple[Run, list[str]]], frame: Frame) -> bool:
    """Carry out statements, each with the variables to forget after it; return whether the function ends there."""
    for statement, last in body:
        if statement(frame):
            return True
        for name in last:
            frame.values.pop(name, None)
    return False


def is_name(node: ast.AST, name: str | None = None) -> bool:
    """Whether `node` is a name, and the given one if one is given."""
    return isinstance(node, ast.Name) and name in (None, node.id)
