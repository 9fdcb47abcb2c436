"""The generator that eigenwalk walks in, and what is known of it."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eigenwalk import checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk.generator import Generator
from eigenwalk_dcgan import evidence, names
from eigenwalk_dcgan.facts import facts
from eigenwalk_dcgan.geometry import Geometry, epsilon, geometry
from eigenwalk_dcgan.layout import Layout, Unlike, layout
from eigenwalk_dcgan.network import Choices, Decoder, decoder, pixels
from eigenwalk_dcgan.plugin import ACTIVATIONS, LATENTS, ORDERS, RANGES


class DCGAN(Generator):
    """Latents ``(batch, latent_dim)`` to images ``(batch, 3, height, width)``, nominally in [0, 1], not clipped.

    Attributes:
        facts: what the network was found to be, and from what, in words for people.
    """

    def __init__(
        self,
        network: Decoder,
        latent_dim: int,
        resolution: tuple[int, int],
        output: str,
        latent: str = "normal",
        facts: Mapping[str, str] | None = None,
    ):
        self.network, self.latent_dim, self.resolution = network, latent_dim, resolution
        self.output, self.latent, self.facts = output, latent, dict(facts or {})

    def __call__(self, latents: Tensor) -> Tensor:
        """Images in the latents' dtype; they are computed in the network's, which `to` sets."""
        kept = self.network.one_hot.dtype
        return pixels(self.network(latents.to(kept)), self.output).to(latents.dtype)

    def sample(self, n: int, seed: int) -> Tensor:
        """`n` latents ``(n, latent_dim)`` of the distribution that the network was trained on."""
        return (
            super().sample(n, seed) if self.latent == "normal" else evidence.drawn(n, seed, self.latent_dim, "uniform")
        )

    def __repr__(self) -> str:
        height, width = self.resolution
        return f"<DCGAN, {width} x {height} pixels, {self.latent_dim} coordinates>"


def dcgan(
    path: str | Path,
    key: str | None = None,
    range: str | None = None,
    activation: str | None = None,
    slope: float | None = None,
    order: str | None = None,
    after_linear: bool | None = None,
    resolution: int | None = None,
    scales: Sequence[float] | None = None,
    start: Sequence[float] | None = None,
    upsample: str = "nearest",
    padding: str | None = None,
    norm: str | None = None,
    groups: int | None = None,
    eps: float | None = None,
    latent: str | None = None,
    latent_dim: int | None = None,
    label: int = 0,
) -> DCGAN:
    """The generator in the state dict or checkpoint at `path`; what is not given is inferred, see `evidence`.

    Raises:
        FileError: the file cannot be opened, or its tensors are no stack of layers that makes images.
        OptionError: something must be said that the tensors do not show; the message names the option.
    """
    path = Path(path).expanduser()
    state, prefix = _state(path, key)
    layers = _layout(path, state)
    wanted = {
        "activation": activation or ("leaky" if slope is not None else None), "slope": slope, "order": order,
        "after_linear": after_linear, "eps": eps, "latent": latent,
    }  # fmt: skip
    _check(wanted, range)
    given = {name: value for name, value in wanted.items() if value is not None}
    first = Choices(norm=norm, groups=groups, upsample=upsample, eps=epsilon(layers))
    first = replace(first, **given)
    dim, one_hot = _conditional(layers, latent_dim, label)
    sizes = geometry(layers, resolution, scales, start, padding)

    def build(choices: Choices, sizes: Geometry = sizes) -> Decoder:
        return decoder(layers, sizes, choices, state, one_hot)

    found = evidence.found(build, first, frozenset(given), dim, evidence.many(sizes.resolution))
    latents = evidence.drawn(evidence.LATENTS, evidence.SEED, dim, found.choices.latent)
    if resolution is None and scales is None:
        sizes = _last(layers, sizes, lambda tried: evidence.roughness(build(found.choices, tried), latents))
    network = build(found.choices, sizes)
    output, why = (range, "as given") if range else evidence.output(network, latents)
    if output is None:
        raise _unclear(path, why, _summary(layers, sizes, found.choices))
    told = facts(layers, sizes, found, frozenset(given), (output, why), (dim, one_hot), prefix, state)
    return DCGAN(network, dim, sizes.resolution, output, found.choices.latent, told)


def _unclear(path: Path, why: str, inferred: str) -> OptionError:
    return OptionError(
        f"range must be given: {path.name} does not tell what its last layer's numbers go through, and {why}; "
        "write range=tanh (most GANs), range=sigmoid (most VAEs), range=unit (pixels in [0, 1] as they come) or "
        f"range=symmetric (in [-1, 1]). Inferred: {inferred}"
    )


def _check(wanted: Mapping[str, Any], range: str | None) -> None:
    """Raises where a word is none of its option's, as `eigenwalk` itself does for what is typed."""
    words = {
        "range": (range, RANGES),
        "activation": (wanted["activation"], ACTIVATIONS),
        "order": (wanted["order"], ORDERS),
        "latent": (wanted["latent"], LATENTS),
    }
    for name, (value, choices) in words.items():
        if value is not None and value not in choices:
            raise OptionError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    if wanted["slope"] is not None and wanted["activation"] != "leaky":
        raise OptionError(f"slope belongs to activation=leaky, got activation={wanted['activation']}")


