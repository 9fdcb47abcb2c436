"""StyleGAN2's and StyleGAN2-ADA's pickles of TensorFlow: three networks, G, D and Gs, the last with averaged weights.

A network is a record with its arguments in ``static_kwargs``, its parts in ``components`` and its numbers in
``variables``, a list of names and arrays. TensorFlow keeps convolutions as (height, width, in, out) and dense layers
as (in, out); enlarging convolutions turned by half a turn; and styles without the 1 that is added to their bias.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, LazyTensor, Record, shown
from eigenwalk.errors import FileError
from eigenwalk_stylegan.configuration import Mapping, StyleGAN2
from eigenwalk_stylegan.description import MEAN, Description
from eigenwalk_stylegan.formats.nvidia import explain

OLDEST = 4
"""Version of the records: those of StyleGAN1 have lower ones."""


def read(checkpoint: Checkpoint) -> Description:
    """The generator Gs of the pickle.

    Raises:
        FileError: it is another network.
    """
    tree = checkpoint.tree
    try:
        generator = tree[2] if isinstance(tree, (tuple, list)) else tree["G_ema"]
        asked = _state(generator)["static_kwargs"]
        if _state(generator)["version"] < OLDEST:
            raise ValueError("a record of StyleGAN1's time")
        arrays = _variables(generator)
        state = {name: tensor for key, array in arrays.items() for name, tensor in _ours(key, array)}
        sizes = _sizes(asked, arrays, state)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FileError(f"{checkpoint} holds no StyleGAN2 of TensorFlow ({explain(error)})") from error
    return Description(sizes, state, "StyleGAN2, a pickle of TensorFlow")


def _state(record: Any) -> dict[str, Any]:
    if not isinstance(record, Record) or not isinstance(record.state, dict):
        raise TypeError("no record of a network")
    return record.state


def _variables(generator: Any) -> dict[str, Tensor]:
    """The arrays of a network and of its components, under their names."""
    found: dict[str, Tensor] = {}
    parts = {"": generator} | {f"{name}/": part for name, part in _state(generator)["components"].items()}
    for prefix, part in parts.items():
        for name, array in _state(part)["variables"]:
            if not isinstance(name, str):
                raise TypeError("a variable whose name is no text")
            numbers = getattr(array, "numbers", None)
            if isinstance(numbers, LazyTensor):
                found[prefix + name] = numbers.load().float()
            elif isinstance(array, (int, float)):
                found[prefix + name] = torch.tensor(float(array))
    return found


def _sizes(asked: dict[str, Any], arrays: dict[str, Tensor], state: dict[str, Tensor]) -> StyleGAN2:
    for name in ("nonlinearity", "mapping_nonlinearity"):
        if (kind := asked.get(name, "lrelu")) != "lrelu":
            raise ValueError(f"{name} {shown(kind)}: lrelu alone is known")
    if (channels := asked.get("num_channels", 3)) not in (1, 3):
        raise ValueError(f"images of {shown(channels)} channels: RGB, of three, or grey is expected")
    layers = sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", name)) for name in state)
    convs = sum(bool(re.fullmatch(r"convs\.\d+\.weight", name)) for name in state)
    first = state["mapping.layers.0.weight"].shape
    embedding, labels = state["mapping.embed.weight"].shape if "mapping.embed.weight" in state else (0, 0)
    clamp = asked.get("conv_clamp")
    return StyleGAN2(
        Mapping(
            z_dim=first[1] - embedding,
            w_dim=state["convs.0.style.weight"].shape[1],
            hidden=first[0],
            layers=layers,
            labels=labels,
            embedding=embedding,
            rate=float(asked.get("mapping_lrmul", 0.01)),
        ),
        tuple(state[f"convs.{i}.weight"].shape[0] for i in range(0, convs, 2)),
        "resnet" if "shortcuts.0.weight" in state else "skip" if "rgbs.0.weight" in state else "orig",
        tuple(float(tap) for tap in asked.get("resample_kernel") or (1, 3, 3, 1)),
        None if clamp is None else float(clamp),
        bool(asked.get("use_noise", True)),
        tuple(state["constant"].shape[1:]),
    )


_PARTS = {"weight": "weight", "bias": "bias", "mod_weight": "style.weight", "mod_bias": "style.bias",
          "noise_strength": "strength"}  # fmt: skip
_GROUPS = {"Conv": ("convs", 0), "Conv0_up": ("convs", -1), "Conv1": ("convs", 0), "ToRGB": ("rgbs", 0),
           "Skip": ("shortcuts", 0)}  # fmt: skip


def _ours(key: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    """The tensor by our name, in our orientation; nothing for TensorFlow's own counters."""
    if key == "dlatent_avg":
        return [(MEAN, tensor)]
    if found := re.fullmatch(r"mapping/(LabelEmbed|Dense(\d+))/(weight|bias)", key):
        name = f"layers.{found[2]}" if found[2] else "embed"
        return [(f"mapping.{name}.{found[3]}", tensor.T if found[3] == "weight" else tensor)]
    if key == "synthesis/4x4/Const/const":
        return [("constant", tensor[0])]
    if found := re.fullmatch(r"synthesis/noise(\d+)", key):
        return [(f"convs.{found[1]}.noise", tensor[0, 0])]
    found = re.fullmatch(r"synthesis/(\d{1,5})x\1/(\w+)/(\w+)", key)
    if not found or found[2] not in _GROUPS or found[3] not in _PARTS:
        return [] if key.rpartition("/")[2] in ("lod",) else [(key, tensor)]
    (group, shift), part = _GROUPS[found[2]], _PARTS[found[3]]
    k = int(found[1]).bit_length() - 3
    place = {"convs": 2 * k + shift, "rgbs": k, "shortcuts": k - 1}[group]
    if part == "weight":
        tensor = tensor.permute(3, 2, 0, 1)
        tensor = tensor.flip(2, 3) if found[2] in ("Conv0_up", "Skip") else tensor
    elif part == "style.weight":
        tensor = tensor.T
    elif part == "style.bias":
        tensor = tensor + 1
    return [(f"{group}.{place}.{part}", tensor)]
