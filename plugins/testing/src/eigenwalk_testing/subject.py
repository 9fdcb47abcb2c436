"""What is checked, as a map from inputs to values, row by row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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

NOBODY = "no distribution"
"""That of a spec which no plugin offers."""
SEED = 20221023
"""Of the latents that generators are checked at, and of every random direction."""
ROWS = 2
"""Rows that derivatives are checked at: enough for a fault of the batch, and the dearest passes."""


def normal(like: Tensor, seed: int = SEED) -> Tensor:
    """Return standard normal numbers of the shape and dtype of `like`."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=random, dtype=torch.float64).to(like.dtype)


def apart(a: Tensor, b: Tensor) -> float:
    """Return the largest difference of `a` and `b` as a share of their largest number; infinite for other shapes."""
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    return float((a.double() - b.double()).abs().max()) / max(float(a.abs().max()), float(b.abs().max()), 1e-30)


def dtype_name(tensor: Tensor) -> str:
    """Return the dtype of `tensor` without ``torch.``."""
    return str(tensor.dtype).removeprefix("torch.")


def words(numbers: Tensor) -> str:
    """Return numbers as they are told: three digits of each."""
    return ", ".join(f"{float(number):.3g}" for number in numbers)


def what(value: Any) -> str:
    """Return shape and dtype of a tensor, the type of anything else."""
    return f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


@dataclass
class Named:
    """What is under examination, before anything is opened.

    Attributes:
        name: its expression.
        offers: of every name in the expression; none for an object, or a function in a file.
        golden: the file of values that it must give again.
    """

    name: str
    offers: tuple[Offer[Any], ...] = ()
    golden: Path | None = None


@dataclass
class Subject(Named, ABC):
    """A feature or a generator under examination.

    Attributes:
        inputs: images, or latents, float32, two rows or more, all different.
        rebuilt: builds the same again with other options, where a name leads to it.
    """

    inputs: Tensor = field(kw_only=True)
    rebuilt: Callable[..., Any] | None = None

    @property
    @abstractmethod
    def object(self) -> Feature | Generator:
        """The feature or generator."""

    @abstractmethod
    def near(self, inputs: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the map as it stands near `inputs`: frozen, of a feature."""

    @abstractmethod
    def linearisation(self, inputs: Tensor) -> tuple[Linearisation, Tensor]:
        """Return the core's own linearisation of it, and the latents that stand for `inputs`."""

    def others(self) -> Tensor:
        """Return other inputs at which there are values: the same ones, each in the next one's place."""
        return self.inputs.roll(-1, 0)

    def mixed(self) -> Tensor:
        """Return the first input with others beside it."""
        return torch.cat([self.inputs[:1], self.others()[1:]])

    @torch.no_grad()
    def values(self, inputs: Tensor) -> Tensor:
        """Return the values of `inputs`, as it stands near them; of copies, as a map may write on them."""
        return self.near(inputs.clone())(inputs.clone())

    @torch.no_grad()
    def called(self, inputs: Tensor) -> Tensor:
        """Return the values of the object itself where it has any before it is frozen, else as `values`."""
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
        """Move the object to `dtype`, as the walk does before it starts, and back to float32 afterwards."""
        self.object.to("cpu", dtype)
        try:
            yield
        finally:
            self.object.to("cpu", torch.float32)

    @contextmanager
    def point(self) -> Iterator[tuple[Point, Callable[[Tensor], Tensor]]]:
        """Yield a point of the core's linearisation, and the map from its latents to values."""
        dtype = torch.float64 if self.follows else torch.float32
        with self.precisely(dtype):
            look, latents = self.linearisation(self.inputs[:ROWS].to(dtype))
            point = look.at(latents)
            yield point, lambda z: point.features[0][1](look.generator(z))


@dataclass
class FeatureSubject(Subject):
    """A feature and the images that it is measured on; `direct` where one name stands for it, or none."""

    feature: Feature = field(kw_only=True)
    direct: bool = True

    @property
    def object(self) -> Feature:
        """The feature."""
        return self.feature

    def near(self, inputs: Tensor) -> Feature:
        """Return the feature as it stands near the images `inputs`."""
        return self.feature.at(inputs)

    def linearisation(self, inputs: Tensor) -> tuple[Linearisation, Tensor]:
        """Linearise the feature of images that are their own latents."""
        raster = Raster(*inputs.shape[-2:])
        return Linearisation(raster, ((self.name, self.feature),), dtype=inputs.dtype), inputs.flatten(1)


@dataclass
class GeneratorSubject(Subject):
    """A generator and some of its latents."""

    generator: Generator = field(kw_only=True)

    @property
    def object(self) -> Generator:
        """The generator."""
        return self.generator

    def near(self, inputs: Tensor) -> Generator:
        """Return the generator itself."""
        return self.generator

    def linearisation(self, inputs: Tensor) -> tuple[Linearisation, Tensor]:
        """Linearise the generator, with its images themselves as the feature."""
        image = FunctionFeature(lambda images: images, "pixel")
        return Linearisation(self.generator, (("its image", image),), dtype=inputs.dtype), inputs


class Raster(Generator):
    """Images whose latents are their own pixels: the identity."""

    def __init__(self, height: int, width: int):
        self.latent_dim, self.resolution = 3 * height * width, (height, width)

    def __call__(self, latents: Tensor) -> Tensor:
        """Return latents ``(batch, 3 height width)`` as images ``(batch, 3, height, width)``."""
        return latents.unflatten(1, (3, *self.resolution))
