"""R3GAN's pickles: NVIDIA's dictionary of networks, whose modules are pickled by the names of their classes.

Nothing says what a module was made with; its tensors and their names do. ``G_ema`` has averaged weights.
"""

from __future__ import annotations

import re
from os import PathLike

import torch
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, StateDict, fill
from eigenwalk.errors import FileError
from eigenwalk_stylegan.formats.nvidia import explain, taps
from eigenwalk_stylegan.r3gan import R3GAN, Network, R3GANGenerator, Stage
from eigenwalk_stylegan.recognise import recognise

BASIS = "Model.MainLayers.0.Layers.0.Basis"
_BLOCK = {
    "LinearLayer1.Layer.weight": "expand.weight",
    "LinearLayer2.Layer.weight": "mix.weight",
    "LinearLayer3.Layer.weight": "contract.weight",
    "NonLinearity1.Bias": "before",
    "NonLinearity2.Bias": "after",
}
_WHOLE = {
    BASIS: "basis",
    "Model.MainLayers.0.Layers.0.LinearLayer.weight": "first.weight",
    "Model.EmbeddingLayer.weight": "embed.weight",
    "Model.AggregationLayer.Layer.weight": "rgb.weight",
}


def r3gan(path: str | PathLike[str], label: int | None = None, key: str | None = None) -> R3GANGenerator:
    """The generator in the pickle at `path`, or what stands under `key` in it; see `R3GANGenerator`.

    Raises:
        FileError: missing, no R3GAN, or a pickle that is not opened.
        OptionError: `label` is no class of the model, or missing.
    """
    checkpoint = Checkpoint.of(path, key)
    found = checkpoint.state_dict(BASIS) if checkpoint.has_all(BASIS) else None
    if found is None:
        other = recognise(checkpoint)
        raise FileError(f"{checkpoint} is no R3GAN, but {other.words if other else checkpoint.words}")
    generator = R3GANGenerator(read(found, str(checkpoint)), label)
    generator.notes = tuple(found.notes)
    return generator


def read(found: StateDict, what: str) -> Network:
    """The generator whose tensors are `found`: float32, eval mode, frozen. `what` names the file.

    Raises:
        FileError: it is another network.
    """
    tensors = found.load()
    try:
        state = {_ours(name): tensor for name, tensor in tensors.items() if not name.endswith(".Kernel")}
        sizes = _sizes(tensors, state)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, ZeroDivisionError) as error:
        raise FileError(f"{what} holds no R3GAN that is known here ({explain(error)})") from error
    return fill(lambda: Network(sizes), state, what)


def _ours(name: str) -> str:
    """Our name of a tensor; one that is not known stays as it is, and is told as left over."""
    if name in _WHOLE:
        return _WHOLE[name]
    if found := re.fullmatch(r"Model\.MainLayers\.(\d{1,3})\.Layers\.0\.LinearLayer\.Layer\.weight", name):
        return f"entries.{int(found[1]) - 1}.weight"
    found = re.fullmatch(r"Model\.MainLayers\.(\d{1,3})\.Layers\.(\d{1,3})\.(.+)", name)
    if found and found[3] in _BLOCK:
        return f"stages.{found[1]}.{int(found[2]) - 1}.{_BLOCK[found[3]]}"
    return name


def _sizes(tensors: dict[str, Tensor], state: dict[str, Tensor]) -> R3GAN:
    stages = []
    for k in range(sum(bool(re.fullmatch(r"stages\.\d+\.0\.expand\.weight", name)) for name in state)):
        hidden, width = state[f"stages.{k}.0.expand.weight"].shape[:2]
        blocks = sum(bool(re.fullmatch(rf"stages\.{k}\.\d+\.expand\.weight", name)) for name in state)
        stages.append(Stage(width, hidden, hidden // state[f"stages.{k}.0.mix.weight"].shape[1], blocks))
    kernels = [tensor for name, tensor in tensors.items() if name.endswith(".Resampler.Kernel")]
    if any(not torch.equal(one, kernels[0]) for one in kernels):
        raise ValueError("filters that are not the same in all stages")
    embedding, classes = state["embed.weight"].shape if "embed.weight" in state else (0, 0)
    z_dim = state["first.weight"].shape[1] - embedding
    if not stages or z_dim < 1 or state["rgb.weight"].shape[0] != 3:
        raise ValueError("stages, a z and three channels are expected")
    return R3GAN(z_dim, classes, embedding, tuple(stages), taps(kernels[0]) if kernels else (1.0, 3.0, 3.0, 1.0))
