"""TorchScript files: what their code may do is looked at first, then torch's own reader opens them."""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from pathlib import Path

import torch
from torch import nn

from eigenwalk.errors import FileError
from eigenwalk_module.archive import members
from eigenwalk_module.opened import RANDOM, Input, Opened

NAMESPACES = {"aten", "prim"}
"""Whose operations code may name: those of torch itself, and none that other libraries add."""
REACHING = re.compile(
    r"\b(from_file|save|load|open|getattr|__setstate__|__getstate__|rpc_\w+|_?fork|backend\w*|PythonOp)\b|torch\s*\.\s*classes"
)
"""Words of code that opens or writes files, runs while the file is read, or calls what is not torch's."""
PICKLED = re.compile(
    r"__torch__\.(?!torch\.classes).*|torch\.\w+Storage|torch\._utils\._rebuild_(tensor(_v2)?|parameter)"
    r"|torch\.jit\._pickle\.\w+|collections\.OrderedDict|torch\.(device|Size|dtype|memory_format)"
)
"""What the pickles of such a file name."""


class Script(nn.Module):
    """A TorchScript module: the first image-like output of its ``forward``."""

    def __init__(self, module: torch.jit.ScriptModule):
        super().__init__()
        self.module = module

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        """What it gives."""
        result = self.module(*given)
        results = result if isinstance(result, (tuple, list)) else (result,)
        return next(one for one in results if isinstance(one, torch.Tensor) and one.ndim == 4)


def script(path: Path) -> Opened:
    """The TorchScript module in the file at `path`.

    Raises:
        FileError: its code, or a pickle in it, names what is not read here, or torch cannot open it.
    """
    data, held = members(path)
    for name, member in held.items():
        if name.startswith("code/") and name.endswith(".py"):
            _check_code(path, name, member.decode("utf-8", "replace"))
        elif name in ("data.pkl", "constants.pkl"):
            _check_pickle(path, name, member)
    try:
        with warnings.catch_warnings(action="ignore"):
            module = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
            graph = module.inlined_graph
    except Exception as error:  # a damaged file makes the reader of archives and pickles raise anything
        told = str(error).strip().partition("\n")[0]
        raise FileError(f"{path} cannot be opened as TorchScript ({told})") from error
    for kind in sorted(RANDOM - {"dropout", "rrelu", "native_dropout"}):
        if graph.findAllNodes(f"aten::{kind}", True):
            raise FileError(
                f"{path} draws random numbers (aten::{kind}): script it with noise as an input, or as a constant"
            )
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    _, *arguments = module.forward.schema.arguments
    inputs = tuple(
        Input(one.name, None, str(one.type) in ("int", "bool"), str(one.type) in ("int", "bool", "float"))
        for one in arguments
        if not one.has_default_value()
    )
    output = next(graph.outputs()).node().kind()
    return Opened(Script(module), inputs, "TorchScript module", output.rpartition("::")[2])


def _check_code(path: Path, name: str, text: str) -> None:
    """Raises where code names what reaches beyond its tensors."""
    match = REACHING.search(text)
    if match is not None:
        raise FileError(
            f"{path} was not opened: its code ({name}) has the word {match[0]!r}, which may open files or "
            "run while it is read. Export the network with torch.export instead"
        )
    other = set(re.findall(r"\bops\s*\.\s*(\w+)", text)) - NAMESPACES
    if other:
        raise FileError(f"{path} was not opened: its code calls operations that are not torch's own: {sorted(other)}")


def _check_pickle(path: Path, name: str, data: bytes) -> None:
    """Raises where a pickle names what no file of TorchScript does."""
    try:
        steps = [(code.name, argument) for code, argument, _ in pickletools.genops(data)]
    except ValueError as error:
        raise FileError(f"{path} cannot be opened: {name} in it is damaged ({error})") from error
    named = [str(argument).replace(" ", ".") for code, argument in steps if code == "GLOBAL"]
    strange = [one for one in named if not PICKLED.fullmatch(one)]
    if strange or any(code in ("STACK_GLOBAL", "INST") for code, _ in steps):
        wants = ", ".join(strange[:3]) or "names made on the way"
        raise FileError(f"{path} was not opened: {name} in it wants {wants}")
