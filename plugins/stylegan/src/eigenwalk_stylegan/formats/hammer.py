"""Hammer's checkpoints of StyleGAN3. (Those of StyleGAN2 are read by `genforce`, whose layout they share.)

Tensors alone do not tell the resolution, nor the cut-offs: the arguments in ``model_kwargs_init`` do. Those that are
not given have the defaults, which are the paper's but for the kernel: 1.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk_stylegan.configuration import Mapping, StyleGAN3
from eigenwalk_stylegan.description import MEAN, Description
from eigenwalk_stylegan.formats.genforce import saved_arguments
from eigenwalk_stylegan.formats.nvidia import check_filters, explain

_ASKED = {
    "resolution": "resolution",
    "fmaps_base": "channel_base",
    "fmaps_max": "channel_max",
    "num_layers": "layers_between",
    "num_critical": "critical",
    "first_cutoff": "first_cutoff",
    "first_stopband": "first_stopband",
    "last_stopband_rel": "last_stopband",
    "margin_size": "margin",
    "output_scale": "scale",
    "filter_size": "taps",
    "act_upsampling": "oversampling",
    "use_radial_filter": "radial",
    "conv_clamp": "clamp",
}
"""Hammer's arguments and ours."""


def read(checkpoint: Checkpoint) -> Description:
    """The generator of the checkpoint, the averaged one where there are two.

    Raises:
        FileError: it is another network, or its arguments are missing.
    """
    found = checkpoint.state_dict("synthesis.layer0.conv.style.weight")
    assert found is not None  # as recognised
    tensors, asked = found.load(), saved_arguments(checkpoint, found)
    if not asked:
        raise FileError(
            f"{checkpoint} is a StyleGAN3 of Hammer without model_kwargs_init, and its tensors do not tell the "
            "resolution: take a checkpoint that training wrote"
        )
    try:
        if asked.get("final_tanh"):
            raise ValueError("images through tanh")
        state = {ours: tensor for key, tensor in tensors.items() if (ours := _ours(key))}
        sizes = _sizes(state, asked)
        filters = [f"synthesis.layer{i}.filter" for i in range(len(sizes.plan))]
        check_filters(sizes, filters, tensors)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise FileError(f"{checkpoint} holds no StyleGAN3 of Hammer's ({explain(error)})") from error
    return Description(sizes, state, "StyleGAN3 of Hammer, a checkpoint", found.notes)


def _sizes(state: dict[str, Tensor], asked: dict[str, Any]) -> StyleGAN3:
    layers = sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", name)) for name in state)
    first = state["mapping.layers.0.weight"].shape
    embedding, labels = state["mapping.embed.weight"].shape if "mapping.embed.weight" in state else (0, 0)
    return StyleGAN3(
        Mapping(
            z_dim=first[1] - embedding,
            w_dim=state["input.style.weight"].shape[1],
            hidden=first[0],
            layers=layers,
            labels=labels,
            embedding=embedding,
            rate=float(asked.get("mapping_lr_mul", 0.01)),
        ),
        kernel=state["layers.0.weight"].shape[-1],
        **{ours: asked[theirs] for theirs, ours in _ASKED.items() if theirs in asked},
    )


_INPUT = {"affine.weight": "style.weight", "affine.bias": "style.bias", "frequency": "frequencies", "phase": "phases"}
_LAYER = {"magnitude_ema": "magnitude", "filter.bias": "bias"}


def _ours(key: str) -> str | None:
    """Our name of a tensor; None for filters and the grid, which the configuration gives."""
    if key.endswith(("up_filter", "down_filter", ".grid")):
        return None
    if key == "w_avg":
        return MEAN
    if found := re.fullmatch(r"mapping\.(embedding|dense(\d+))\.(weight|bias)", key):
        return f"mapping.{f'layers.{found[2]}' if found[2] else 'embed'}.{found[3]}"
    if found := re.fullmatch(r"synthesis\.early_layer\.(.+)", key):
        return f"input.{_INPUT.get(found[1], found[1])}"
    if found := re.fullmatch(r"synthesis\.layer(\d+)\.(.+)", key):
        return f"layers.{found[1]}.{_LAYER.get(found[2], found[2].removeprefix('conv.'))}"
    return key
