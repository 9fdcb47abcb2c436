"""Checkpoints of genforce and of its successor Hammer: networks by name, under ``models`` if saved in training.

The two tell themselves apart by the place of the mean w. Hammer stores what NVIDIA's PyTorch code stores. genforce
stores what TensorFlow's code stored: enlarging convolutions turned by half a turn, styles without the 1 that is added
to their bias. What leaves no trace in the tensors is what both have by default: a mapping rate of 0.01, no clamp;
Hammer may keep its arguments in ``model_kwargs_init``.
"""

from __future__ import annotations

import math
import re
from typing import Any

from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, StateDict
from eigenwalk.errors import FileError
from eigenwalk_stylegan.configuration import Mapping, StyleGAN2
from eigenwalk_stylegan.description import MEAN, Description
from eigenwalk_stylegan.formats.nvidia import explain, taps


def read(checkpoint: Checkpoint) -> Description:
    """The generator of the checkpoint, the averaged one where there are two.

    Raises:
        FileError: it is another network.
    """
    found = checkpoint.state_dict("synthesis.layer0.style.weight")
    assert found is not None  # as recognised
    tensors = found.load()
    try:
        hammer = "w_avg" in tensors
        state = {name: part for key, tensor in tensors.items() for name, part in _ours(key, tensor, hammer)}
        sizes = _sizes(tensors, state, saved_arguments(checkpoint, found) if hammer else {})
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise FileError(f"{checkpoint} holds no StyleGAN2 of genforce's ({explain(error)})") from error
    return Description(sizes, state, f"StyleGAN2 of {'Hammer' if hammer else 'genforce'}, a checkpoint", found.notes)


def saved_arguments(checkpoint: Checkpoint, found: StateDict) -> dict[str, Any]:
    """What Hammer made the network with; empty where the checkpoint does not say."""
    kept = checkpoint.tree.get("model_kwargs_init") if isinstance(checkpoint.tree, dict) else None
    asked = kept.get(found.key.rpartition(".")[2]) if isinstance(kept, dict) else None
    return asked if isinstance(asked, dict) else {}


def _sizes(tensors: dict[str, Tensor], state: dict[str, Tensor], asked: dict[str, Any]) -> StyleGAN2:
    layers = sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", name)) for name in state)
    convs = sum(bool(re.fullmatch(r"convs\.\d+\.weight", name)) for name in state)
    first = state["mapping.layers.0.weight"].shape
    embedding, labels = state["mapping.embed.weight"].shape if "mapping.embed.weight" in state else (0, 0)
    filters = [tensor for key, tensor in tensors.items() if key.endswith((".filter", ".filter.kernel"))]
    clamp = asked.get("conv_clamp")
    return StyleGAN2(
        Mapping(
            z_dim=first[1] - embedding,
            w_dim=state["convs.0.style.weight"].shape[1],
            hidden=first[0],
            layers=layers,
            labels=labels,
            embedding=embedding,
            rate=float(asked.get("mapping_lr_mul", 0.01)),
            joint="mapping.label_weight" in tensors,
        ),
        tuple(state[f"convs.{i}.weight"].shape[0] for i in range(0, convs, 2)),
        "resnet" if "shortcuts.0.weight" in state else "skip" if "rgbs.0.weight" in state else "orig",
        taps(filters[0].squeeze()) if filters else (1.0, 3.0, 3.0, 1.0),
        None if clamp is None else float(clamp),
        "convs.0.strength" in state,
        tuple(state["constant"].shape[1:]),
    )


def _ours(key: str, tensor: Tensor, hammer: bool) -> list[tuple[str, Tensor]]:
    """The tensor by our name, in our orientation; nothing for filters, which the configuration holds."""
    if ".filter" in key or key == "synthesis.upsample.kernel":
        return []
    if key in ("truncation.w_avg", "w_avg"):
        return [(MEAN, tensor)]
    if key == "mapping.label_weight":  # a table without a gain: made up for by the layer's
        return [("mapping.embed.weight", tensor.T * math.sqrt(tensor.shape[0]))]
    if found := re.fullmatch(r"mapping\.(LabelEmbed|embedding)\.(weight|bias)", key):
        return [(f"mapping.embed.{found[2]}", tensor)]
    if found := re.fullmatch(r"mapping\.dense(\d+)\.(weight|bias)", key):
        return [(f"mapping.layers.{found[1]}.{found[2]}", tensor)]
    if key == "synthesis.early_layer.const":
        return [("constant", tensor[0])]
    if found := re.fullmatch(r"synthesis\.residual(\d+)\.weight", key):
        return [(f"shortcuts.{int(found[1]) - 1}.weight", tensor)]
    found = re.fullmatch(r"synthesis\.(layer|output)(\d+)\.(.+)", key)
    if not found:
        return [(key, tensor)]
    group, part = "convs" if found[1] == "layer" else "rgbs", found[3]
    if part == "noise":
        tensor = tensor[0, 0]
    elif not hammer and part == "weight" and group == "convs" and int(found[2]) % 2:
        tensor = tensor.flip(2, 3)
    elif not hammer and part == "style.bias":
        tensor = tensor + 1
    return [(f"{group}.{found[2]}.{'strength' if part == 'noise_strength' else part}", tensor)]
