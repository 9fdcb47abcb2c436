"""Rebuild a network norm by norm, and measure how far each norm is from the statistics that it kept in training."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eigenwalk_dcgan.geometry import Sizing
from eigenwalk_dcgan.network import Blueprint, Choices

SEED = 20
NATS = 12.0
"""A reading that is less likely than another by so many nats is not chosen in its place."""
COMBINATIONS = 64
"""Sizings of the convolutions before one norm that are tried at most."""
CHANNELS = 64
"""Channels of a norm on which sizings are compared."""
CLAMP = 3.0
ROUNDING = 1e-6
"""Added to mean squares: differences of a thousandth of a standard deviation mean nothing."""
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
Measured = dict[tuple[object, ...], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Trial:
    """A network that is rebuilt up to some norm.

    Attributes:
        choices, sizings: how it is built.
        x: what the last norm gives.
        open: the sizings of each convolution that are not ruled out under these choices.
        residuals: for each norm, deviations ``(2, channels)``: of means in σ, and half the logarithm of variances.
    """

    choices: Choices
    x: Tensor
    sizings: Mapping[int, Sizing] = field(default_factory=dict)
    open: Mapping[int, list[Sizing]] = field(default_factory=dict)
    residuals: tuple[Tensor, ...] = ()

    @property
    def numbers(self) -> int:
        """How many means and variances were compared."""
        return sum(one.numel() for one in self.residuals)

    @property
    def mismatch(self) -> float:
        """Mean of all deviations, in standard deviations."""
        return sum(float(one.abs().sum()) for one in self.residuals) / max(self.numbers, 1)

    def nats(self, other: Trial) -> float:
        """Return how much likelier this is than `other` for normal deviations: half of N ln of the ratio of squares."""
        own, its = (sum(float(one.square().sum()) for one in each.residuals) for each in (self, other))
        numbers = max(self.numbers, 1)
        return numbers / 2 * math.log((its / numbers + ROUNDING) / (own / numbers + ROUNDING))


@dataclass(frozen=True)
class Pass:
    """One pass over all norms of `net` that have statistics, on `n` latents.

    Networks are normalised by their own batch, as in training, so that every norm is judged by itself. A reading
    is ruled out if it deviates more than `floor` times as much as the best, `noise` added to both, and not by chance.

    Attributes:
        widths: coordinates of the latent, and of the one-hot behind it.
        built: the modules of a layer, by all that they depend on: building them takes longer than running them.
    """

    net: Blueprint
    n: int
    widths: tuple[int, int]
    floor: float
    noise: float
    built: dict[tuple[object, ...], list[nn.Module]] = field(default_factory=dict)

    @torch.no_grad()
    def search(self, open_: Mapping[int, list[Sizing]], variants: Sequence[Choices]) -> list[Trial]:
        """Return the trials that are not ruled out, in the order of `variants`."""
        entered = {kind: self._entered(kind) for kind in ("normal", "uniform")}
        trials = [Trial(one, entered[one.latent]) for one in variants]
        for segment in segments(self.net):
            known: Measured = {}  # many choices do not matter here
            trials = [self._size(segment, open_, one, known) for one in trials]
            best = min(trials, key=lambda one: one.mismatch)
            trials = [one for one in trials if one is best or not self.rules_out(best, one)]
            trials = [self._advance(segment, one, known) for one in trials]
        return trials

    def rules_out(self, best: Trial, other: Trial) -> bool:
        """Whether `other` deviates more than `best`, clearly and by more than chance (Laplace's likelihood)."""
        ratio = (other.mismatch + self.noise) / (best.mismatch + self.noise)
        return ratio > max(self.floor, math.exp(NATS / max(best.numbers, 1)))

    def _size(self, segment: range, open_: Mapping[int, list[Sizing]], trial: Trial, known: Measured) -> Trial:
        """Return `trial` with the first sizings of the convolutions in `segment` that are not ruled out."""
        convolutions = [at for at in segment if at in open_]
        options = [open_[at] for at in convolutions]
        while math.prod(len(one) for one in options) > COMBINATIONS:
            options = [one[: max(1, len(one) - 1)] for one in options]
        reached = []
        for combination in product(*options):
            one = replace(trial, sizings={**trial.sizings, **dict(zip(convolutions, combination, strict=True))})
            reached.append(replace(one, residuals=(self._measure(segment, one, CHANNELS, known)[1],)))
        best = min(reached, key=lambda one: one.mismatch)
        left = [one for one in reached if not self.rules_out(best, one)]
        kept = {at: list(dict.fromkeys(one.sizings[at] for one in left)) for at in convolutions}
        return replace(left[0], open={**trial.open, **kept}, residuals=(*trial.residuals, *left[0].residuals))

    def _advance(self, segment: range, trial: Trial, known: Measured) -> Trial:
        """Advance `trial` past the norm that ends `segment`, measuring all channels."""
        x, residuals = self._measure(segment, trial, None, known)
        return replace(trial, x=x, residuals=(*trial.residuals[:-1], residuals))

    def _measure(self, segment: range, trial: Trial, few: int | None, known: Measured) -> tuple[Tensor, Tensor]:
        """Return the output of the norm at the end of `segment`, and the deviations of its input.

        For a convolution right before the norm, a `few` channels suffice.
        """
        modules = [module for at in segment for module in self._modules(at, trial)]
        *before, norm = modules
        assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
        few = few if isinstance(before[-1], CONVOLUTIONS) and norm.num_features > (few or math.inf) else None
        key = (id(trial.x), few, *(f"{module}{getattr(module, 'cut', '')}" for module in modules))
        if key not in known:
            tensors, x = self.net.tensors[segment[-1]], trial.x
            mean, variance = tensors["running_mean"][:few], tensors["running_var"][:few].clamp_min(1e-12)
            alive = variance > 1e-3 * variance.mean()
            try:
                for module in [*before[:-1], _narrow(before[-1], few)] if few else before:
                    x = module(x)
            except RuntimeError:  # nothing is left of so small an image
                return x, torch.full((2, int(alive.sum())), CLAMP)
            axes = [axis for axis in range(x.ndim) if axis != 1]
            off = (x.mean(axes) - mean) / variance.sqrt()
            ratio = (x.var(axes).clamp_min(1e-12) / variance).log() / 2
            residuals = torch.stack([off, ratio])[:, alive].nan_to_num(CLAMP).clamp(-CLAMP, CLAMP)
            if few is None:
                x = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
            known[key] = (x if few is None else trial.x, residuals)
        return known[key]

    def _modules(self, at: int, trial: Trial) -> list[nn.Module]:
        """Return the modules of layer `at`, built once for each way to build them."""
        choices = trial.choices
        activated = self.net.is_activated(at, choices, trial.sizings)
        key: tuple[object, ...] = (at, trial.sizings.get(at), choices.upsample)
        key += (choices.activation, choices.slope) if activated else ()
        key += (choices.eps, choices.norm, choices.groups) if self.net.layers[at].kind == "norm" else ()
        if key not in self.built:
            self.built[key] = self.net.modules(at, choices, trial.sizings)
        return self.built[key]

    def _entered(self, kind: str) -> Tensor:
        """Return inputs of the first layer as in training: latents followed by random classes."""
        dim, classes = self.widths
        z = draw(self.n, SEED, dim, kind)
        if classes:
            labels = torch.randint(classes, (self.n,), generator=torch.Generator().manual_seed(SEED))
            z = torch.cat([z, F.one_hot(labels, classes).to(z.dtype)], 1)
        return z[:, :, None, None] if self.net.spatial else z


def _narrow(convolution: nn.Module, few: int) -> nn.Module:
    """Return `convolution` with only its first `few` output channels."""
    narrow = copy.copy(convolution)
    axis = int(isinstance(convolution, nn.ConvTranspose2d))
    narrow._parameters = {  # a shallow copy shares the dictionary
        name: one if one is None else nn.Parameter(one.narrow(axis if name == "weight" else 0, 0, few), False)
        for name, one in convolution._parameters.items()
    }
    return narrow


def segments(net: Blueprint) -> list[range]:
    """Return the indices of layers up to each norm that has statistics of its own, and not those of before training."""
    ends = [
        i
        for i, tensors in enumerate(net.tensors)
        if "running_var" in tensors and not bool((tensors["running_var"] == 1).all())
    ]
    starts: Iterable[int] = (0, *(end + 1 for end in ends))
    return [range(first, end + 1) for first, end in zip(starts, ends, strict=False)]


def draw(n: int, seed: int, latent_dim: int, kind: str) -> Tensor:
    """Return `n` latents, standard normal or uniform in [-1, 1], drawn row by row."""
    random = torch.Generator().manual_seed(seed)
    if kind == "uniform":
        rows = [torch.rand(latent_dim, generator=random) * 2 - 1 for _ in range(n)]
    else:
        rows = [torch.randn(latent_dim, generator=random) for _ in range(n)]
    return torch.stack(rows) if rows else torch.empty(0, latent_dim)
