"""Checkpoints of rosinality's StyleGAN2: ``{g_ema, latent_avg}`` converted, ``{g, d, g_ema, args, …}`` from training,
and of encoders around it (pSp, e4e): ``{state_dict, latent_avg, opts}`` with ``decoder.`` before the generator's names.

Sizes are those of the tensors. What leaves no trace in them is what that code always has: a mapping rate of 0.01,
no clamp, one width from z to w.
"""

from __future__ import annotations

import re

from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, LazyTensor
from eigenwalk.errors import FileError
from eigenwalk_stylegan.configuration import Mapping, StyleGAN2
from eigenwalk_stylegan.description import MEAN, Description
from eigenwalk_stylegan.formats.nvidia import explain, taps

_PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "style.weight",
    "conv.modulation.bias": "style.bias",
    "activate.bias": "bias",
    "bias": "bias",
    "noise.weight": "strength",
}


def read(checkpoint: Checkpoint) -> Description:
    """The generator of the checkpoint, the averaged one where there are two.

    Raises:
        FileError: it is another network.
    """
    found = checkpoint.state_dict("convs.0.conv.modulation.weight", "input.input")
    assert found is not None  # as recognised
    tensors, tree = found.load(), checkpoint.tree
    try:
        state = {name: part for key, tensor in tensors.items() for name, part in _ours(key, tensor)}
        if isinstance(mean := tree.get("latent_avg"), LazyTensor):  # encoders keep one for each layer, all the same
            rows = mean.load().reshape(-1, state["convs.0.style.weight"].shape[1])
            state[MEAN] = rows[0] if bool((rows == rows[0]).all()) else rows.mean(0)
        sizes = _sizes(tensors, state)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise FileError(f"{checkpoint} holds no StyleGAN2 of rosinality's ({explain(error)})") from error
    kind = "an encoder's decoder" if found.key.endswith("decoder") else "a checkpoint"
    return Description(sizes, state, f"StyleGAN2 of rosinality, {kind}", found.notes)


def _sizes(tensors: dict[str, Tensor], state: dict[str, Tensor]) -> StyleGAN2:
    layers = sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", name)) for name in state)
    convs = sum(bool(re.fullmatch(r"convs\.\d+\.weight", name)) for name in state)
    width = state["mapping.layers.0.weight"].shape
    blur = tensors.get("convs.0.conv.blur.kernel")
    return StyleGAN2(
        Mapping(width[1], state["convs.0.style.weight"].shape[1], width[0], layers),
        tuple(state[f"convs.{i}.weight"].shape[0] for i in range(0, convs, 2)),
        filter=(1.0, 3.0, 3.0, 1.0) if blur is None else taps(blur),
        noise="convs.0.strength" in state,
        start=tuple(state["constant"].shape[1:]),
    )


def _ours(key: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    """The tensor by our name, in our shape; nothing for filters, which the configuration holds."""
    if key.endswith(".kernel"):
        return []
    if key == "input.input":
        return [("constant", tensor[0])]
    if found := re.fullmatch(r"style\.(\d+)\.(weight|bias)", key):
        return [(f"mapping.layers.{int(found[1]) - 1}.{found[2]}", tensor)]
    if found := re.fullmatch(r"noises\.noise_(\d+)", key):
        return [(f"convs.{found[1]}.noise", tensor[0, 0])]
    found = re.fullmatch(r"(conv1|convs\.\d+|to_rgb1|to_rgbs\.\d+)\.(.+)", key)
    if not found:
        return [(key, tensor)]
    group, _, number = found[1].partition(".")
    place = int(number) + 1 if number else 0
    part = _PARTS.get(found[2], found[2])
    if part == "weight":
        tensor = tensor[0]
    elif part == "strength":
        tensor = tensor.reshape(())
    elif group.startswith("to_rgb") and part == "bias":
        tensor = tensor.reshape(-1)
    return [(f"{'rgbs' if group.startswith('to_rgb') else 'convs'}.{place}.{part}", tensor)]
