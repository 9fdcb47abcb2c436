"""State dicts of networks whose architecture is known: read whole, and put into a module whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from eigenwalk.checkpoint.checkpoint import Checkpoint
from eigenwalk.checkpoint.lazy import LazyTensor
from eigenwalk.checkpoint.machine import Record
from eigenwalk.checkpoint.selection import StateDict, flatten, is_module
from eigenwalk.errors import FileError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

    Module = TypeVar("Module", bound=nn.Module)

WRAPPERS = ("state_dict", "model", "model_state")
"""Keys under which training scripts keep the state dict beside an epoch, an optimiser and the like."""
SAVE = "torch.save(net.state_dict(), …)"


def state_dict(path: os.PathLike[str] | str) -> dict[str, Tensor]:
    """The tensors in the file at `path` by name, on the CPU, in the dtype that the file has.

    Where the top level holds more than tensors, one level of ``state_dict``, ``model`` or ``model_state`` is taken off.
    So is what DataParallel and torch.compile put before all names. A pickled module stands for its tensors.

    Raises:
        FileError: missing, truncated, no file of tensors, or one that holds more than tensors.
    """
    checkpoint = Checkpoint.of(path)
    tree = checkpoint.tree
    if isinstance(tree, dict) and not _holds_tensors_alone(tree):
        tree = next((tree[key] for key in WRAPPERS if isinstance(tree.get(key), dict)), tree)
    if is_module(tree) or (isinstance(tree, dict) and tree and _holds_tensors_alone(tree)):
        held = flatten(tree, str(checkpoint))
        start = "module." if all(name.startswith("module.") for name in held) else ""
        held = {name.removeprefix(start): tensor for name, tensor in held.items()}
        return StateDict(held, str(checkpoint), checkpoint.size).load()
    if checkpoint.foreign:
        raise FileError(
            f"{checkpoint} holds more than tensors, it wants {checkpoint.foreign[0]}, so it was not opened and nothing "
            f"of it was run: save the tensors alone, as safetensors or by {SAVE}"
        )
    if not isinstance(tree, dict) or not tree:
        kind = "is empty" if isinstance(tree, dict) else f"holds a {_kind(tree)}"
        raise FileError(f"{checkpoint} {kind}, where tensors by name were expected: save it as {SAVE}")
    others = [f"{key} ({_kind(value)})" for key, value in tree.items() if not isinstance(value, LazyTensor)]
    raise FileError(f"{checkpoint} holds more than tensors by name: {_few(others)}; save the state dict alone: {SAVE}")


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


def fill(build: Callable[[], Module], state: Mapping[str, Tensor], what: str) -> Module:
    """The module that `build` makes with the tensors of `state`: float32, eval mode, frozen; `what` names the file.

    It is first built without memory: the sizes that a file asks for may need more than it has tensors for.

    Raises:
        WeightsError: as `into`.
        FileError: tensors hold NaN or infinity.
    """
    import torch

    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise FileError(f"{what} holds NaN or infinity in {name}: the network was saved after it had diverged")
    with torch.device("meta"), warnings.catch_warnings(action="ignore"):  # of tensors without numbers
        into(build(), state, what)
    return into(build(), state, what).eval().requires_grad_(False)


def _holds_tensors_alone(tree: Mapping[object, object]) -> bool:
    return all(isinstance(key, str) and isinstance(value, LazyTensor) for key, value in tree.items())


def _kind(value: object) -> str:
    if isinstance(value, Record):
        return value.kind.rpartition(".")[2]
    return "Tensor" if isinstance(value, LazyTensor) else type(value).__name__


def _few(items: list[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
