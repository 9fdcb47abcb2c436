"""Read TorchScript files: weights and code are read as data, and `language` interprets the code.

torch's own reader is not used. It looks at the file in its own way (an archive may be a mobile model to it), runs the
methods ``__setstate__`` of the file while it reads, and cannot be stopped in a loop that does not end.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint, LazyTensor, Record
from eigenwalk.checkpoint.torchfile import read_archive
from eigenwalk.errors import FileError
from eigenwalk_module.frames import Instance, Slot
from eigenwalk_module.language import Code
from eigenwalk_module.opened import Input, Loader, Opened, Refusal, image_of

PICKLED = "torch.jit._pickle."
"""Functions that mark the type of a list or a dictionary, which is their first argument."""
DEEPEST = 100


class Script(nn.Module):
    """A TorchScript module: the first image-like output of its ``forward``."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        members = checkpoint.members
        self.held: dict[int, str] = {}
        self.made: dict[int, Any] = {}
        self.load = Loader(checkpoint.size)
        root = read_archive(members, str(checkpoint)).tree
        renamed = {f"data/{name[10:]}": name for name in members if name.startswith("constants/")}
        constants = {name: members[other] for name, other in renamed.items()} | {"data.pkl": members["constants.pkl"]}
        values = read_archive(constants, str(checkpoint)).tree
        texts = {
            name.removeprefix("code/").removesuffix(".py").replace("/", "."): bytes(members[name])
            for name in members
            if name.startswith("code/") and name.endswith(".py")
        }
        self.network = self._value(root)
        if not isinstance(self.network, Instance):
            raise Refusal("it holds no network")
        self.code = Code(texts, [self._value(one) for one in values])
        del self.made, self.load  # which would hold all tensors twice, once they are moved

    def forward(self, *given: Tensor) -> Tensor:
        """Its images."""
        floats = next((one for one in given if isinstance(one, Tensor) and one.is_floating_point()), given[0])
        self.code.place.device, self.code.place.dtype = floats.device, floats.dtype
        copies = [one.clone() if isinstance(one, Tensor) else one for one in given]  # the code may change them in place
        return image_of(self.code.run(self.network, copies, dict(self.named_buffers())))

    def _value(self, value: Any, depth: int = 0) -> Any:
        """Convert a value of the pickle for the interpreter: tensors become buffers, objects `Instance`s."""
        if depth > DEEPEST:
            raise Refusal(f"it holds more than {DEEPEST} objects within each other")
        if not isinstance(value, (LazyTensor, Record, list, tuple, dict)):
            return value
        if id(value) not in self.made:  # a value that stands in many places is made once
            self.made[id(value)] = self._make(value, depth + 1)
        return self.made[id(value)]

    def _make(self, value: Any, depth: int) -> Any:
        if isinstance(value, LazyTensor):
            tensor = self.load(value)
            name = self.held.setdefault(id(tensor), f"tensor_{len(self.held)}")
            self.register_buffer(name, tensor)
            return Slot(name)
        if isinstance(value, dict):
            return {key: self._value(one, depth) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self._value(one, depth) for one in value])
        if value.kind.startswith(PICKLED) and value.arguments:
            return self._value(value.arguments[0], depth)
        if value.kind == "torch.device":
            return torch.device("cpu")
        if not value.kind.startswith("__torch__.") or not isinstance(value.state, dict):
            raise Refusal(f"it holds a {value.kind[:80]} whose state is none that torch.jit.save writes")
        return Instance(value.kind, {str(key): self._value(one, depth) for key, one in value.state.items()})


def script(checkpoint: Checkpoint) -> Opened:
    """Return the TorchScript module in the file.

    Raises:
        FileError: it is damaged, or names what is not carried out here.
    """
    try:
        made = Script(checkpoint)
        forward = made.code.functions.get(f"{made.network.kind}.forward")
        if forward is None:
            raise Refusal("its network has no method forward")
    except Refusal as error:
        raise FileError(f"{checkpoint} was not opened: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(f"{checkpoint} is no TorchScript, or is damaged ({type(error).__name__}: {error})") from error
    arguments = forward.node.args
    required = arguments.args[1 : len(arguments.args) - len(arguments.defaults)]
    kinds = [(one.arg, ast.unparse(one.annotation) if one.annotation else "Tensor") for one in required]
    inputs = tuple(Input(name, None, kind in ("int", "bool"), kind in ("int", "bool", "float")) for name, kind in kinds)
    return Opened(made, inputs, "TorchScript module", _last(forward.node, made))


def _last(function: ast.FunctionDef, made: Script) -> str:
    """Return the operation that computes the result of a function, following calls of modules; "" if unknown."""
    owner: Any = made.network
    for _ in range(100):
        values: Mapping[str, ast.expr] = {
            one.targets[0].id: one.value
            for one in function.body
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
        }
        end = function.body[-1]
        value = end.value if isinstance(end, ast.Return) else None
        while isinstance(value, ast.Name) and value.id in values:
            value = values[value.id]
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
            return ""
        if isinstance(value.func.value, ast.Name) and value.func.value.id == "torch":
            return value.func.attr
        owner = _owner(value.func.value, values, owner)
        inner = made.code.functions.get(f"{owner.kind}.{value.func.attr}") if isinstance(owner, Instance) else None
        if inner is None:
            return ""
        function = inner.node
    return ""


def _owner(node: ast.expr, values: Mapping[str, ast.expr], owner: Instance) -> Any:
    """Return the module that ``self.up``, ``getattr(self, "3")`` or the like means in a method of `owner`."""
    if isinstance(node, ast.Name):
        return _owner(values[node.id], values, owner) if node.id in values else owner
    if isinstance(node, ast.Attribute):
        within, name = node.value, node.attr
    elif isinstance(node, ast.Call) and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
        within, name = node.args[0], node.args[1].value
    else:
        return None
    inside = _owner(within, values, owner)
    return inside.attributes.get(str(name)) if isinstance(inside, Instance) else None
