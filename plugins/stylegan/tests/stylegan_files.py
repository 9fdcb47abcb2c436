"""Files in the layouts of all formats, and what the formats' own code made of the same numbers.

The folder ``references`` has one file for each configuration: images that the format's public code computed, outside
this repository, and the names, shapes and attributes of what it saved. No number of its weights is kept: every tensor
follows from its name by `filled`, on both sides.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import sys
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

REFERENCES = Path(__file__).with_name("references")
MAPPING = re.compile(r"(mapping[./](fc|dense|Dense)\d+|style\.\d+)[./](weight|bias)$")
SUFFIXES = {"nvidia": "pkl", "tensorflow": "pkl", "rosinality": "pt", "genforce": "pth", "hammer": "pth"}


def filled(name: str, shape: tuple[int, ...] | list[int], rate: float = 0.01) -> Tensor:
    """A tensor whose numbers depend on its `name` and `shape` alone, about as large as in a trained network.

    In the mapping, whose weights and biases are multiplied by its `rate`, they are so much larger. NumPy's
    `RandomState` gives the same numbers in every version.
    """
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape) or (1,))
    drawn = torch.from_numpy(numbers.astype(np.float32)).reshape(tuple(shape))
    end = re.split(r"[./]", name)[-1]
    if name.endswith(("affine.bias", "modulation.bias", "style.bias")) and "input" not in name:
        return 1 + 0.3 * drawn
    if "magnitude" in end:
        return 1 + 0.3 * drawn.abs()
    if end in ("noise_strength", "bias", "w_avg", "latent_avg", "mod_bias") or name.endswith("noise.weight"):
        drawn = 0.3 * drawn
    return drawn / rate if MAPPING.match(name) else drawn


def names() -> list[str]:
    """All configurations."""
    return sorted(file.stem for file in REFERENCES.glob("*.npz"))


def kinds(name: str) -> list[str]:
    """What there are images of; ``quiet`` only where the code can do without noise."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        return [key for key in file.files if key in ("z", "truncated", "wplus", "quiet")]


