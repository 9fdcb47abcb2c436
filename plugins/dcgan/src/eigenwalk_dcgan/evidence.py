"""What the tensors do not show and yet betray: how the network was built that was trained.

A batch norm keeps the mean and variance of what it was given in training. A network that is rebuilt as it was, and
normalised by its own batch as in training, gives its norms just that; under another activation, order, stride or latent
it does not. And photographs differ from each other and within by about 0.28 of their range, whatever they show, which tells
a tanh from a sigmoid: the tanh of the same numbers has twice the contrast where they are small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eigenwalk_dcgan.geometry import Sizing
from eigenwalk_dcgan.layout import Layer, Layout
from eigenwalk_dcgan.network import LARGE, ORDERS, Blueprint, Choices, pixels

SEED = 20
WORK = 3e9
"""Multiplications of one pass over the latents on which statistics are met."""
LATENTS = (16, 128)
ROUGH = (8, 2.0)
"""Latents of a first, rough pass, and how many times larger a mismatch must be for a reading to be dropped there."""
FITS = 0.4
"""Largest mismatch of a network that is taken as rebuilt; trained ones, rebuilt rightly, had 0.03 to 0.12."""
CLEARLY = 1.15
"""How many times larger the mismatch of another reading must at least be for it to be ruled out ..."""
NATS = 12.0
"""... and how many nats less likely that reading: with few channels, a difference may be chance."""
NOISE = (0.1, 0.005)
"""Added to each mismatch before two are compared, in the rough pass and after: few latents differ from many by chance."""
CONTRAST = 0.28
"""Standard deviation of the pixels of photographs, as a share of the range; CelebA has 0.30, CIFAR-10 0.25."""
ORIGINS: tuple[dict[str, Any], ...] = (
    {"activation": "relu"}, *({"activation": "leaky", "slope": slope} for slope in (0.2, 0.01, 0.1, 0.3)),
    {"activation": "elu"}, {"activation": "silu"}, {"activation": "gelu"}, {"activation": "selu"}, {"activation": "tanh"},
)  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """What running statistics say.

    Attributes:
        choices: the best, or those that were given.
        mismatch: how far norms are from their statistics, in standard deviations; None without statistics.
        inferred: the names of the choices for which every other value is ruled out.
        open: the sizings of each convolution that are not ruled out.
        proven: the convolutions of which statistics speak.
    """

    choices: Choices
    mismatch: float | None
    inferred: frozenset[str]
    open: Mapping[int, list[Sizing]]
    proven: frozenset[int]


@dataclass(frozen=True)
class Trial:
    """A network that is rebuilt up to some norm: `x` is what this norm gives, `misses` one sum and count each."""

    choices: Choices
    x: Tensor
    sizings: Mapping[int, Sizing] = field(default_factory=dict)
    open: Mapping[int, list[Sizing]] = field(default_factory=dict)
    total: float = 0.0
    numbers: int = 0

    @property
    def mismatch(self) -> float:
        """Mean over the norms' means and logarithms of deviations."""
        return self.total / max(self.numbers, 1)


def weigh(
    net: Blueprint, layout: Layout, open_: Mapping[int, list[Sizing]], start: Choices, given: frozenset[str],
    widths: tuple[int, int],
) -> Evidence:  # fmt: skip
    """The choices and sizings that fit the running statistics of `net`, those `given` kept.

    `widths` are the coordinates of the latent and of the one-hot behind it.
    """
    segments = _segments(net)
    if not segments:
        return Evidence(start, None, frozenset(), open_, frozenset())
    n = _latents(net, open_)
    variants = _variants(layout, start, given)
    rough = _search(net, segments, open_, variants, (ROUGH[0], ROUGH[1]), widths)
    left = {at: [one for one in open_[at] if any(one in trial.open[at] for trial in rough)] for at in rough[0].open}
    trials = _search(net, segments, left, [one.choices for one in rough], (n, CLEARLY), widths)
    # What is usual stays unless it is ruled out: the variants stand in this order.
    nearest = min(trials, key=lambda one: one.mismatch)
    best = next(one for one in trials if not _ruled_out(nearest, one, floor=1.03))
    best, rivals = _with_eps(net, segments, best, [one.choices for one in trials], given, n, widths)
    names = ("activation", "order", "after_linear", "eps", "latent")
    inferred = {name for name in names if all(_value(one, name) == _value(best.choices, name) for one in rivals)}
    inferred = inferred - given if best.mismatch <= FITS else set()
    return Evidence(best.choices, best.mismatch, frozenset(inferred), {**open_, **best.open}, frozenset(best.open))


