"""What is checked, in the form in which the checks ask: a map from inputs to values, row by row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError
from eigenwalk.feature import Feature, FunctionFeature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation, Point
from eigenwalk.names.registry import Offer

SEED = 20221023
"""Of the latents that generators are checked at, and of every random direction."""
ROWS = 2
"""Rows that derivatives are checked at: enough for a fault of the batch, and the dearest passes."""


def normal(like: Tensor, seed: int = SEED) -> Tensor:
    """Standard normal numbers of the shape and dtype of `like`."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=random, dtype=torch.float64).to(like.dtype)


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference of `a` and `b` as a share of the largest number in them; infinite for other shapes."""
    if a.shape != b.shape:
        return float("inf")
    size = max(float(a.abs().max()), float(b.abs().max()), 1e-30) if a.numel() else 1.0
    return float((a.double() - b.double()).abs().max()) / size if a.numel() else 0.0


@dataclass(frozen=True)
class Declaration:
    """What plugins declare, before anything is opened."""

    offers: tuple[Offer[Any], ...]


@dataclass(kw_only=True)
class Subject(ABC):
    """A feature or a generator under examination.

    Attributes:
        name: its expression.
        inputs: images, or latents, float32, two rows or more, all different.
        offers: of every name in the expression; none for an object, or a function in a file.
        golden: the file of values that it must give again.
    """

    name: str
    inputs: Tensor
    offers: tuple[Offer[Any], ...] = ()
    golden: Path | None = None
    rebuilt: Callable[..., Any] | None = None
    """Builds the same again with other options, where a name leads to it."""

    @property
    @abstractmethod
    def object(self) -> Feature | Generator:
        """The feature or generator."""

    @abstractmethod
    def near(self, inputs: Tensor) -> Callable[[Tensor], Tensor]:
        """The map as it stands near `inputs`: frozen, of a feature."""

    @abstractmethod
    def linearisation(self, inputs: Tensor) -> tuple[Linearisation, Tensor]:
        """The core's own linearisation of it, and the latents that stand for `inputs`."""

    def others(self) -> Tensor:
        """Other inputs at which there are values: the same ones, each in the next one's place."""
        return self.inputs.roll(-1, 0)

    @torch.no_grad()
    def values(self, inputs: Tensor) -> Tensor:
        """The values of `inputs`, as it stands near them. Copies, as a map may write on them."""
        return self.near(inputs.clone())(inputs.clone())

    @torch.no_grad()
    def called(self, inputs: Tensor) -> Tensor:
        """The values of `inputs` of the object itself where it has any before it is frozen, else as `values`."""
        if self.calls_unfrozen:
            return self.object(inputs.clone())
        return self.values(inputs)

    @cached_property
    def calls_unfrozen(self) -> bool:
        """Whether it can be called as it is, without being frozen first."""
        try:
            with torch.no_grad():
                self.object(self.inputs.clone())
        except EigenwalkError:
            return False
        return True

    @cached_property
    def reference(self) -> Tensor:
        """The values of `inputs`, computed once."""
        return self.values(self.inputs)

    @cached_property
    def follows(self) -> bool:
        """Whether float64 inputs give float64 values."""
        with suppress(Exception), self.precisely(torch.float64):  # the check of the dtype says what was raised
            return self.values(self.inputs[:1].double()).dtype == torch.float64
        return False

    @contextmanager
    def precisely(self, dtype: torch.dtype) -> Iterator[None]:
        """The object in `dtype`, as the walk moves it before it starts; then in float32 again."""
        self.object.to("cpu", dtype)
        try:
            yield
        finally:
            self.object.to("cpu", torch.float32)

    @contextmanager
    def point(self) -> Iterator[tuple[Point, Callable[[Tensor], Tensor]]]:
        """A point of the core's linearisation, and the map from its latents to values that is linearised there."""
        dtype = torch.float64 if self.follows else torch.float32
        with self.precisely(dtype):
            look, latents = self.linearisation(self.inputs[:ROWS].to(dtype))
            point = look.at(latents)
            yield point, lambda z: point.features[0][1](look.generator(z))


@dataclass(kw_only=True)
class FeatureSubject(Subject):
    """A feature and the images that it is measured on; `direct` where one name stands for it, or none."""

    feature: Feature
    direct: bool = True

    @property
    def object(self) -> Feature:
        """The feature."""
        return self.feature

    def near(self, inputs: Tensor) -> Feature:
        """The feature as it stands near the images `inputs`."""
        return self.feature.at(inputs)

    def linearisation(self, inputs: Tensor) -> tuple[Linearisation, Tensor]:
        """The feature of images that are their own latents."""
        return Linearisation(
            Raster(*inputs.shape[-2:]), ((self.name, self.feature),), dtype=inputs.dtype
        ), inputs.flatten(1)


@dataclass(kw_only=True)
class GeneratorSubject(Subject):
    """A generator and some of its latents."""

    generator: Generator

    @property
    def object(self) -> Generator:
        """The generator."""
        return self.generator

    def near(self, inputs: Tensor) -> Generator:
        """The generator itself."""
        return self.generator

    def linearisation(self, inputs: Tensor) -> tuple[Linearisation, Tensor]:
        """The generator's images themselves as the feature."""
        image = FunctionFeature(lambda images: images, "pixel")
        return Linearisation(self.generator, (("its image", image),), dtype=inputs.dtype), inputs


class Raster(Generator):
    """Images whose latents are their own pixels: the identity."""

    def __init__(self, height: int, width: int):
        self.latent_dim, self.resolution = 3 * height * width, (height, width)

    def __call__(self, latents: Tensor) -> Tensor:
        """The latents ``(batch, 3 height width)`` as images ``(batch, 3, height, width)``."""
        return latents.unflatten(1, (3, *self.resolution))
