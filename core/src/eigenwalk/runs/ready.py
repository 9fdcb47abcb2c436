"""Checks before a walk: its device, the files that it needs, the code that it would run. Torch is loaded late."""

from __future__ import annotations

import ctypes
import os.path
import sys
from typing import TYPE_CHECKING, Any

from eigenwalk import store
from eigenwalk.errors import FileError, InputError, WeightsError
from eigenwalk.names.expression import parse_generator
from eigenwalk.names.files import OwnFile
from eigenwalk.names.options import factory_options
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.names.resolve import resolve_generator
from eigenwalk.names.tree import Call, Open, calls
from eigenwalk.runs.recipe import Recipe
from eigenwalk.spec import GeneratorSpec, Weights

if TYPE_CHECKING:
    import torch


def check_device(text: str) -> None:
    """Raise InputError if this machine plainly has no such device; torch finds out the rest.

    CUDA needs NVIDIA's driver, which is looked for as torch does, or AMD's (``/dev/kfd``); MPS needs macOS.
    """
    kind, lacks = text.partition(":")[0], ""
    if kind == "mps" and sys.platform != "darwin":
        lacks = "only macOS has it"
    elif kind == "cuda" and sys.platform == "darwin":
        lacks = "macOS has no CUDA"
    elif kind == "cuda" and sys.platform == "linux" and not os.path.exists("/dev/kfd") and not _loads("libcuda.so.1"):
        lacks = "no driver of NVIDIA or AMD is installed"
    if lacks:
        raise InputError(f"device {text!r} cannot be used here: {lacks}; write cpu, cuda or mps")


def usable_device(text: str) -> torch.device:
    """Return the device that `text` names; raises InputError if torch cannot compute there."""
    import torch

    check_device(text)
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {text!r} cannot be used here: {reason}; write cpu, cuda or mps") from None
    return device


def check_files(recipe: Recipe) -> None:
    """Raise unless every file that a resolved `recipe` needs is there.

    Raises:
        FileError: an option names a file or folder that does not exist.
        WeightsError: weights are not fetched; the message names all of them.
    """
    missing: dict[str, tuple[Weights, str]] = {}
    for call in (call for tree in (*recipe.trees, recipe.solver) for call in calls(tree)):
        if call.offer and not isinstance(call.offer, OwnFile):
            _check_paths(call)
            for weights in call.offer.spec.needed(factory_options(call.options)):
                if weights.source is not None and not store.place(weights).is_file():
                    chosen = (weights.option,) if weights.option else ()
                    missing.setdefault(weights.file, (weights, str(Call(call.name, options=chosen))))
    if len(missing) == 1:
        store.find(*next(iter(missing.values())))  # its message says where the file comes from
    if missing:
        rows = [f"\n  {one.file} ({store.megabytes(one.size)}, licence: {one.licence})" for one, _ in missing.values()]
        fetch = store.command(*dict.fromkeys(name for _, name in missing.values()))
        raise WeightsError(f"{len(missing)} files of weights are not here:{''.join(rows)}\n  fetch them:  {fetch}")


def _check_paths(call: Call) -> None:
    options = dict(call.options)
    for option in call.offer.spec.options:
        path = options.get(option.name)
        if option.type == "path" and isinstance(path, str) and not os.path.exists(os.path.expanduser(path)):
            raise FileError(f"there is no file {path!r}, which is option {option.name!r} of {call.name}")


def own_files(*trees: Any) -> tuple[OwnFile, ...]:
    """Return the functions in Python files whose code is run to build resolved `trees`.

    Among them are those that a file names which is opened as a generator (`GeneratorSpec.opens`). Options that trees
    give, such as ``trust=true``, make no difference: the trees may be a stranger's. Whoever did not get them from the
    user's own command line or code asks before building them.

    Raises:
        EigenwalkError: what such a file names cannot be resolved; see `resolve_generator`.
    """
    found, todo, opened = dict[OwnFile, None](), list(trees), set[str]()
    while todo:
        tree = todo.pop(0)
        offers = [call.offer for call in ([tree] if isinstance(tree, Open) else calls(tree))]
        found |= dict.fromkeys(offer for offer in offers if isinstance(offer, OwnFile))
        for offer in offers:
            text = offer.spec.opens if isinstance(offer, Offer) and isinstance(offer.spec, GeneratorSpec) else ""
            if text and text not in opened:  # folders may name each other in a circle
                opened.add(text)
                todo.append(resolve_generator(parse_generator(text), Registry.discover()))
    return tuple(found)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
