"""State dicts of BigGAN-PyTorch, of its BigGAN and its BigGAN-deep: ``G_ema.pth``, ``G.pth``.

The configuration is outside the file, and its tensors tell it: widths, resolution, attention, classes, whether they
share an embedding, where z goes. What leaves no trace is the batch norms' epsilon, and where BigGAN-deep doubles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.errors import OptionError, WeightsError
from eigenwalk_biggan.configuration import Attention, Residual, Sizes, Way
from eigenwalk_biggan.description import Description
from eigenwalk_biggan.tensors import Tensors, count_layers, spectral_norm, statistics

EPSILON = 1e-5
"""Of the last batch norm always, of the others where nothing else was asked for."""
IGNORED = r"\.(u|sv)\d+|num_batches_tracked|accumulation_counter"
"""Vectors and values of the power method, of which the first vector counts; and counters."""


@dataclass(frozen=True)
class _Sides:
    """What the first layers tell of the sizes."""

    deep: bool
    shared: bool
    z_dim: int
    embedding: int
    way: Way
    bottom: int


def read(held: Mapping[str, Tensor], what: str, eps: float | None = None, depth: int | None = None) -> Description:
    """The generator of the state dict `held`; `what` names the file.

    Raises:
        WeightsError: tensors are missing or left over, or have shapes that no BigGAN has.
        OptionError: `depth` is needed, or does not fit.
    """
    tensors = Tensors(held, what)
    sides = _sides(tensors)
    table = tensors.take("shared.weight") if sides.shared else torch.eye(sides.embedding, dtype=torch.float64)
    state = {"first.weight": _weight(tensors, "linear"), "first.bias": tensors.take("linear.bias")}
    layers: list[Residual | Attention] = []
    epsilon = EPSILON if eps is None else eps
    for place in _places(tensors):
        prefix = f"layers.{len(layers)}"
        if f"{place}.theta.weight" in tensors:
            layers.append(_attention(tensors, place, prefix, state))
        else:
            layers.append(_block(tensors, place, prefix, state, sides, epsilon))
    last = _norm(tensors, "output_layer.0", EPSILON)
    gain = last["scale"] * tensors.take("output_layer.0.gain")
    state |= {"scale": gain, "shift": tensors.take("output_layer.0.bias") - last["mean"] * gain}
    state |= {"rgb.weight": _weight(tensors, "output_layer.2"), "rgb.bias": tensors.take("output_layer.2.bias")}
    tensors.check_all_taken(IGNORED)
    doubling = _doubling([one for one in layers if isinstance(one, Residual)], sides.deep, depth, what)
    sizes = Sizes(
        sides.z_dim,
        sides.embedding,
        sides.way,
        sides.bottom,
        tuple(next(doubling) if isinstance(one, Residual) else one for one in layers),
    )
    kind = "BigGAN-deep" if sides.deep else "BigGAN"
    return Description(sizes, {k: v.float() for k, v in state.items()}, table, f"{kind} of BigGAN-PyTorch", None)


def _sides(tensors: Tensors) -> _Sides:
    deep, shared = "blocks.0.0.conv4.weight" in tensors, "shared.weight" in tensors
    outputs, inputs = tensors.sides("linear.weight")[:2]
    gain = tensors.sides("blocks.0.0.bn1.gain.weight")
    channels = tensors.sides("blocks.0.0.conv1.weight")[1]
    bottom = round((outputs / channels) ** 0.5)
    if channels * bottom**2 != outputs:
        raise WeightsError(f"{tensors.what}: linear.weight gives {outputs} numbers for {channels} channels of a square")
    if not shared:
        if deep:
            raise WeightsError(
                f"{tensors.what} is a BigGAN-deep without shared embeddings, which its own code cannot run"
            )
        return _Sides(deep, shared, inputs, gain[0], "plain", bottom)
    embedding = tensors.sides("shared.weight")[1]
    rest = gain[1] - embedding
    blocks = count_layers(tensors, r"blocks\.(\d+)\.")
    way: Way = "joint" if deep else "hierarchical" if rest else "plain"
    fits = {"joint": embedding + rest, "hierarchical": rest, "plain": inputs}[way]
    if rest < 0 or inputs != fits:
        raise WeightsError(
            f"{tensors.what}: the first layer takes {inputs} numbers, a batch norm {gain[1]} and an embedding has "
            f"{embedding}, which fit no BigGAN"
        )
    z_dim = {"joint": rest, "hierarchical": rest * (blocks + 1), "plain": inputs}[way]
    return _Sides(deep, shared, z_dim, embedding, way, bottom)


def _places(tensors: Tensors) -> list[str]:
    """The names of blocks and attention in the order of computation."""
    places = []
    for i in range(count_layers(tensors, r"blocks\.(\d+)\.")):
        places += [f"blocks.{i}.{j}" for j in range(count_layers(tensors, rf"blocks\.{i}\.(\d+)\."))]
    return places


def _weight(tensors: Tensors, name: str) -> Tensor:
    """A weight after spectral normalisation, where it has one."""
    weight = tensors.take(f"{name}.weight")
    if f"{name}.u0" in tensors:
        weight = weight / spectral_norm(weight, tensors.take(f"{name}.u0"))
    return weight.float()


def _norm(tensors: Tensors, name: str, eps: float) -> dict[str, Tensor]:
    """Mean and scale of a batch norm: torch's own, or that with standing statistics, or that over several devices."""
    for mean, variance in (
        (f"{name}.stored_mean", f"{name}.stored_var"),
        (f"{name}.bn.stored_mean", f"{name}.bn.stored_var"),
        (f"{name}.bn.running_mean", f"{name}.bn.running_var"),
    ):
        if mean in tensors:
            counter = f"{name}.bn.accumulation_counter"
            # Standing statistics are sums over as many batches; at 0 they are running averages.
            batches = float(tensors.take(counter)) if counter in tensors else 0.0
            over = batches if batches > 0 else 1.0
            middle, scale = statistics(tensors.take(mean) / over, tensors.take(variance) / over, eps)
            return {"mean": middle, "scale": scale}
    raise WeightsError(
        f"{tensors.what} has no statistics of batch norm at {name}: another norm_style than bn or in is not known"
    )


