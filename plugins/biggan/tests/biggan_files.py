"""Files in both formats' layouts, and what the formats' own code made of the same numbers.

The folder ``references`` has one file for each configuration: images that the format's public code computed, outside
this repository, and the names and shapes of the tensors that it saved. No number of its weights is kept: every tensor
follows from its name by `filled`, on both sides, and Hugging Face's two vectors of each spectral norm from the weight.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

REFERENCES = Path(__file__).with_name("references")
LAST = {"output_layer.0.gain", "output_layer.0.bias", "generator.bn.weight", "generator.bn.bias"}
BATCHES = 16.0
"""Over which standing statistics were added up."""


def filled(name: str, shape: tuple[int, ...] | list[int], standing: bool = False) -> Tensor:
    """A tensor whose numbers depend on its `name` and `shape` alone, about as large as in a trained network.

    NumPy's `RandomState` gives the same numbers in every version. `standing` statistics are sums.
    """
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape) or (1,))
    drawn = torch.from_numpy(numbers.astype(np.float32)).reshape(tuple(shape))
    end = name.rpartition(".")[2]
    over = BATCHES if standing else 1.0
    if end in ("stored_mean", "running_mean", "running_means"):
        return over * 0.1 * drawn
    if end in ("stored_var", "running_var", "running_vars"):
        return over * (0.3 + 0.3 * drawn.abs())
    if end == "accumulation_counter":
        return torch.full(tuple(shape), BATCHES if standing else 0.0)
    if end == "num_batches_tracked":
        return torch.tensor(7)
    if end == "gamma":
        return torch.full(tuple(shape), 0.7)
    if name in LAST and end != "bias":
        return 1 + 0.3 * drawn
    if end == "bias" or name in ("shared.weight", "embeddings.weight"):
        return 0.3 * drawn
    # Weights that are not normalised are about as large as those that are.
    return drawn / math.sqrt(math.prod(shape[1:])) if end == "weight" and len(shape) > 1 else drawn


def tensors(shapes: dict[str, list[int]], standing: bool = False, contrast: float = 1.0) -> dict[str, Tensor]:
    """All tensors of a configuration; `contrast` keeps its images from the ends of [-1, 1]."""
    made = {name: filled(name, shape, standing) for name, shape in shapes.items()}
    for name in LAST & made.keys():
        made[name] = contrast * made[name]
    for name in [one for one in made if one.endswith(".weight_v")]:
        owner = name.removesuffix(".weight_v")
        matrix = made[f"{owner}.weight_orig"].flatten(1)
        made[name] = F.normalize(made[f"{owner}.weight_u"] @ matrix, dim=0)
        made[f"{owner}.weight_u"] = F.normalize(matrix @ made[name], dim=0)
    return made


def names() -> list[str]:
    """All configurations."""
    return sorted(file.stem for file in REFERENCES.glob("*.npz"))


def reference(name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The images that the format's own code made, and the layout of what it saved."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        return file["images"], json.loads(file["layout"].tobytes())


def state_dict(name: str) -> dict[str, Tensor]:
    """The state dict of configuration `name`."""
    layout = reference(name)[1]
    return tensors(layout["tensors"], layout.get("standing", False), layout["contrast"])


def write(name: str, folder: Path) -> Path:
    """Write the file of configuration `name`, in its format's layout; Hugging Face's with its configuration beside."""
    layout = reference(name)[1]
    held = state_dict(name)
    if layout["format"] == "brock":
        path = folder / f"{name}.pth"
        torch.save(held, path)
        return path
    path = folder / name / "pytorch_model.bin"
    path.parent.mkdir(parents=True)
    (path.parent / "config.json").write_text(json.dumps(layout["config"]))
    torch.save(held, path, _use_new_zipfile_serialization=not layout["legacy"])
    return path
