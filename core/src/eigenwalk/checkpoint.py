"""Files of tensors, opened without running what they hold: safetensors, or PyTorch's format with `weights_only`."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError, WeightsError

WRAPPERS = ("state_dict", "model", "model_state")
"""Keys under which training scripts keep the state dict beside an epoch, an optimiser and the like."""

Module = TypeVar("Module", bound=nn.Module)


def state_dict(path: Path | str) -> dict[str, Tensor]:
    """The tensors in the file at `path` by name, on the CPU, in the dtype that the file has.

    ``.safetensors`` is opened as such, anything else by ``torch.load(weights_only=True)``, which runs no code of the
    file. Where the top level holds more than tensors, one level of ``state_dict``, ``model`` or ``model_state`` is
    taken off.

    Raises:
        FileError: missing, truncated, no file of tensors, or one that wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"there is no file {path}")
    opened = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    if isinstance(opened, Mapping) and not _tensors(opened):
        opened = next((opened[key] for key in WRAPPERS if isinstance(opened.get(key), Mapping)), opened)
    if not isinstance(opened, dict) or not opened:
        kind = "is empty" if isinstance(opened, dict) else f"holds a {type(opened).__name__}"
        raise FileError(f"{path} {kind}, where tensors by name were expected: save it as torch.save(net.state_dict())")
    if not _tensors(opened):
        others = [f"{key} ({type(value).__name__})" for key, value in opened.items() if not isinstance(value, Tensor)]
        raise FileError(
            f"{path} holds more than tensors by name: {_few(others)}; save the state dict alone: "
            "torch.save(net.state_dict(), …)"
        )
    return opened


def into(module: Module, state: Mapping[str, Tensor], what: str) -> Module:
    """`module`, which has taken every tensor of `state`, none missing and none left over.

    `what` names the file and what wanted it, in messages.

    Raises:
        WeightsError: keys are missing or left over, or shapes differ; the message names them.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        own = module.state_dict()
        shapes = [
            f"{key} {tuple(state[key].shape)} where {tuple(own[key].shape)} is wanted"
            for key in own
            if key in state and state[key].shape != own[key].shape
        ]
        wrong = {
            "missing": [key for key in own if key not in state],
            "unexpected": [key for key in state if key not in own],
            "shapes": shapes,
        }
        told = "; ".join(f"{kind}: {_few(keys)}" for kind, keys in wrong.items() if keys)
        raise WeightsError(f"{what} does not fit {type(module).__name__}: {told or error}") from None
    return module


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise FileError(f"{path} cannot be opened as safetensors, it is truncated or no such file: {error}") from error


def _torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # of formats that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wants = re.search(r"(?:GLOBAL|global|class|function)[: ]+`?([\w.]+\.[\w.]+)", str(error))
        if wants is None:
            raise FileError(f"{path} cannot be opened as weights: it is no PyTorch file, and was not run") from error
        raise FileError(
            f"{path} holds more than tensors, it wants {wants[1]}, so it was not opened and nothing of it was run: "
            "save the tensors alone, as safetensors or by torch.save(net.state_dict(), …)"
        ) from error
    except Exception as error:  # a damaged file makes the reader of pickles and archives raise anything
        spoken = isinstance(error, (OSError, RuntimeError, EOFError)) and str(error)  # others tell a byte or an index
        told = f" ({spoken.splitlines()[0]})" if spoken else ""
        raise FileError(f"{path} cannot be opened as weights, it is truncated or no PyTorch file{told}") from error


def _tensors(found: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, Tensor) for key, value in found.items())


def _few(items: list[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