def _block(tensors: Tensors, place: str, prefix: str, state: dict[str, Tensor], sides: _Sides, eps: float) -> Residual:
    count = 4 if sides.deep else 2
    for i in range(count):
        conv, norm = f"{place}.conv{i + 1}", f"{place}.bn{i + 1}"
        state[f"{prefix}.convs.{i}.weight"] = _weight(tensors, conv)
        state[f"{prefix}.convs.{i}.bias"] = tensors.take(f"{conv}.bias")
        found = _norm(tensors, norm, eps)
        for part in ("gain", "bias"):
            weight = _weight(tensors, f"{norm}.{part}")
            found[f"{part}.weight"] = weight if sides.shared else weight.T  # a table, which a one-hot vector reads
        state |= {f"{prefix}.norms.{i}.{part}": tensor for part, tensor in found.items()}
    hidden, inputs = tensors.sides(f"{place}.conv1.weight")[:2]
    if sides.deep:
        return Residual(inputs, tensors.sides(f"{place}.conv4.weight")[0], hidden, False)
    state[f"{prefix}.shortcut.weight"] = _weight(tensors, f"{place}.conv_sc")
    state[f"{prefix}.shortcut.bias"] = tensors.take(f"{place}.conv_sc.bias")
    return Residual(inputs, hidden, None, True)


def _attention(tensors: Tensors, place: str, prefix: str, state: dict[str, Tensor]) -> Attention:
    for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("o", "output")):
        state[f"{prefix}.{ours}.weight"] = _weight(tensors, f"{place}.{theirs}")
    state[f"{prefix}.gamma"] = tensors.take(f"{place}.gamma").reshape(())
    keys, channels = tensors.sides(f"{place}.theta.weight")[:2]
    return Attention(channels, keys, tensors.sides(f"{place}.g.weight")[0])


def _doubling(blocks: list[Residual], deep: bool, depth: int | None, what: str) -> Iterator[Residual]:
    """The blocks, of which in BigGAN-deep the last of every `depth` doubles the image's sides.

    Where all widths are the same, that code has three stages; where they are not, it runs with two blocks a stage.
    """
    if not deep:
        if depth is not None:
            raise OptionError(f"depth must be left out: {what} is no BigGAN-deep, got {depth}")
        return iter(blocks)
    count = len(blocks)
    alike = len({width for one in blocks for width in (one.inputs, one.outputs)}) == 1
    found = depth if depth is not None else count // 3 if alike else 2
    if found < 1 or count % found:
        raise OptionError(
            f"depth must be given, the G_depth that {what} was trained with: it must divide its {count} blocks"
            + ("" if depth is None else f", got {depth}")
        )
    return iter(Residual(one.inputs, one.outputs, one.hidden, i % found == found - 1) for i, one in enumerate(blocks))
