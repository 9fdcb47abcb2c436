"""R3GAN's pickles, and what its own public code made of the same numbers.

The folder ``references_r3gan`` has one file for each configuration: images that the public code computed, outside this
repository, the names and shapes of its tensors, and the names of its modules' classes. No number of its weights is
kept: every tensor follows from its name by `filled`, on both sides.
"""

from __future__ import annotations

import json
import math
import pickle
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stylegan_files import named
from torch import Tensor, nn

REFERENCES = Path(__file__).with_name("references_r3gan")


def filled(name: str, shape: list[int] | tuple[int, ...]) -> Tensor:
    """A tensor whose numbers depend on its `name` and `shape` alone, about as large as in a trained network."""
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape)).astype(np.float32)
    scale = 1.0 / math.sqrt(math.prod(shape[1:])) if name.endswith("weight") else 0.3 if name.endswith("Bias") else 1.0
    return torch.from_numpy(drawn) * scale


def names() -> list[str]:
    """All configurations."""
    return sorted(file.stem for file in REFERENCES.glob("*.npz"))


def reference(name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The images that R3GAN's own code made, and the layout of what it saved."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        return file["images"], json.loads(file["layout"].tobytes())


def tensors(layout: dict[str, Any]) -> dict[str, Tensor]:
    """All tensors of a configuration."""
    kernel = torch.tensor(layout["kernel"])
    return {key: kernel if key.endswith(".Kernel") else filled(key, shape) for key, shape in layout["tensors"].items()}


def write(name: str, folder: Path, contrast: float = 1.0, **others: Tensor | None) -> Path:
    """Write the pickle of configuration `name`; `others`, by name with ``__`` for dots, take the place of tensors.

    With less `contrast` images lie about [0, 1], as those of a trained network do.
    """
    layout = reference(name)[1]
    held = tensors(layout) | {key.replace("__", "."): tensor for key, tensor in others.items()}
    if (last := held["Model.AggregationLayer.Layer.weight"]) is not None:
        held["Model.AggregationLayer.Layer.weight"] = contrast * last
    path = folder / f"{name}.pkl"
    classes: dict[str, str] = layout["classes"]
    kinds = sorted(set(classes.values()))
    with named(*kinds) as made:
        kind_of = dict(zip(kinds, made, strict=True))

        def module(of: str) -> Any:
            own = {key.rpartition(".")[2]: key for key in held if key.rpartition(".")[0] == of}
            one = object.__new__(kind_of[classes[of]])
            one.__dict__.update(
                training=False,
                _parameters=OrderedDict(
                    (part, None if (found := held[key]) is None else nn.Parameter(found))
                    for part, key in own.items()
                    if part != "Kernel"
                ),
                _buffers=OrderedDict((part, held[key]) for part, key in own.items() if part == "Kernel"),
                _non_persistent_buffers_set=set(),
                _backward_hooks=OrderedDict(),
                _modules=OrderedDict(
                    (inner.rpartition(".")[2], module(inner))
                    for inner in classes
                    if inner and inner.rpartition(".")[0] == of
                ),
            )
            if classes[of].endswith("Stage"):
                one.DataType = torch.bfloat16
            return one

        saved = {"G": None, "D": None, "G_ema": module(""), "training_set_kwargs": {"path": "x.zip"}, "cur_nimg": 3}
        path.write_bytes(pickle.dumps(saved, protocol=4))
    return path
