"""What the tensors do not show and yet betray: which choices the network was trained with.

A batch norm keeps the mean and variance of what it was given in training. A network that is rebuilt as it was gives
its norms just that on random latents; with another activation, order or latent it does not. And photographs differ from
each other and within by about 0.28 of their range, whatever they show, which tells a tanh from a sigmoid: the tanh of
the same numbers has twice the contrast where they are small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk_dcgan.network import ORDERS, Choices, Decoder, pixels

LATENTS = 16
"""As many at least as statistics are met on; small images allow more, see `many`."""
SEED = 20
FITS = 0.4
"""Largest mismatch of a network that is taken as rebuilt: a trained one rebuilt rightly had 0.12."""
CLEARLY = 1.15
"""How many times larger the mismatch of the next best must be."""
CONTRAST = (0.22, 0.36)
"""Standard deviation of the pixels of photographs, as a share of the range; CelebA has 0.30, CIFAR-10 0.25."""
ORIGINS: tuple[dict[str, Any], ...] = (
    {"activation": "relu"}, {"activation": "leaky", "slope": 0.2}, {"activation": "leaky", "slope": 0.01},
    {"activation": "elu"}, {"activation": "silu"}, {"activation": "gelu"}, {"activation": "selu"},
    {"activation": "tanh"},
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Choices, how far norms are from their statistics, and which of the choices these statistics tell."""

    choices: Choices
    mismatch: float | None
    told: frozenset[str]


def found(
    build: Callable[[Choices], Decoder], start: Choices, given: frozenset[str], latent_dim: int, n: int = LATENTS
) -> Found:
    """The choices that fit the running statistics best, those `given` apart; `start` where there are none.

    They are met on `n` latents. One choice after another is tried, the activation with the order and what follows
    linear layers together.
    """
    latents = {kind: drawn(n, SEED, latent_dim, kind) for kind in ("normal", "uniform")}
    seen: dict[Choices, float] = {}

    def mismatch(choices: Choices) -> float:
        if choices not in seen:
            # What is twice as far off as the best so far is not followed to its last, largest images.
            limit = 2 * min(seen.values(), default=math.inf)
            seen[choices] = _mismatch(build(choices), latents[choices.latent], limit)
        return seen[choices]

    if not any(True for _ in build(start).normed(latents[start.latent][:1])):
        return Found(start, None, frozenset())
    best = start
    for names, variants in _rounds(given):
        tried = [replace(best, **variant) for variant in variants if not set(variant) & (given - set(names))]
        mismatch(best)
        nearest = min([best, *tried], key=mismatch)
        # Few latents leave some noise: what is usual stays unless another is clearly nearer.
        best = nearest if CLEARLY * mismatch(nearest) < mismatch(best) else best
    if not seen[best] <= FITS:
        return Found(start, seen[best], frozenset())
    return Found(best, seen[best], frozenset(_told(best, seen)))


def _rounds(given: frozenset[str]) -> Iterable[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """Which choices are tried together, in turn."""
    origins = [{}] if "activation" in given else ORIGINS
    if "slope" in given:
        origins = [one for one in origins if "slope" not in one]
    orders = [{}] if "order" in given else [{"order": order} for order in ORDERS]
    linear = [{}] if "after_linear" in given else [{"after_linear": one} for one in (True, False)]
    yield (), [{**a, **b, **c} for a in origins[:3] for b in orders for c in linear]
    yield (), [] if "latent" in given else [{"latent": one} for one in ("normal", "uniform")]
    yield (), [] if "eps" in given else [{"eps": one} for one in (1e-5, 1e-3, 0.8)]
    yield (), [dict(one) for one in origins]
    yield (), [{**b, **c} for b in orders for c in linear]


def _told(best: Choices, seen: Mapping[Choices, float]) -> Iterable[str]:
    """The choices for which every other value that was tried fits clearly worse."""
    for name in ("activation", "order", "after_linear", "eps", "latent"):
        others = [score for one, score in seen.items() if getattr(one, name) != getattr(best, name)]
        if name == "activation":  # a slope of 0.01 is as good as none
            others = [score for one, score in seen.items() if _bent(one) != _bent(best)]
        if others and min(others) > CLEARLY * seen[best]:
            yield name


def _bent(choices: Choices) -> tuple[str, float]:
    """The activation as far as means and variances tell it from others."""
    if choices.activation == "relu" or (choices.activation == "leaky" and choices.slope <= 0.05):
        return "relu", 0.0
    return choices.activation, choices.slope if choices.activation == "leaky" else 0.0


@torch.no_grad()
def _mismatch(network: Decoder, latents: Tensor, limit: float) -> float:
    """Mean over norms and channels of |Δ mean| / σ + |ln variance ratio| / 2, each at most 3; a part where that is
    beyond `limit`.
    """
    count = sum(isinstance(step, (nn.BatchNorm1d, nn.BatchNorm2d)) for step in network.steps)
    total = 0.0
    for norm, given in islice(network.normed(latents), count):  # what follows the last norm is not computed
        assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            continue
        axes = [axis for axis in range(given.ndim) if axis != 1]
        alive = variance > 1e-3 * variance.mean()
        measured, spread = given.mean(axes), given.var(axes)
        off = (measured - mean).abs() / variance.sqrt()
        ratio = (spread.clamp_min(1e-12) / variance.clamp_min(1e-12)).log().abs() / 2
        total += float((off.clamp(max=3) + ratio.clamp(max=3))[alive].mean().nan_to_num(6)) / count
        if total > limit:
            break
    return total


@torch.no_grad()
def output(network: Decoder, latents: Tensor) -> tuple[str | None, str]:
    """Whether the last layer's numbers go through tanh or sigmoid, None where either may be; and why."""
    numbers = network(latents)
    spread = {word: float(pixels(numbers, word).std()) for word in ("tanh", "sigmoid")}
    shown = f"the pixels' contrast is {spread['tanh']:.2f} as tanh, {spread['sigmoid']:.2f} as sigmoid"
    low, high = CONTRAST
    if spread["tanh"] > high and spread["sigmoid"] >= low:
        return "sigmoid", f"{shown}; photographs have {low} to {high}"
    if spread["sigmoid"] < low <= spread["tanh"] <= high:
        return "tanh", f"{shown}; photographs have {low} to {high}"
    return None, shown


@torch.no_grad()
def roughness(network: Decoder, latents: Tensor) -> float:
    """How much neighbouring pixels differ, as a share of how much next-but-one do: squares, over rows.

    An image that was made twice as large by the kernels meant for it has smoother neighbours than before. Kernels that
    were trained to leave its size, put at every second pixel, make a checkerboard.
    """
    x = network(latents)
    return float((x[..., 1:] - x[..., :-1]).square().mean() / (x[..., 2:] - x[..., :-2]).square().mean())


def many(resolution: tuple[int, int]) -> int:
    """How many latents statistics are met on: small images have few pixels, and cost little."""
    return max(LATENTS, min(128, LATENTS * 64 * 64 // (resolution[0] * resolution[1])))


def drawn(n: int, seed: int, latent_dim: int, kind: str) -> Tensor:
    """`n` latents, standard normal or uniform in [-1, 1], drawn row by row."""
    random = torch.Generator().manual_seed(seed)
    if kind == "uniform":
        rows = [torch.rand(latent_dim, generator=random) * 2 - 1 for _ in range(n)]
    else:
        rows = [torch.randn(latent_dim, generator=random) for _ in range(n)]
    return torch.stack(rows) if rows else torch.empty(0, latent_dim)