def _segments(net: Blueprint) -> list[range]:
    """The indices of layers up to each norm that has statistics of its own."""
    ends = [
        i
        for i, tensors in enumerate(net.tensors)
        if "running_var" in tensors and not bool((tensors["running_var"] == 1).all())  # as they are before training
    ]
    return [range(first, end + 1) for first, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]


def _latents(net: Blueprint, open_: Mapping[int, list[Sizing]]) -> int:
    """How many latents statistics are met on: small networks cost little, and have few pixels."""
    side, work = net.start[0], 0
    for at, layer in enumerate(net.layers):
        side = max(1, open_[at][0].side(side, layer.kernel)) if at in open_ else side
        work += layer.inputs * layer.outputs * (layer.kernel * side) ** 2 if layer.is_convolution else 0
    return max(LATENTS[0], min(LATENTS[1], int(WORK / max(work, 1))))


def _variants(layout: Layout, start: Choices, given: frozenset[str]) -> list[Choices]:
    """The choices that are tried."""
    numbered = None not in [layer.gap for layer in layout.layers[1:-1] if layer.kind != "linear"]
    origins: Sequence[dict[str, Any]] = [one for one in ORIGINS if "slope" not in given or "slope" not in one]
    linear = any(layer.kind == "linear" for layer in layout.layers)
    orders = [{"order": one} for one in ORDERS]
    slip = linear and "eps" not in given and not any(layer.kind == "deconv" for layer in layout.layers)
    return [
        replace(start, **{name: value for name, value in (a | b | c | d | e).items() if name not in given})
        for a in ([{}] if "activation" in given else origins)
        for b in ([{}] if "order" in given or numbered else orders)
        for c in ([{}] if "after_linear" in given or not linear else [{"after_linear": one} for one in (True, False)])
        for d in ([{}] if "latent" in given else [{"latent": one} for one in ("normal", "uniform")])
        for e in ([{}, {"eps": 0.8}] if slip else [{}])
    ]


@torch.no_grad()
def _search(
    net: Blueprint, segments: Sequence[range], open_: Mapping[int, list[Sizing]], variants: Sequence[Choices],
    pass_: tuple[int, float], widths: tuple[int, int],
) -> list[Trial]:  # fmt: skip
    """The rebuildings that are not ruled out on so many latents by so large a ratio, in the order of `variants`."""
    n, floor = pass_
    entered = {kind: _entered(net, n, kind, widths) for kind in ("normal", "uniform")}
    trials = [Trial(one, entered[one.latent]) for one in variants]
    for segment in segments:
        trials = [_advance(net, segment, open_, one, floor) for one in trials]
        best = min(trials, key=lambda one: one.mismatch)
        trials = [one for one in trials if one is best or not _ruled_out(best, one, floor)]
    return trials


def _advance(
    net: Blueprint, segment: range, open_: Mapping[int, list[Sizing]], trial: Trial, floor: float
) -> Trial:
    """`trial` up to the norm that ends `segment`, under the first sizings that are not ruled out."""
    convolutions = [at for at in segment if at in open_]
    options = [open_[at] for at in convolutions]
    while math.prod(len(one) for one in options) > 64:
        options = [one[: max(1, len(one) - 1)] for one in options]
    reached = []
    for combination in product(*options):
        sizings = dict(zip(convolutions, combination, strict=True))
        x = trial.x
        try:
            for at in segment:
                made = net.modules(at, trial.choices, {**trial.sizings, **sizings})
                for module in made[:-1] if at == segment[-1] else made:
                    x = module(x)
        except RuntimeError:  # nothing is left of so small an image
            continue
        miss, numbers = _mismatch(x, net.tensors[segment[-1]])
        step = replace(trial, x=_normalised(x, made[-1]), total=miss * numbers, numbers=numbers)
        reached.append(replace(step, sizings={**trial.sizings, **sizings}))
    if not reached:
        return replace(trial, total=math.inf, numbers=1)
    best = min(reached, key=lambda one: one.mismatch)
    left = [one for one in reached if not _ruled_out(best, one, floor)]
    kept = {at: list(dict.fromkeys(one.sizings[at] for one in left)) for at in convolutions}
    first = left[0]
    total, numbers = trial.total + first.total, trial.numbers + first.numbers
    return replace(first, total=total, numbers=numbers, open={**trial.open, **kept})


