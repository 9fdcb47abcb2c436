"""NVIDIA's pickles of PyTorch: StyleGAN2, StyleGAN2-ADA, StyleGAN3.

A dictionary of networks, of which ``G_ema`` is the one with averaged weights; or that network alone, as pivotal tuning
saves it. Each module is a record: the name of
its class and its attributes, among them ``_parameters``, ``_buffers`` and ``_modules``. The attributes tell what
the source, which is not looked at, made of its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, Record, StateDict, shown
from eigenwalk.errors import FileError
from eigenwalk_stylegan.configuration import Mapping, StyleGAN2, StyleGAN3
from eigenwalk_stylegan.description import Description
from eigenwalk_stylegan.stylegan3 import design

MODULES = 10_000
"""Modules of one network at most: StyleGAN2 has about 100."""


@dataclass
class Saved:
    """A network's records side by side, by their dotted names: attributes of modules, and tensors."""

    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def attribute(self, module: str, name: str) -> Any:
        """An attribute of a module; raises KeyError."""
        return self.attributes[module][name]

    def arguments(self, module: str) -> dict[str, Any]:
        """The arguments by name that the module was made with."""
        found = self.attributes[module].get("_init_kwargs", {})
        if not isinstance(found, dict):
            raise TypeError(f"the arguments of {module} are no dictionary")
        return found


def read(checkpoint: Checkpoint) -> Description:
    """The generator with averaged weights of the pickle.

    Raises:
        FileError: it is another architecture, or its tensors stand there without their modules.
    """
    found = checkpoint.state_dict("synthesis.b4.const") or checkpoint.state_dict("synthesis.input.freqs")
    assert found is not None  # as recognised
    saved = modules(checkpoint, found)
    try:
        if "synthesis.input" in saved.attributes:
            configuration, names = _stylegan3(saved), _names3(saved)
            check_filters(configuration, _layers3(saved), saved.tensors)
        else:
            configuration, names = _stylegan2(saved), _name2
        state = {ours: tensor for name, tensor in saved.tensors.items() if (ours := names(name))}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        raise FileError(f"{checkpoint} holds no StyleGAN that is known here ({explain(error)})") from error
    number = 2 if isinstance(configuration, StyleGAN2) else 3
    return Description(configuration, state, f"StyleGAN{number}, a pickle of PyTorch", found.notes)


def explain(error: Exception) -> str:
    """The error in words; of a KeyError, that the key is missing."""
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def modules(checkpoint: Checkpoint, found: StateDict) -> Saved:
    """The tensors of `found` and the attributes of the modules that they stand in, by dotted names.

    Raises:
        FileError: there are no modules, but tensors by name alone.
    """
    record = checkpoint.tree
    for word in found.key.split(".") if found.key else ():
        record = record.get(word) if isinstance(record, dict) else None
    saved, waiting = Saved(tensors=found.load()), [("", record)]
    while waiting:
        name, record = waiting.pop()
        if not isinstance(record, Record) or not isinstance(record.state, dict) or len(saved.attributes) > MODULES:
            raise FileError(
                f"{checkpoint} holds {found.key or 'a network'} as tensors by name: what its layers are made with is "
                "missing, so the pickle that they come from is needed"
            )
        saved.attributes[name] = record.state
        prefix = f"{name}." if name else ""
        inside = record.state.get("_modules")
        for key, inner in inside.items() if isinstance(inside, dict) else ():
            if inner is not None:
                waiting.append((prefix + str(key), inner))
    return saved


def _mapping(saved: Saved) -> Mapping:
    layers = int(saved.attribute("mapping", "num_layers"))
    first = saved.tensors["mapping.fc0.weight"]
    _check_leaky(saved, "mapping.fc0")
    labels = int(saved.attribute("mapping", "c_dim"))
    return Mapping(
        z_dim=int(saved.attribute("mapping", "z_dim")),
        w_dim=int(saved.attribute("mapping", "w_dim")),
        hidden=first.shape[0],
        layers=layers,
        labels=labels,
        embedding=saved.tensors["mapping.embed.weight"].shape[0] if labels else 0,
        rate=float(saved.attribute("mapping.fc0", "bias_gain")),
    )


def _check_leaky(saved: Saved, module: str) -> None:
    if (kind := saved.attribute(module, "activation")) != "lrelu":
        raise ValueError(f"activation {shown(kind)} of {module}: lrelu alone is known")


def _side(saved: Saved) -> int:
    """The larger side of the images, which have three channels, or one where they are grey."""
    if (channels := saved.attribute("synthesis", "img_channels")) not in (1, 3):
        raise ValueError(f"images of {shown(channels)} channels: RGB, of three, or grey is expected")
    return int(saved.attribute("synthesis", "img_resolution"))


