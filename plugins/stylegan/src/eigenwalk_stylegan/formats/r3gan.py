"""R3GAN's pickles: NVIDIA's dictionary of networks, whose modules are pickled by the names of their classes.

Nothing says what a module was made with; its tensors and their names do. ``G_ema`` has averaged weights.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk import checkpoint
from eigenwalk.errors import FileError
from eigenwalk_stylegan.formats.nvidia import flat, taps
from eigenwalk_stylegan.heads import recognised
from eigenwalk_stylegan.listed import averaged
from eigenwalk_stylegan.r3gan import R3GAN, Network, R3GANGenerator, Stage

_BLOCK = {
    "LinearLayer1.Layer.weight": "expand.weight",
    "LinearLayer2.Layer.weight": "mix.weight",
    "LinearLayer3.Layer.weight": "contract.weight",
    "NonLinearity1.Bias": "before",
    "NonLinearity2.Bias": "after",
}
_WHOLE = {
    "Model.MainLayers.0.Layers.0.Basis": "basis",
    "Model.MainLayers.0.Layers.0.LinearLayer.weight": "first.weight",
    "Model.EmbeddingLayer.weight": "embed.weight",
    "Model.AggregationLayer.Layer.weight": "rgb.weight",
}


def r3gan(path: str | Path, label: int | None = None) -> R3GANGenerator:
    """The generator in the pickle at `path`; see `R3GANGenerator`.

    Raises:
        FileError: missing, no R3GAN, or a pickle that is not opened (see `averaged`).
        OptionError: `label` is no class of the model, or missing.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileError(f"there is no file {file}")
    found = recognised(file)
    if found is None or found.name != "r3gan":
        raise FileError(f"{file} is no R3GAN, but {found.words if found else 'of no format that is known here'}")
    return R3GANGenerator(read(file), label)


def read(path: Path) -> Network:
    """The generator ``G_ema`` of the pickle at `path`: float32, eval mode, frozen.

    Raises:
        FileError: the pickle is not opened, or holds another network.
    """
    generator = averaged(path)
    try:
        tensors = flat(generator).tensors
        state = {_ours(name): tensor.detach() for name, tensor in tensors.items() if not name.endswith(".Kernel")}
        sizes = _sizes(tensors, state)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, ZeroDivisionError) as error:
        raise FileError(f"{path} holds no R3GAN that is known here ({type(error).__name__}: {error})") from error
    if sum(tensor.numel() * tensor.element_size() for tensor in state.values()) > 2 * path.stat().st_size:
        raise FileError(f"{path} was not opened: its tensors are more than the file has room for")
    with torch.device("meta"), warnings.catch_warnings(action="ignore"):
        # First without memory: the names may ask for more than the file has tensors for.
        checkpoint.into(Network(sizes), state, str(path))
    made = Network(sizes)
    checkpoint.into(made, state, str(path))
    for name, tensor in made.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise FileError(f"{path} holds NaN or infinity in {name}: the network was saved after it had diverged")
    return made.eval().requires_grad_(False)


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