def _normalised(x: Tensor, norm: nn.Module) -> Tensor:
    """`x` after the batch norm `norm` as in training: by the batch's own mean and variance."""
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


def _mismatch(x: Tensor, tensors: Mapping[str, Tensor]) -> tuple[float, int]:
    """Mean over channels of |Δ mean| / σ and |ln variance ratio| / 2, each at most 3; and how many numbers that are."""
    mean, variance = tensors["running_mean"], tensors["running_var"]
    axes = [axis for axis in range(x.ndim) if axis != 1]
    alive = variance > 1e-3 * variance.mean()
    off = (x.mean(axes) - mean).abs() / variance.clamp_min(1e-12).sqrt()
    ratio = (x.var(axes).clamp_min(1e-12) / variance.clamp_min(1e-12)).log().abs() / 2
    each = torch.stack([off, ratio])[:, alive].nan_to_num(3).clamp(max=3)
    return float(each.mean()), each.numel()


def _ruled_out(best: Trial, other: Trial, floor: float) -> bool:
    """Whether the deviations of `other` are larger than those of `best` by more than chance (Laplace's likelihood)."""
    noise = NOISE[floor < ROUGH[1]]
    ratio = (other.mismatch + noise) / (best.mismatch + noise)
    return ratio > max(floor, math.exp(NATS / max(best.numbers, 1)))


def _with_eps(
    net: Blueprint, segments: Sequence[range], best: Trial, rivals: list[Choices], given: frozenset[str], n: int,
    widths: tuple[int, int],
) -> tuple[Trial, list[Choices]]:  # fmt: skip
    """`best` under another usual eps, if the statistics rule its own out."""
    if "eps" in given or best.choices.eps > LARGE:
        return best, rivals
    fixed = {at: [sizing] for at, sizing in best.sizings.items()}
    others = [replace(best.choices, eps=eps) for eps in (1e-5, 1e-3) if eps != best.choices.eps]
    trials = [_search(net, segments, fixed, [one], (n, CLEARLY), widths)[0] for one in others]
    nearest = min([best, *trials], key=lambda one: one.mismatch)
    if _ruled_out(nearest, best, CLEARLY):
        return replace(nearest, open=best.open), [replace(one, eps=nearest.choices.eps) for one in rivals]
    return best, [*rivals, *(one.choices for one in trials if not _ruled_out(best, one, CLEARLY))]


def _value(choices: Choices, name: str) -> object:
    """The value of a choice, slopes of at most .05 being as good as none."""
    if name != "activation":
        return getattr(choices, name)
    return ("relu" if choices.slope <= 0.05 else choices.slope) if choices.activation == "leaky" else choices.activation


@torch.no_grad()
def _entered(net: Blueprint, n: int, kind: str, widths: tuple[int, int]) -> Tensor:
    """What the first layer was given in training: `n` latents, with classes at random behind them."""
    dim, classes = widths
    z = draw(n, SEED, dim, kind)
    if classes:
        labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(SEED))
        z = torch.cat([z, F.one_hot(labels, classes).to(z.dtype)], 1)
    return z[:, :, None, None] if net.spatial else z


def class_inputs(first: Layer, weight: Tensor) -> int:
    """How many inputs behind the latent are a class: their weights are all far larger, or smaller, than the others'.

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
    """Whether the last layer's `numbers` go through tanh or sigmoid, None if either may be; and why.

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
    """How much neighbouring pixels differ, as a share of how much next-but-one do: squares, over rows.

    An image that was made twice as large by the kernels meant for it has smoother neighbours than before. Kernels that
    were trained to leave its size, put at every second pixel, make a checkerboard.
    """
    x = numbers
    return float((x[..., 1:] - x[..., :-1]).square().mean() / (x[..., 2:] - x[..., :-2]).square().mean())


def draw(n: int, seed: int, latent_dim: int, kind: str) -> Tensor:
    """`n` latents, standard normal or uniform in [-1, 1], drawn row by row."""
    random = torch.Generator().manual_seed(seed)
    if kind == "uniform":
        rows = [torch.rand(latent_dim, generator=random) * 2 - 1 for _ in range(n)]
    else:
        rows = [torch.randn(latent_dim, generator=random) for _ in range(n)]
    return torch.stack(rows) if rows else torch.empty(0, latent_dim)