def _stylegan2(saved: Saved) -> StyleGAN2:
    side = _side(saved)
    sides = [4 << k for k in range(max(side, 4).bit_length() - 2)]
    if sides[-1] != side:
        raise ValueError(f"images of {side} pixels: 4, 8, 16, … are known")
    _check_leaky(saved, "synthesis.b4.conv1")
    clamp = saved.attribute("synthesis.b4.conv1", "conv_clamp")
    return StyleGAN2(
        _mapping(saved),
        tuple(saved.tensors[f"synthesis.b{one}.conv1.weight"].shape[0] for one in sides),
        saved.attribute("synthesis.b4", "architecture"),
        taps(saved.tensors["synthesis.b4.resample_filter"]),
        None if clamp is None else float(clamp),
        bool(saved.attribute("synthesis.b4.conv1", "use_noise")),
        tuple(saved.tensors["synthesis.b4.const"].shape[1:]),
    )


def taps(square: Tensor) -> tuple[float, ...]:
    """The filter ``(taps,)`` whose outer product with itself is the normalised `square`."""
    if square.ndim != 2 or square.shape[0] != square.shape[1] or square.shape[0] > 32:
        raise ValueError(f"a filter of shape {tuple(square.shape)}: a square is expected")
    line = square.double().sum(0) / square.double().sum()
    if not torch.allclose(torch.outer(line, line), square.double() / square.double().sum(), atol=1e-6):
        raise ValueError("a filter that is not the same along both axes")
    return tuple(line.tolist())


_LAYER2 = {"weight": "weight", "bias": "bias", "affine.weight": "style.weight", "affine.bias": "style.bias",
           "noise_const": "noise", "noise_strength": "strength"}  # fmt: skip


def _name2(name: str) -> str | None:
    """Our name of a tensor of StyleGAN2; None for filters, which the configuration holds."""
    if name.endswith("resample_filter"):
        return None
    if mapping := _name_mapping(name):
        return mapping
    found = re.fullmatch(r"synthesis\.b(\d{1,5})\.(const|conv0|conv1|torgb|skip)\.?(.*)", name)
    if not found:
        return name
    k, part, rest = int(found[1]).bit_length() - 3, found[2], _LAYER2.get(found[3], found[3])
    if part == "const":
        return "constant"
    if part == "skip":
        return f"shortcuts.{k - 1}.{rest}"
    return f"rgbs.{k}.{rest}" if part == "torgb" else f"convs.{2 * k - (part == 'conv0')}.{rest}"


def _name_mapping(name: str) -> str | None:
    if name == "mapping.w_avg":
        return "mapping.mean"
    return re.sub(r"^mapping\.fc(\d+)\.", r"mapping.layers.\1.", name) if name.startswith("mapping.") else None


_DEFAULTS3 = {
    "channel_base": "channel_base",
    "channel_max": "channel_max",
    "first_cutoff": "first_cutoff",
    "first_stopband": "first_stopband",
    "last_stopband_rel": "last_stopband",
    "filter_size": "taps",
    "lrelu_upsampling": "oversampling",
    "use_radial_filters": "radial",
}
"""Arguments of StyleGAN3's synthesis that leave no attribute behind, and ours; those not given have the defaults."""


def _stylegan3(saved: Saved) -> StyleGAN3:
    given = saved.arguments("synthesis")
    first, last = _layers3(saved)[0], _layers3(saved)[-1]
    clamp = saved.attribute(last, "conv_clamp")
    return StyleGAN3(
        _mapping(saved),
        _side(saved),
        **{ours: given[theirs] for theirs, ours in _DEFAULTS3.items() if theirs in given},
        layers_between=saved.attribute("synthesis", "num_layers"),
        critical=saved.attribute("synthesis", "num_critical"),
        margin=saved.attribute("synthesis", "margin_size"),
        scale=float(saved.attribute("synthesis", "output_scale")),
        kernel=saved.attribute(first, "conv_kernel"),
        clamp=None if clamp is None else float(clamp),
    )


def _layers3(saved: Saved) -> list[str]:
    names = saved.attribute("synthesis", "layer_names")
    if not all(isinstance(name, str) for name in names):
        raise TypeError("names of layers that are no text")
    return [f"synthesis.{name}" for name in names]


def _names3(saved: Saved) -> Callable[[str], str | None]:
    layers = {name: i for i, name in enumerate(_layers3(saved))}
    parts = {"affine.weight": "style.weight", "affine.bias": "style.bias", "magnitude_ema": "magnitude"}
    parts |= {"freqs": "frequencies"}

    def ours(name: str) -> str | None:
        if name.endswith((".up_filter", ".down_filter")):
            return None
        if mapping := _name_mapping(name):
            return mapping
        layer, _, part = name.removeprefix("synthesis.").partition(".")
        part = parts.get(part, part)
        return f"input.{part}" if layer == "input" else f"layers.{layers[f'synthesis.{layer}']}.{part}"

    return ours


def check_filters(configuration: StyleGAN3, layers: list[str], tensors: dict[str, Tensor]) -> None:
    """Raise ValueError unless the filters of these layers among `tensors` are those of the paper's formulas."""
    for name, at in zip(layers, configuration.plan, strict=True):
        _, _, *ours = design(configuration, at)
        for part, filter in zip(("up_filter", "down_filter"), ours, strict=True):
            theirs = tensors.get(f"{name}.{part}", torch.ones(1)).double()
            if theirs.shape != filter.shape or not torch.allclose(theirs, filter, atol=1e-6):
                raise ValueError(f"{part} of {name} is another than the paper's")
