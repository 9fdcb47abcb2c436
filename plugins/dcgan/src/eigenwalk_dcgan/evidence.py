"""Infer from running statistics how the network was built that the file's tensors come from.

A batch norm keeps the mean and variance of what it was given in training. A network that is rebuilt as it was gives its
norms just that; under another activation, order, stride or latent it does not. And photographs differ from each other
and within by about 0.28 of their range, whatever they show, which tells a tanh from a sigmoid: the tanh of the same
numbers has twice the contrast where they are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eigenwalk_dcgan.geometry import Sizing
from eigenwalk_dcgan.layout import Layer, Layout
from eigenwalk_dcgan.network import LARGE, ORDERS, Blueprint, Choices, pixels
from eigenwalk_dcgan.rebuild import NATS, Pass, Trial, segments

WORK = 2e9
"""Multiplications of one pass over the latents on which statistics are met."""
LATENTS = (16, 64)
ROUGH = (8, 2.0, 0.1)
"""Latents of a first, rough pass, and its `floor` and `noise` (see `Pass`): few latents differ from many by chance."""
FINE = (1.15, 0.005)
FITS = 0.4
"""Largest mismatch of a network that is taken as rebuilt; trained ones, rebuilt rightly, had 0.03 to 0.12."""
CONTRAST = 0.28
"""Standard deviation of the pixels of photographs, as a share of the range; CelebA has 0.30, CIFAR-10 0.25."""
ORIGINS: tuple[dict[str, Any], ...] = (
    {"activation": "relu"}, *({"activation": "leaky", "slope": slope} for slope in (0.2, 0.01, 0.1, 0.3)),
    *({"activation": word} for word in ("elu", "silu", "gelu", "selu", "tanh")),
)  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """The result of comparing running statistics.

    Attributes:
        choices: the best, or those that were given.
        mismatch: how far norms are from their statistics, in standard deviations; None without statistics.
        inferred: the names of the choices for which every other value is ruled out.
        open: the sizings of each convolution that are not ruled out.
        proven: the convolutions of which statistics speak.
        fitting: the activations, in words, that are about as likely as the best.
    """

    choices: Choices
    mismatch: float | None
    inferred: frozenset[str]
    open: Mapping[int, list[Sizing]]
    proven: frozenset[int]
    fitting: tuple[str, ...] = ()


def weigh(
    net: Blueprint, layout: Layout, open_: Mapping[int, list[Sizing]], start: Choices, given: frozenset[str],
    widths: tuple[int, int],
) -> Evidence:  # fmt: skip
    """Find the choices and sizings that fit the running statistics of `net`, keeping those that are `given`.

    `widths` are the coordinates of the latent and of the one-hot behind it.
    """
    if not segments(net):
        return Evidence(start, None, frozenset(), open_, frozenset())
    rough = Pass(net, ROUGH[0], widths, *ROUGH[1:]).search(open_, _variants(layout, start, given))
    left = {at: [one for one in open_[at] if any(one in trial.open[at] for trial in rough)] for at in rough[0].open}
    fine = Pass(net, _latents(net, open_), widths, *FINE)
    trials = fine.search(left, [one.choices for one in rough])
    best = _choose(trials, fine)
    if "eps" not in given and best.choices.eps <= LARGE:
        fixed = {at: [sizing] for at, sizing in best.sizings.items()}
        others = [replace(best.choices, eps=eps) for eps in (1e-5, 1e-3) if eps != best.choices.eps]
        trials = [best, *trials, *(fine.search(fixed, [one])[0] for one in others)]
        nearest = min(trials, key=lambda one: one.mismatch)
        best = replace(nearest, open=best.open) if fine.rules_out(nearest, best) else best
    rivals = [one.choices for one in trials if not fine.rules_out(best, one)]
    fitting = dict.fromkeys(str(one.choices) for one in (best, *trials) if best.nats(one) < NATS)
    names = ("activation", "order", "after_linear", "eps", "latent")
    inferred = {name for name in names if all(_value(one, name) == _value(best.choices, name) for one in rivals)}
    inferred = inferred - given if best.mismatch <= FITS else set()
    opened = {**open_, **best.open}
    return Evidence(best.choices, best.mismatch, frozenset(inferred), opened, frozenset(best.open), tuple(fitting))


def _choose(trials: Sequence[Trial], fine: Pass) -> Trial:
    """Return the first of `trials`, sorted from the most usual, that is not ruled out.

    A slope of .01 differs too little from none to be ruled out by a ratio; there, likelihood alone decides.
    """
    nearest = min(trials, key=lambda one: one.mismatch)
    return next(
        one
        for one in trials
        if nearest.nats(one) < NATS
        or not (fine.rules_out(nearest, one) or (_is_relu(nearest.choices) and _is_relu(one.choices)))
    )


def _is_relu(choices: Choices) -> bool:
    """Whether the activation is a ReLU, or nearly."""
    return choices.activation == "relu" or (choices.activation == "leaky" and choices.slope <= 0.05)


def _latents(net: Blueprint, open_: Mapping[int, list[Sizing]]) -> int:
    """Return how many latents to compare statistics on: more for small networks, which cost little."""
    side, work = net.start[0], 0
    for at, layer in enumerate(net.layers):
        side = max(1, open_[at][0].side(side, layer.kernel)) if at in open_ else side
        work += layer.inputs * layer.outputs * (layer.kernel * side) ** 2 if layer.is_convolution else 0
    return max(LATENTS[0], min(LATENTS[1], int(WORK / max(work, 1))))


def _variants(layout: Layout, start: Choices, given: frozenset[str]) -> list[Choices]:
    """Return the choices to try."""
    numbered = None not in [layer.gap for layer in layout.layers[1:-1] if layer.kind != "linear"]
    origins: Sequence[dict[str, Any]] = [one for one in ORIGINS if "slope" not in given or "slope" not in one]
    linear = any(layer.kind == "linear" for layer in layout.layers)
    orders = [{"order": one} for one in ORDERS]
    plain = any(layer.kind == "conv" for layer in layout.layers)
    slip = plain and linear and "eps" not in given and not any(layer.kind == "deconv" for layer in layout.layers)
    return [
        replace(start, **{name: value for name, value in (a | b | c | d | e | f).items() if name not in given})
        for a in ([{}] if "activation" in given else origins)
        for b in ([{}] if "order" in given or numbered else orders)
        for c in ([{}] if "after_linear" in given or not linear else [{"after_linear": one} for one in (True, False)])
        for d in ([{}] if "latent" in given else [{"latent": one} for one in ("normal", "uniform")])
        for e in ([{}, {"eps": 0.8}] if slip else [{}])
        for f in ([{}] if "upsample" in given or not plain else [{"upsample": one} for one in ("nearest", "bilinear")])
    ]


def _value(choices: Choices, name: str) -> object:
    """Return the value of a choice; nearly a ReLU counts as one."""
    if name != "activation":
        return getattr(choices, name)
    return "relu" if _is_relu(choices) else str(choices)


def class_inputs(first: Layer, weight: Tensor) -> int:
    """Return how many inputs after the latent are a class: all their weights are far larger, or smaller.

    Of a weight ``(outputs, inputs)`` or ``(inputs, outputs, k, k)``, the norm for each input is compared.
    """
    norms = (weight if first.kind == "deconv" else weight.T).flatten(1).norm(dim=1)
    for classes in range(2, len(norms) // 2 + 1):
        latent, behind = norms[:-classes], norms[-classes:]
        if behind.min() > 1.5 * latent.max() or latent.min() > 1.5 * behind.max():
            return classes
    return 0


@torch.no_grad()
def output_range(numbers: Tensor, spatial: bool) -> tuple[str | None, str]:
    """Decide whether the last layer's `numbers` go through tanh or sigmoid (None if unclear), and say why.

    Networks that begin with a transposed convolution are GANs after Radford et al., which end in a tanh: these may have
    less contrast.
    """
    tanh, sigmoid = (float(pixels(numbers, word).std()) for word in ("tanh", "sigmoid"))
    shown = f"the pixels' contrast is {tanh:.2f} as tanh, {sigmoid:.2f} as sigmoid; photographs have about {CONTRAST}"
    if (0.17 if spatial else 0.22) <= tanh <= 0.36 and sigmoid < 0.22:
        return "tanh", shown
    return ("sigmoid" if tanh > 0.36 and sigmoid >= 0.22 and not spatial else None), shown


@torch.no_grad()
def roughness(numbers: Tensor) -> float:
    """Return the mean squared difference of neighbouring pixels in rows, as a share of that of next-but-one pixels.

    An image that was made twice as large by the kernels meant for it has smoother neighbours than before. Kernels that
    were trained to leave its size, put at every second pixel, make a checkerboard.
    """
    x = numbers
    return float((x[..., 1:] - x[..., :-1]).square().mean() / (x[..., 2:] - x[..., :-2]).square().mean())