def reference(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What the format's own code made, and the layout of what it saved."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("layout").tobytes())


def tensors(arrays: Mapping[str, np.ndarray], layout: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors of a configuration."""

    def of(key: str, shape: list[int]) -> Tensor:
        if f"tensor:{key}" in arrays:
            return torch.from_numpy(arrays[f"tensor:{key}"])
        return (
            torch.tensor(layout["values"][key])
            if key in layout.get("values", {})
            else filled(key, shape, layout["rate"])
        )

    return {key: of(key, shape) for key, shape in layout["tensors"].items()}


def write(name: str, folder: Path, source: str = "", contrast: float = 1.0) -> Path:
    """Write configuration `name` in its format's layout; `source` goes where NVIDIA puts its own.

    With less `contrast` images lie about [0, 1], as those of a trained network do.
    """
    arrays, layout = reference(name)
    held = tensors(arrays, layout)
    for key, tensor in held.items():
        if re.search(r"rgb(s\.\d|\d)?(\.conv)?\.(weight|bias)$", key):
            held[key] = contrast * tensor
    path = folder / f"{name}.{SUFFIXES[layout['format']]}"
    if layout["format"] == "nvidia":
        write_nvidia(path, layout, held, source)
    elif layout["format"] == "tensorflow":
        _write_tensorflow(path, layout, {key: tensor.numpy() for key, tensor in held.items()}, source)
    elif layout["format"] == "rosinality":
        _write_rosinality(path, layout, OrderedDict(held))
    else:
        found: dict[str, Any] = {"generator": {}, "discriminator": {}, "generator_smooth": OrderedDict(held)}
        found = {"models": found, "running_metadata": {"iter": 3}} if layout["models"] else found
        if "asked" in layout:
            found["model_kwargs_init"] = {"generator_smooth": layout["asked"]}
        torch.save(found, path)
    return path


class Saved:
    """An object that pickles as a call of `function` with `arguments`, then `state`, whatever those are."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


@contextmanager
def named(*full: str) -> Iterator[list[Any]]:
    """Put a class of each full name where `pickle` looks for that name, and yield the classes."""
    taken, made = list[tuple[ModuleType, str, Any]](), list[Any]()
    own = [part for part in dict.fromkeys(_parents(full)) if part not in sys.modules]
    sys.modules.update({part: ModuleType(part) for part in own})
    for one in full:
        path, _, name = one.rpartition(".")
        found = type(name, (dict,) if "Dict" in name else (), {"__module__": path, "__qualname__": name})
        module = sys.modules[path]
        taken.append((module, name, getattr(module, name, None)))  # torch's own Linear, for one
        setattr(module, name, found)
        made.append(found)
    try:
        yield made
    finally:
        for module, name, before in reversed(taken):
            setattr(module, name, before)
        for part in own:
            del sys.modules[part]


def _parents(full: tuple[str, ...]) -> Iterator[str]:
    """The modules that each name stands in, outermost first."""
    for one in full:
        parts = one.split(".")
        yield from (".".join(parts[:i]) for i in range(1, len(parts)))


PERSISTENT, EASY = "torch_utils.persistence._reconstruct_persistent_obj", "dnnlib.util.EasyDict"
RECORD = "dnnlib.tflib.network.Network"


def write_nvidia(
    path: Path, layout: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str = "", way: str = "snapshot"
) -> None:
    """Write networks, each module a call of NVIDIA's function with its source and its attributes.

    `way` is ``snapshot``, a dictionary with a discriminator of a foreign class; ``alone``, the pickled generator; or
    ``saved``, the generator by `torch.save`.
    """
    with named(PERSISTENT, EASY, "others.networks.Judge") as (persistent, easy, judge):

        def module(name: str) -> Saved:
            inside = [one for one in layout["attributes"] if one.rpartition(".")[0] == name and one]
            own = {key.rpartition(".")[2]: key for key in tensors if key.rpartition(".")[0] == name}
            state: dict[str, Any] = dict(layout["attributes"][name])
            state["_init_kwargs"] = easy(state["_init_kwargs"])
            state |= {
                "_init_args": (),
                "_backward_hooks": OrderedDict(),
                "_non_persistent_buffers_set": set(),
                "_parameters": OrderedDict(
                    (part, nn.Parameter(tensors[key])) for part, key in own.items() if key in layout["parameters"]
                ),
                "_buffers": OrderedDict(
                    (part, tensors[key]) for part, key in own.items() if key not in layout["parameters"]
                ),
                "_modules": OrderedDict((one.rpartition(".")[2], module(one)) for one in inside),
            }
            if "layer_names" in state or "conv_kernel" in state:  # arrays and scalars of NumPy stand there too
                state |= {"in_size": np.array([36, 36]), "use_fp16": np.bool_(True), "rate": np.float64(16.0)}
            meta = {"type": "class", "version": 6, "module_src": source, "class_name": "Generator", "state": state}
            return Saved(persistent, meta)

        if way == "saved":
            torch.save(module(""), path)
            return
        saved = {"training_set_kwargs": easy(path="x.zip"), "G": None, "D": Saved(judge, 3, state={"x": judge})}
        held = module("") if way == "alone" else {**saved, "augment_pipe": None, "G_ema": module("")}
        path.write_bytes(pickle.dumps(held, protocol=4 if layout["stylegan3"] else 3))


def _write_tensorflow(path: Path, layout: Mapping[str, Any], arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Write three records of networks, each with its arguments, components and arrays."""
    with named(RECORD, EASY) as (record, easy):

        def network(prefix: str, components: dict[str, Any], asked: dict[str, Any]) -> Saved:
            held = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            state = {
                "version": 4,
                "name": "G",
                "static_kwargs": easy(asked),
                "components": easy(components),
                "build_module_src": source,
                "build_func_name": "G_main",
                "variables": [(key, array) for key, array in held.items() if prefix or "/" not in key],
            }
            return Saved(record, state=state)

        parts = {name: network(f"{name}/", {}, {}) for name in ("mapping", "synthesis")}
        whole = network("", parts, layout["asked"])
        path.write_bytes(pickle.dumps((whole, network("none/", {}, {}), whole), protocol=2))


def _write_rosinality(path: Path, layout: Mapping[str, Any], tensors: OrderedDict[str, Tensor]) -> None:
    found: dict[str, Any] = {"g_ema": tensors}
    if "mean" in layout:
        found["latent_avg"] = filled("latent_avg", layout["mean"])
    else:
        found |= {"g": tensors, "d": {}, "g_optim": {"state": {}, "param_groups": [{"lr": 0.002, "params": [0]}]}}
        found |= {"args": argparse.Namespace(size=16, path="x", lr=0.002), "ada_aug_p": 0.0}
    torch.save(found, path, _use_new_zipfile_serialization=layout["zip"])