def _state(path: Path, key: str | None) -> tuple[dict[str, Tensor], str]:
    """The generator's tensors by name, and the prefix under which they stood."""
    tensors = names.flat(_opened(path), lambda one: one if isinstance(one, Tensor) else None)
    try:
        return names.chosen(tensors, key)
    except LookupError as error:
        raise OptionError(f"key={key} stands for nothing in {path}: it holds {error}") from None


def _opened(path: Path) -> dict[str, Any]:
    """The dictionaries in the file at `path`; nothing of it is run."""
    if path.suffix == ".safetensors":
        return dict(checkpoint.state_dict(path))
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return dict(checkpoint.state_dict(path))  # it says what the file wants, and how to save it
    except Exception as error:  # a damaged file makes the readers of archives and pickles raise anything
        if not path.is_file():
            raise FileError(f"there is no file {path}") from None
        told = str(error).partition("\n")[0]
        raise FileError(f"{path} cannot be opened as weights, it is truncated or no PyTorch file ({told})") from error
    if not isinstance(found, dict):
        raise FileError(f"{path} holds a {type(found).__name__}, where tensors by name were expected")
    return found


def _layout(path: Path, state: Mapping[str, Tensor]) -> Layout:
    try:
        return layout({name: tuple(one.shape) for name, one in state.items()}, path.suffix == ".safetensors")
    except Unlike as error:
        raise FileError(
            f"{path} is no DCGAN or decoder that is known here: {error}. Where a checkpoint holds several networks, "
            "key=netG picks one; for another architecture write a function that builds it: ./my_generator.py:build"
        ) from None


def _conditional(layers: Layout, latent_dim: int | None, label: int) -> tuple[int, Tensor]:
    """Coordinates of the latent, and the one-hot that follows it (empty for most)."""
    width = layers.layers[0].inputs
    encoded = layers.encoded if layers.encoded and layers.encoded < width else width
    dim = encoded if latent_dim is None else latent_dim
    if not 0 < dim <= width:
        raise OptionError(f"latent_dim must be from 1 to {width}, the width of the first layer, got {latent_dim}")
    classes = width - dim
    if classes and not 0 <= label < classes:
        raise OptionError(f"label must be from 0 to {classes - 1}: {classes} numbers follow the latent, got {label}")
    if not classes and label:
        raise OptionError(
            f"label={label} was given, and all {width} inputs are the latent: write latent_dim=… where classes "
            "follow it"
        )
    one_hot = torch.zeros(classes)
    if classes:
        one_hot[label] = 1
    return dim, one_hot


def _last(layers: Layout, sizes: Geometry, rough: Any) -> Geometry:
    """`sizes`, where the last layer leaves the image's size if it is named apart and would else make it rough."""
    convolutions = [layer for layer in layers.layers if layer.kind in ("conv", "deconv")]
    others = {layer.module.stem for layer in convolutions[:-1]}
    last = convolutions[-1]
    if len(convolutions) < 3 or len(others) > 1 or last.module.stem in others or last.kind != "deconv":
        return sizes
    if sizes.scales[-1] != 2 or last.kernel == 2:
        return sizes
    told = f"from kernels; {last.module.name}, named apart, leaves the size: it would make a checkerboard else"
    same = replace(sizes, scales=(*sizes.scales[:-1], 1), told=told)
    return same if 1.25 * rough(same) < rough(sizes) else sizes


def _summary(layers: Layout, sizes: Geometry, choices: Choices) -> str:
    height, width = sizes.resolution
    return f"{len(layers.layers)} layers, {width} x {height} pixels, {choices.words}"
