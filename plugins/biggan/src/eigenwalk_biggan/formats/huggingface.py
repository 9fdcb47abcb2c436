"""Weights of pytorch-pretrained-biggan: BigGAN-deep, ``pytorch_model.bin`` with ``config.json``.

Made of DeepMind's published networks. Their batch norms' statistics are stored for 51 truncations from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk_biggan.configuration import Attention, Residual, Sizes
from eigenwalk_biggan.description import Description
from eigenwalk_biggan.tensors import Tensors, count_layers, statistics

BOTTOM = 4
CONFIG = "config.json"
WEIGHTS = "pytorch_model.bin"
IGNORED = r"\.weight_v"


@dataclass(frozen=True)
class Config:
    """What ``config.json`` says that the tensors do not: the doublings, one a block, and epsilon."""

    doubles: tuple[bool, ...]
    eps: float


def config(path: Path, given: Path | None) -> Config:
    """The configuration at `given`, or beside the weights at `path`, where both may share a prefix.

    Raises:
        OptionError: there is none beside them.
        FileError: it is no configuration of this package's.
    """
    beside = [path.with_name(path.name.replace(WEIGHTS, CONFIG)), path.with_name(CONFIG)]
    file = given or next((one for one in beside if one != path and one.is_file()), None)
    if file is None:
        raise OptionError(
            f"config must be given, the {CONFIG} that belongs to {path}: it says which blocks double the image, "
            f"and none lies beside it"
        )
    try:
        found: Any = Checkpoint.of(file).json()
        doubles = tuple(layer[0] for layer in found["layers"])
        eps = float(found["eps"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else error
        raise FileError(
            f"{file} is no {CONFIG} of pytorch-pretrained-biggan, with layers such as [true, 16, 8] and eps ({missing})"
        ) from error
    if not all(isinstance(one, bool) for one in doubles) or not 0 <= eps < 1:
        raise FileError(f"{file} has layers that do not begin with true or false, or an eps of {eps}")
    return Config(doubles, eps)


def read(held: Mapping[str, Tensor], what: str, asked: Config, truncation: float = 1.0) -> Description:
    """The generator of the state dict `held`, with the statistics of `truncation`; `what` names the file.

    Raises:
        WeightsError: tensors are missing or left over, or have shapes that no BigGAN-deep has.
        FileError: the configuration belongs to other weights.
    """
    tensors = Tensors(held, what)
    embedding, _ = tensors.sides("embeddings.weight")
    z_dim = tensors.sides("generator.gen_z.weight_orig")[1] - embedding
    state: dict[str, Tensor] = {}
    layers: list[Residual | Attention] = []
    doubles = iter(asked.doubles)
    for i in range(count_layers(tensors, r"generator\.layers\.(\d+)\.")):
        place, prefix = f"generator.layers.{i}", f"layers.{i}"
        if f"{place}.gamma" in tensors:
            layers.append(_attention(tensors, place, prefix, state))
            continue
        doubled = next(doubles, None)
        if doubled is None:
            break
        layers.append(_block(tensors, place, prefix, state, doubled, asked.eps, truncation, z_dim))
    blocks = [one for one in layers if isinstance(one, Residual)]
    if len(blocks) != len(asked.doubles) or i + 1 != len(layers):
        raise FileError(f"{what} has other blocks than the {len(asked.doubles)} of its {CONFIG}: it belongs elsewhere")
    channels = blocks[0].inputs
    state["first.weight"] = _channels_first(_put_z_first(_weight(tensors, "generator.gen_z"), z_dim), channels, what)
    state["first.bias"] = _channels_first(tensors.take("generator.gen_z.bias"), channels, what)
    last = _statistics(tensors, "generator.bn", asked.eps, truncation)
    gain = last["scale"] * tensors.take("generator.bn.weight")
    state |= {"scale": gain, "shift": tensors.take("generator.bn.bias") - last["mean"] * gain}
    # Of as many images as it has channels the first three are red, green and blue.
    state["rgb.weight"] = _weight(tensors, "generator.conv_to_rgb")[:3]
    state["rgb.bias"] = tensors.take("generator.conv_to_rgb.bias")[:3]
    tensors.check_all_taken(IGNORED)
    sizes = Sizes(z_dim, embedding, "joint", BOTTOM, tuple(layers))
    table = tensors.take("embeddings.weight").T
    found = {name: tensor.float() for name, tensor in state.items()}
    return Description(sizes, found, table, "BigGAN-deep of pytorch-pretrained-biggan", truncation)


def _weight(tensors: Tensors, name: str) -> Tensor:
    """A weight divided by σ = uᵀWv, with the u and v of the file."""
    weight = tensors.take(f"{name}.weight_orig")
    sigma = tensors.take(f"{name}.weight_u") @ weight.flatten(1) @ tensors.take(f"{name}.weight_v")
    return (weight / sigma).float()


def _put_z_first(weight: Tensor, z_dim: int) -> Tensor:
    """Columns for z and then the embedding, in the other order."""
    return weight.roll(-z_dim, 1)


def _channels_first(rows: Tensor, channels: int, what: str) -> Tensor:
    """Rows for (height, width, channels), in the order (channels, height, width)."""
    if rows.shape[0] != BOTTOM**2 * channels:
        raise WeightsError(f"{what}: the first layer gives {rows.shape[0]} numbers for {channels} channels of 4 x 4")
    return rows.unflatten(0, (BOTTOM**2, channels)).transpose(0, 1).flatten(0, 1)


def _statistics(tensors: Tensors, name: str, eps: float, truncation: float) -> dict[str, Tensor]:
    """Mean and scale at `truncation`, among which one lies between two that are stored.

    The weights of the two are those of the package's own code, whose images these are: the part of the way from the
    lower to the upper counts for the lower.
    """
    means, variances = tensors.take(f"{name}.running_means"), tensors.take(f"{name}.running_vars")
    if means.ndim != 2 or means.shape[0] < 2 or means.shape != variances.shape:
        raise WeightsError(f"{tensors.what} has statistics of shape {tuple(means.shape)} at {name}")
    part, whole = math.modf(truncation / (1.0 / (means.shape[0] - 1)))
    low = int(whole)
    mean, variance = means[low], variances[low]
    if part:
        mean, variance = (at[low] * part + at[low + 1] * (1 - part) for at in (means, variances))
    mean, scale = statistics(mean, variance, eps)
    return {"mean": mean, "scale": scale}


def _block(
    tensors: Tensors,
    place: str,
    prefix: str,
    state: dict[str, Tensor],
    doubles: bool,
    eps: float,
    truncation: float,
    z_dim: int,
) -> Residual:
    for i in range(4):
        conv, norm = f"{place}.conv_{i}", f"{place}.bn_{i}"
        state[f"{prefix}.convs.{i}.weight"] = _weight(tensors, conv)
        state[f"{prefix}.convs.{i}.bias"] = tensors.take(f"{conv}.bias")
        found = _statistics(tensors, norm, eps, truncation)
        found["gain.weight"] = _put_z_first(_weight(tensors, f"{norm}.scale"), z_dim)
        found["bias.weight"] = _put_z_first(_weight(tensors, f"{norm}.offset"), z_dim)
        state |= {f"{prefix}.norms.{i}.{part}": tensor for part, tensor in found.items()}
    hidden, inputs = tensors.sides(f"{place}.conv_0.weight_orig")[:2]
    return Residual(inputs, tensors.sides(f"{place}.conv_3.weight_orig")[0], hidden, doubles)


def _attention(tensors: Tensors, place: str, prefix: str, state: dict[str, Tensor]) -> Attention:
    for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("o_conv", "output")):
        state[f"{prefix}.{ours}.weight"] = _weight(tensors, f"{place}.snconv1x1_{theirs}")
    state[f"{prefix}.gamma"] = tensors.take(f"{place}.gamma").reshape(())
    keys, channels = tensors.sides(f"{place}.snconv1x1_theta.weight_orig")[:2]
    return Attention(channels, keys, tensors.sides(f"{place}.snconv1x1_g.weight_orig")[0])
