"""Pivotal tuning: the generator itself is fitted, so that its image of each latent that was found is the photograph.

Roich et al. 2021 (arXiv 2106.05744): with the pivots w_p fixed, over the generator's numbers θ,

    L(θ) = Σ_j |f_j(G(w_p; θ)) - f_j(x)|² / r_j²  +  |G(w_r; θ) - G(w_r; θ₀)|² / r²
    w_r = w_p + α (w - w_p)         w: another random sample in every step

The second term leaves the images of other latents as they were. Every tensor of θ has a rate of its own, a share of its
RMS, so that networks with equalised and with ordinary weights are fitted alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eigenwalk.errors import InputError, NumericalError
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise.attention import plain_attention
from eigenwalk.maths.linearise.calls import blame, images_of, values_of
from eigenwalk.objects.reach import reachable
from eigenwalk_invert.objective import Objective
from eigenwalk_invert.search import ramp
from eigenwalk_invert.task import Task

AWAY = 0.5
"""α: how far on the way from a pivot to a sample images are to stay as they were."""
LOCALITY = 1.0
"""Weight of the second term."""
BETAS = (0.9, 0.999)


def parameters(generator: Generator) -> dict[str, nn.Parameter]:
    """Return the numbers of a generator's modules, each under a name that the same generator gives again.

    Raises:
        InputError: it has none.
    """
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for n, module in enumerate(reachable(generator, nn.Module)):
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen and parameter.is_floating_point():
                seen.add(id(parameter))
                found[f"{n}.{type(module).__name__}.{name}"] = parameter
    if not found:
        raise InputError("tune fits the numbers of a generator's torch modules, and this generator holds none")
    return found


@dataclass
class Tuning:
    """Where tuning stands after `steps`: the numbers, in the generator itself, and Adam's moments of each.

    Attributes:
        pivots: latents that were found ``(photos, latent)``.
        value: of the first term, by photograph, before the last step; `images` ``(photos, 3, height, width)`` likewise.
    """

    task: Task
    pivots: Tensor
    steps: int = 0
    value: Tensor | None = None
    images: Tensor | None = None

    def __post_init__(self) -> None:
        self.theta = parameters(self.task.generator)
        self.first = {name: one.detach().clone() for name, one in self.theta.items()}
        self.moments = {name: (torch.zeros_like(one), torch.zeros_like(one)) for name, one in self.first.items()}
        self.rates = {
            name: float(one.square().mean().sqrt()) * self.task.options.rate for name, one in self.first.items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return what is to be saved as tensors."""
        kept = {f"theta/{name}": one.detach() for name, one in self.theta.items()}
        kept |= {f"{which}/{name}": self.moments[name][i] for i, which in enumerate("mv") for name in self.theta}
        return {name: one.cpu().contiguous() for name, one in kept.items()}

    def facts(self) -> str:
        """Return what is to be saved as text."""
        return json.dumps({"steps": self.steps})

    def restore(self, tensors: dict[str, Tensor], facts: str) -> None:
        """Go on from what was saved."""
        self.steps = int(json.loads(facts)["steps"])
        with torch.no_grad():
            for name, one in self.theta.items():
                one.copy_(tensors[f"theta/{name}"])
                for i, which in enumerate("mv"):
                    self.moments[name][i].copy_(tensors[f"{which}/{name}"])

    def advance(self, objective_of: Callable[[list[int]], Objective]) -> None:
        """Take one step; `objective_of` gives the `Objective` of photographs by place.

        Raises:
            NumericalError: the loss is not finite.
        """
        names = list(self.theta)
        for one in self.theta.values():
            one.requires_grad_(True)
        total = {name: torch.zeros_like(one) for name, one in self.first.items()}
        values, images = [], []
        random = torch.Generator().manual_seed(self.task.options.seed + 7919 * (self.steps + 1))
        seeds = torch.randint(2**31, (len(self.pivots),), generator=random).tolist()
        try:
            for i, seed in enumerate(seeds):
                loss, image = self._loss(i, seed, objective_of)
                grads = torch.autograd.grad(
                    loss[0] + LOCALITY * loss[1], [self.theta[n] for n in names], allow_unused=True
                )
                for name, g in zip(names, grads, strict=True):
                    if g is not None:
                        total[name] += g / len(seeds)
                values.append(loss[0].detach())
                images.append(image)
        finally:
            for one in self.theta.values():
                one.requires_grad_(False)
        self.value, self.images = torch.stack(values).double(), torch.cat(images)
        if not bool(self.value.isfinite().all()):
            raise NumericalError("tuning diverges: give a smaller --rate")
        self._step(total)

    @plain_attention()
    def _loss(
        self, i: int, seed: int, objective_of: Callable[[list[int]], Objective]
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return both terms for pivot `i`, and its image."""
        objective, pivot = objective_of([i]), self.pivots[i : i + 1]
        generator = self.task.generator
        other = pivot + AWAY * (generator.sample(1, seed).to(pivot) - pivot)
        with torch.no_grad(), self.untuned():
            was = generator(other)
        with torch.enable_grad(), blame("the gradient of the generator's numbers"):
            image = images_of(generator, pivot)
            terms = pivot.new_zeros(())
            for (name, feature), target, scale in zip(
                objective.look.features, objective.targets, objective.scales, strict=True
            ):
                values = values_of(name, feature, image).reshape(1, -1)
                terms = terms + ((values - target) * scale).square().sum()
            local = (generator(other) - was).square().mean() / self.task.spread**2
        return (terms, local), image.detach()

    @contextmanager
    def untuned(self) -> Iterator[None]:
        """Let the generator have its own numbers again, inside."""
        tuned = {name: one.data for name, one in self.theta.items()}
        for name, one in self.theta.items():
            one.data = self.first[name]
        try:
            yield
        finally:
            for name, one in self.theta.items():
                one.data = tuned[name]

    def undo(self) -> None:
        """Give the generator its own numbers back."""
        for name, one in self.theta.items():
            one.data = self.first[name]

    @torch.no_grad()
    def _step(self, gradient: dict[str, Tensor]) -> None:
        k, (a, b) = self.steps + 1, BETAS
        rate = ramp(k / self.task.options.tune)
        for name, g in gradient.items():
            m, v = self.moments[name]
            m.mul_(a).add_(g, alpha=1 - a)
            v.mul_(b).addcmul_(g, g, value=1 - b)
            step = (m / (1 - a**k)) / ((v / (1 - b**k)).sqrt() + 1e-12)
            self.theta[name].sub_(step, alpha=self.rates[name] * rate)
        self.steps = k

    def changed(self) -> dict[str, Tensor]:
        """Return the tensors that tuning has changed, by name."""
        return {
            name: one.detach().cpu().contiguous()
            for name, one in self.theta.items()
            if not torch.equal(one.detach(), self.first[name])
        }


def apply(generator: Generator, changed: dict[str, Tensor]) -> None:
    """Give `generator` the numbers in `changed`, by name.

    Raises:
        KeyError, ValueError: it has no such tensor, or one of another shape.
    """
    theta = parameters(generator)
    with torch.no_grad():
        for name, numbers in changed.items():
            if theta[name].shape != numbers.shape:
                raise ValueError(f"{name} has the shape {tuple(theta[name].shape)}, not {tuple(numbers.shape)}")
            theta[name].copy_(numbers)
