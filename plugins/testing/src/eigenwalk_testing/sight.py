"""What a method is shown where it is checked: a generator, what varies in it, and what holds.

A generator of the kit's own stands there unless a case brings one: a smooth network of two layers with 12 latent
coordinates, of whose images the left half is fixed and the right half varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.direction import Directions, Limits, Method
from eigenwalk.errors import ContractError
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.problem import Problem, Scaled
from eigenwalk.maths.typical import latent_scale, reference_images, typical_distance
from eigenwalk.names.expression import parse
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.names.tree import Call
from eigenwalk.objects.compose import Term, build_generator, build_method, compose
from eigenwalk.path import Role
from eigenwalk.spec import DirectionSpec
from eigenwalk_testing.case import Case
from eigenwalk_testing.subject import NOBODY, SEED, Named

ROWS = 3
"""Latents that a method is asked at."""
LEADING = 3
"""Directions that it is asked for."""
TOLERANCE = 0.35
"""Of a fixed feature, as a share of its typical distance: a walk's default."""
STRIDE, LONGEST = 0.08, 0.15
"""Of a step, in typical distances of what varies, and of latents: a walk's defaults."""


class Meadow(Generator):
    """The kit's own generator: ``½ + ⅓ tanh(W tanh(M z))``, 16 x 16 pixels of 12 coordinates of falling influence."""

    latent_dim, resolution = 12, (16, 16)

    def __init__(self):
        random = torch.Generator().manual_seed(SEED)
        mix, paint = nn.Linear(12, 32), nn.Linear(32, 3 * 16 * 16)
        with torch.no_grad():
            mix.weight.copy_(torch.randn(32, 12, generator=random) * 0.8 ** torch.arange(12) / 2)
            paint.weight.copy_(torch.randn(3 * 16 * 16, 32, generator=random) / 32**0.5)
            mix.bias.zero_()
            paint.bias.zero_()
        self.network = nn.Sequential(mix, nn.Tanh(), paint, nn.Tanh()).eval().requires_grad_(False)

    def __call__(self, latents: Tensor) -> Tensor:
        """The images ``(batch, 3, 16, 16)``."""
        return 0.5 + self.network(latents).unflatten(1, (3, 16, 16)) / 3


def left(images: Tensor) -> Tensor:
    """The left half of the images, in cells of 4 x 4 pixels: what the kit's own sight holds."""
    return nn.functional.avg_pool2d(images[..., : images.shape[-1] // 2], 4)


def right(images: Tensor) -> Tensor:
    """The right half of the images, in cells of 4 x 4 pixels: what varies in the kit's own sight."""
    return nn.functional.avg_pool2d(images[..., images.shape[-1] // 2 :], 4)


@dataclass(kw_only=True)
class DirectionSubject(Named):
    """A method under examination, and what it is shown.

    Attributes:
        method: the object.
        generator, fixed, varied: what a walk would hand it.
        typical: typical distances, by feature and dtype, as they are measured.
    """

    method: Method
    generator: Generator
    fixed: Sequence[Term]
    varied: Sequence[Term]
    typical: dict[tuple[str, torch.dtype], float] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> Tensor:
        """Latents ``(rows, latent)``, float64."""
        return self.generator.sample(ROWS, SEED).double()

    @cached_property
    def first(self) -> Tensor:
        """The leading directions at `inputs`, computed once."""
        return self.find(self.inputs)

    @cached_property
    def reference(self) -> Tensor:
        """As `first`, in the sense in which the largest coordinate is positive: an eigenvector has no sign."""
        largest = self.first.gather(-1, self.first.abs().argmax(-1, keepdim=True))
        return self.first * largest.sign()

    @property
    def leading(self) -> int:
        """How many directions are asked for."""
        return min(LEADING, self.generator.latent_dim)

    def find(self, latents: Tensor, k: int | None = None, previous: Tensor | None = None, held: bool = True) -> Any:
        """Return the directions that the method gives at `latents`: `leading` of them, unless `k` is another number."""
        return self.ask(self.sight(latents, held), self.leading if k is None else k, previous)

    def ask(self, sight: Scaled, k: int, previous: Tensor | None = None) -> Any:
        """Return the k directions that the method gives at a `sight`."""
        if isinstance(self.method, Directions):
            return self.method.find(sight, k, None if previous is None else previous.clone())
        return self.method.start(sight, k, self.limits(sight.like))[0].direction

    def limits(self, latents: Tensor) -> Limits:
        """Return how far a walk lets a step from `latents` go, in a latent without a typical region."""
        return Limits(STRIDE, LONGEST * self._latent_scale, None, latents.new_full((len(latents),), float("inf")))

    def sight(self, latents: Tensor, held: bool = True) -> Scaled:
        """What a walk shows a method at `latents`, in their dtype; with nothing fixed unless `held`."""
        terms = [(term, "fixed") for term in self.fixed if held] + [(term, "varied") for term in self.varied]
        for thing in (self.generator, *(term.feature for term, _ in terms)):
            thing.to("cpu", latents.dtype)
        named = tuple((term.text, term.feature) for term, _ in terms)
        roles = tuple(self._role(term, part, latents.dtype) for term, part in terms)
        look = Linearisation(self.generator, named, dtype=latents.dtype)
        return Scaled(Problem(look, roles, self.name, 1.0), look.at(latents.clone()))

    def _role(self, term: Term, part: Any, dtype: torch.dtype) -> Role:
        key = (term.text, dtype)
        if key not in self.typical:
            self.typical[key] = typical_distance(
                (term.text, term.feature), reference_images(self.generator, dtype=dtype)
            )
        tolerance = (term.tolerance or TOLERANCE * self.typical[key]) if part == "fixed" else None
        return Role(term.text, part, term.feature.unit, self.typical[key], tolerance, term.weight)

    @cached_property
    def _latent_scale(self) -> float:
        return latent_scale(self.generator)


def direction_subject(
    what: str | Method | DirectionSpec, case: Case, registry: Registry | None = None
) -> DirectionSubject:
    """Return the subject of a method, shown what `case` says.

    Raises:
        EigenwalkError: as it, the generator or a feature is built.
    """
    registry, offers = registry or Registry.discover(), ()
    if isinstance(what, str):
        node = parse(what)
        assert isinstance(node, Call)  # whoever calls has found it to be a direction's name
        method, name = build_method(what, registry)[0], what
        offers = (registry.direction(node.name, node.package),)
    elif isinstance(what, DirectionSpec):
        method, name, offers = what.factory()(), what.name, (Offer(what, NOBODY, "", ""),)
    else:
        method, name = what, type(what).__name__
    if not isinstance(method, Method):
        raise ContractError(
            f"{name} must be an eigenwalk.direction.Method, such as Directions, got a {type(method).__name__}"
        )
    generator = Meadow() if case.generator is None else case.generator
    if isinstance(generator, str):
        generator = build_generator(generator, registry)[0]
    elif not isinstance(generator, Generator):
        generator = generator()
    fixed, varied = (_term(left),), (_term(right),)
    if case.vary:
        seen = compose(case.fix, case.vary, registry)
        fixed, varied = seen.fixed, seen.varied
    return DirectionSubject(name=name, method=method, generator=generator, fixed=fixed, varied=varied, offers=offers)


def _term(function: Any) -> Term:
    return Term(function.__name__, FunctionFeature(function))
