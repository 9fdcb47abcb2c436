"""A DCGAN or decoder as a generator, with facts about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, StateDict
from eigenwalk.errors import OptionError
from eigenwalk.generator import Generator
from eigenwalk_dcgan import evidence
from eigenwalk_dcgan.evidence import Evidence
from eigenwalk_dcgan.facts import facts
from eigenwalk_dcgan.geometry import Sizing, Wanted, image_size, readings, settle, start_side
from eigenwalk_dcgan.layout import Layout
from eigenwalk_dcgan.network import Blueprint, Choices, Decoder, pixels
from eigenwalk_dcgan.plugin import ACTIVATIONS, LATENTS, ORDERS, RANGES, SQUARES, UPSAMPLINGS
from eigenwalk_dcgan.rebuild import SEED, draw
from eigenwalk_dcgan.recognise import recognise


class DCGAN(Generator):
    """Latents ``(batch, latent_dim)`` to images ``(batch, 3, height, width)``, nominally in [0, 1], not clipped.

    Attributes:
        facts: what the network was found to be, and from what, in words for people.
        notes: which copy of the weights was taken, and what is assumed.
    """

    def __init__(
        self,
        network: Decoder,
        latent_dim: int,
        resolution: tuple[int, int],
        output: str,
        latent: str = "normal",
        facts: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
    ):
        self.network, self.latent_dim, self.resolution = network, latent_dim, resolution
        self.output, self.latent, self.facts, self.notes = output, latent, dict(facts or {}), notes

    def __call__(self, latents: Tensor) -> Tensor:
        """Return images in the latents' dtype; they are computed in the network's, which `to` sets."""
        kept = self.network.one_hot.dtype
        return pixels(self.network(latents.to(kept)), self.output).to(latents.dtype)

    def sample(self, n: int, seed: int) -> Tensor:
        """Return `n` latents ``(n, latent_dim)`` of the distribution that the network was trained on."""
        return super().sample(n, seed) if self.latent == "normal" else draw(n, seed, self.latent_dim, "uniform")

    def __repr__(self) -> str:
        height, width = self.resolution
        return f"<DCGAN, {width} x {height} pixels, {self.latent_dim} coordinates>"


def dcgan(
    path: str | PathLike[str],
    key: str | None = None,
    range: str | None = None,
    activation: str | None = None,
    slope: float | None = None,
    order: str | None = None,
    after_linear: bool | None = None,
    resolution: int | None = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[float] | None = None,
    square: str | None = None,
    start: Sequence[float] | None = None,
    upsample: str | None = None,
    padding: str | None = None,
    norm: str | None = None,
    groups: int | None = None,
    eps: float | None = None,
    latent: str | None = None,
    latent_dim: int | None = None,
    label: int = 0,
) -> DCGAN:
    """Open the generator in the state dict or checkpoint at `path`; missing options are inferred, see `evidence`.

    Raises:
        FileError: the file cannot be opened, or its tensors are no stack of layers that makes images.
        OptionError: something must be said that the tensors do not show; the message names the option.
    """
    checkpoint = Checkpoint.of(path)
    copy, layout = recognise(checkpoint, key)
    wanted = {
        "activation": activation or ("leaky" if slope is not None else None), "slope": slope, "order": order,
        "after_linear": after_linear, "eps": eps, "latent": latent, "upsample": upsample,
    }  # fmt: skip
    _check(wanted, range, square)
    given = {name: value for name, value in wanted.items() if value is not None}
    keras = padding == "keras" or (padding is None and layout.from_keras)
    choices = Choices(norm=norm, groups=groups, eps=1e-3 if layout.from_keras else 1e-5)
    shape, first = Wanted(resolution, scales, sizes, square), start_side(layout, start)
    net = Blueprint(layout, first, "keras" if keras else "torch", copy.load())
    dim, one_hot = _latent(layout, net.tensors[0]["weight"], latent_dim, label)
    options = readings(layout, shape, keras)
    found = evidence.weigh(net, layout, options, replace(choices, **given), frozenset(given), (dim, len(one_hot)))
    questions = [] if activation else list(_about_activation(checkpoint, layout, found))
    try:
        sizings = settle(layout, found.open, found.proven, first, shape)
    except OptionError as error:
        questions.append(str(error))
    if questions:
        raise OptionError("\n".join(questions))
    latents = draw(evidence.LATENTS[0], SEED, dim, found.choices.latent)
    if not shape:
        sizings = _last(layout, sizings, keras, lambda way: net.decoder(found.choices, way, one_hot)(latents))
    network, sides = net.decoder(found.choices, sizings, one_hot), image_size(layout, first, sizings)
    output, why = (range, "as given") if range else evidence.output_range(network(latents), net.spatial)
    if output is None:
        raise OptionError(
            f"range must be given: {checkpoint.path.name} does not tell what its last layer's numbers go through, "
            f"and {why}; write range=tanh (most GANs), range=sigmoid (most VAEs), range=unit (pixels in [0, 1] as "
            f"they come) or range=symmetric (in [-1, 1]). Inferred: {len(layout.layers)} layers, "
            f"{sides[-1][1]} x {sides[-1][0]} pixels, {found.choices}"
        )
    known = facts(layout, sides, found, frozenset(given), bool(shape), (output, why), (dim, one_hot), copy, network)
    return DCGAN(network, dim, sides[-1], output, found.choices.latent, known, _notes(copy, known))


def _about_activation(checkpoint: Checkpoint, layout: Layout, found: Evidence) -> Iterator[str]:
    """Return the error that asks for the activation if no network fits the statistics, or several do."""
    name = checkpoint.path.name
    if found.mismatch is not None and found.mismatch > evidence.FITS:
        yield (
            f"activation must be given: the running statistics in {name} fit no network that was tried, the best "
            f"({found.choices}, {found.choices.order}) is {found.mismatch:.2f} standard deviations off. If it is a "
            "plain stack of layers, write activation=, slope=, order=, eps= and sizes= as its code has them, and what "
            "is given is taken as it is; else write a function that builds it: ./my_generator.py:build"
        )
    elif layout.encoded and found.mismatch is not None and len(found.fitting) > 1:
        yield (
            f"activation must be given: the running statistics in {name} fit {' and '.join(found.fitting)} alike; "
            "write activation=relu, or activation=leaky and slope=0.01 (which PyTorch's LeakyReLU() has)"
        )


def _notes(copy: StateDict, known: Mapping[str, str]) -> tuple[str, ...]:
    """Return notes: the copy of the weights that was taken, and assumptions that no tensor confirms."""
    assumed = [f"{label}: {words}" for label, words in known.items() if words.partition(",")[0].endswith("(assumed)")]
    return (*copy.notes, *(["; ".join(assumed)] if assumed else []))


def _check(wanted: Mapping[str, Any], range: str | None, square: str | None) -> None:
    """Raise OptionError for an unknown word, as eigenwalk does for typed options."""
    words = {
        "range": (range, RANGES),
        "square": (square, SQUARES),
        "upsample": (wanted["upsample"], UPSAMPLINGS),
        "activation": (wanted["activation"], ACTIVATIONS),
        "order": (wanted["order"], ORDERS),
        "latent": (wanted["latent"], LATENTS),
    }
    for name, (value, choices) in words.items():
        if value is not None and value not in choices:
            raise OptionError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    if wanted["slope"] is not None and wanted["activation"] != "leaky":
        raise OptionError(f"slope belongs to activation=leaky, got activation={wanted['activation']}")


def _latent(layout: Layout, weight: Tensor, latent_dim: int | None, label: int) -> tuple[int, Tensor]:
    """Return the latent's width and the one-hot vector that follows it (usually empty)."""
    width = layout.layers[0].inputs
    shown = layout.encoded if layout.encoded and layout.encoded < width else width
    if shown == width:
        shown -= evidence.class_inputs(layout.layers[0], weight)
    dim = shown if latent_dim is None else latent_dim
    if not 0 < dim <= width:
        raise OptionError(f"latent_dim must be from 1 to {width}, the width of the first layer, got {latent_dim}")
    classes = width - dim
    if classes and not 0 <= label < classes:
        raise OptionError(f"label must be from 0 to {classes - 1}: {classes} numbers follow the latent, got {label}")
    if not classes and label:
        raise OptionError(
            f"label={label} was given, and all {width} inputs are the latent: write latent_dim=… if classes follow it"
        )
    one_hot = torch.zeros(classes)
    if classes:
        one_hot[label] = 1
    return dim, one_hot


def _last(
    layout: Layout, sizings: dict[int, Sizing], keras: bool, draw: Callable[[dict[int, Sizing]], Tensor]
) -> dict[int, Sizing]:
    """`sizings`, but the last layer leaves the size if it is named apart and would otherwise make a checkerboard.

    Only Keras pads a transposed convolution of even width so that it leaves the size.
    """
    at = layout.convolutions[-1]
    last, others = layout.layers[at], {layout.layers[i].module.stem for i in layout.convolutions[:-1]}
    if not keras or len(others) != 1 or last.module.stem in others or sizings[at].stride != 2 or last.kernel == 2:
        return sizings
    same = sizings | {at: Sizing("deconv", 1, last.kernel - 1)}
    return same if 1.25 * evidence.roughness(draw(same)) < evidence.roughness(draw(sizings)) else sizings
