"""The contract of a feature: what an image is measured by.

>>> import torch
>>> from eigenwalk.feature import FunctionFeature
>>> brightness = FunctionFeature(lambda images: images.mean((1, 2, 3)), unit="mean pixel")
>>> brightness(torch.rand(5, 3, 8, 8)).shape
torch.Size([5])
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.shapes import Distances, Images, Values

Module = TypeVar("Module", bound=torch.nn.Module)


class Feature(ABC):
    """A differentiable measurement of images.

    A feature is called with images ``(batch, 3, height, width)``, RGB, nominally in [0, 1] and never
    clipped, and returns values ``(batch, ...)``, floating point, one row an image and each row
    depending on its own image alone. Resizing, cropping and normalising belong to the feature.

    Attributes:
        unit: what `distance` returns, in words.
        differentiable: False where autograd cannot follow; the core then takes central differences along
            the few directions that it needs.
        step: how far (RMS pixel) an image moves in such a difference.
        memories: how many tensors the feature, frozen at one waypoint, hands to itself at the next: none for most.
        remembered: of a frozen feature, those tensors, each ``(batch, ...)``, floating point, of a shape that
            does not depend on the images.
        files: the user's files that it opened and that none of its options names; their SHA-256 goes into recipes.
    """

    files: tuple[Path, ...] = ()
    unit: str = "RMS pixel"
    differentiable: bool = True
    step: float = 0.02
    memories: int = 0
    remembered: tuple[Tensor, ...] = ()

    @abstractmethod
    def __call__(self, images: Images) -> Values:
        """The values ``(batch, ...)`` of images ``(batch, 3, height, width)``."""

    def at(self, images: Images) -> Feature:
        """The feature as it stands near these images ``(batch, 3, height, width)``.

        Whatever is not differentiable (a mask from a segmenter, a face box) is computed here and frozen.
        Row i of the result's input belongs to row i of `images`: it is called with exactly as many images
        as `images` has, in that order. A feature with nothing to freeze returns itself.

        Raises:
            Undefined: the feature has no value at some rows (an empty mask, no face).
        """
        return self

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> Feature:
        """The feature as it stands near these images, one waypoint after another.

        `remembered` is what the feature, frozen at the waypoint before, remembered, its rows belonging to those of
        `images`: where an object was, so that the same one is found again. By default what `at` gives.

        Raises:
            Undefined: as `at`.
        """
        return self.at(images)

    def distance(self, a: Values, b: Values) -> Distances:
        """How far values `a` and `b` ``(batch, ...)`` lie apart, ``(batch,)``, in this feature's unit.

        By default the root of the mean squared difference over everything but the batch.
        """
        return (a - b).flatten(1).square().mean(1).sqrt() if a.ndim > 1 else (a - b).abs()

    def radius(self, distance: float, values: Values) -> Distances:
        """The Euclidean length ``(batch,)`` in the space of values that amounts to `distance` near `values`.

        It turns a tolerance in the feature's unit into the scale of its Jacobian. A feature that redefines
        `distance` redefines this with it: a cosine distance t between unit vectors is a length √(2t).
        """
        return torch.full(
            (values.shape[0],),
            distance * math.sqrt(max(1, values[0].numel())),
            dtype=values.dtype,
            device=values.device,
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Feature:
        """This feature on `device`, in `dtype`: by default every module or feature among its attributes is moved."""
        for value in vars(self).values():
            if isinstance(value, (torch.nn.Module, Feature)):
                value.to(device, dtype)
        return self


class Projection(Feature):
    """A feature whose value is again an image, so that another feature can follow it (``mask | low``)."""

    def complement(self) -> Projection:
        """What this projection leaves out: the image minus its projection (``~mask``)."""
        return Complement(self)

    def coverage(self, images: Images) -> Images:
        """How much of each pixel the projection keeps, ``(batch, 1, height, width)`` in [0, 1].

        For a mask, that is the mask; where it depends on the images, it is differentiable with respect to them,
        so that a feature can measure where the object is.

        Raises:
            CompositionError: the projection keeps no pixels but, say, frequencies.
        """
        raise CompositionError(
            f"{type(self).__name__} keeps no region of the image: take a mask, such as mask(label=sofa)"
        )

    @abstractmethod
    def __call__(self, images: Images) -> Images:
        """The projected images ``(batch, 3, height, width)``."""

    def at(self, images: Images) -> Projection:
        """The projection as it stands near these images; see `Feature.at`."""
        return self

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> Projection:
        """The projection near these images, one waypoint after another; see `Feature.follow`."""
        return self.at(images)


class Complement(Projection):
    """The image minus what `inner` keeps of it."""

    def __init__(self, inner: Projection):
        self.inner = inner
        self.unit, self.differentiable, self.step = inner.unit, inner.differentiable, inner.step
        self.memories, self.remembered = inner.memories, inner.remembered

    def __call__(self, images: Images) -> Images:
        """The images less their projection, ``(batch, 3, height, width)``.

        Raises:
            CompositionError: the projection gives images of another size.
        """
        kept = self.inner(images)
        if kept.shape != images.shape:
            raise CompositionError(
                f"{type(self.inner).__name__} gives images of {tuple(kept.shape[1:])} for {tuple(images.shape[1:])}: "
                "'~' takes what a projection of the same size leaves out"
            )
        return images - kept

    def at(self, images: Images) -> Projection:
        """The complement of the inner projection near these images."""
        return _complement(self.inner.at(images))

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> Projection:
        """The complement of the inner projection, followed."""
        return _complement(self.inner.follow(images, remembered))

    def coverage(self, images: Images) -> Images:
        """What the inner projection does not keep of each pixel."""
        return 1 - self.inner.coverage(images)

    def complement(self) -> Projection:
        """The inner projection itself."""
        return self.inner


def _complement(frozen: Projection) -> Projection:
    """The complement of a `frozen` projection, which remembers what that does."""
    complement = frozen.complement()
    complement.remembered = frozen.remembered
    return complement


class Chain(Feature):
    """A feature of a projected image: ``projection | feature``.

    The feature is frozen near the *projected* image, and sees nothing else.
    """

    def __init__(self, projection: Projection, feature: Feature):
        self.projection, self.feature = projection, feature
        self.unit = feature.unit
        self.differentiable = projection.differentiable and feature.differentiable
        self.step = feature.step
        self.memories = projection.memories + feature.memories
        self.remembered = projection.remembered + feature.remembered

    def __call__(self, images: Images) -> Values:
        """The feature's values of the projected images."""
        return self.feature(self.projection(images))

    def at(self, images: Images) -> Feature:
        """Both parts frozen: the projection near the images, the feature near their projection."""
        projection = self.projection.at(images)
        return type(self)(projection, self.feature.at(projection(images)))

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> Feature:
        """Both parts followed, each with its share of what was remembered."""
        own = self.projection.memories
        projection = self.projection.follow(images, remembered[:own])
        return type(self)(projection, self.feature.follow(projection(images), remembered[own:]))

    def distance(self, a: Values, b: Values) -> Distances:
        """The last feature's distance."""
        return self.feature.distance(a, b)

    def radius(self, distance: float, values: Values) -> Distances:
        """The last feature's radius."""
        return self.feature.radius(distance, values)


class ProjectionChain(Chain, Projection):
    """A chain that ends in a projection, and so is one itself."""

    def coverage(self, images: Images) -> Images:
        """What both parts keep of each pixel: ``mask(label=face) | mask(box=(0, 0, 1, 0.5))``."""
        projection, feature = self.projection, self.feature
        assert isinstance(feature, Projection)  # `chain` makes one of two projections
        return projection.coverage(images) * feature.coverage(projection(images))


def chain(projection: Projection, feature: Feature) -> Feature:
    """``projection | feature``: itself a projection where `feature` is one."""
    if isinstance(feature, Projection):
        return ProjectionChain(projection, feature)
    return Chain(projection, feature)


class FunctionFeature(Feature):
    """A feature made of a function from images ``(batch, 3, height, width)`` to values ``(batch, ...)``."""

    def __init__(self, function: Callable[[Images], Values], unit: str = "RMS value", differentiable: bool = True):
        self.function, self.unit, self.differentiable = function, unit, differentiable

    def __call__(self, images: Images) -> Values:
        """What the function returns."""
        return self.function(images)


def move_like(module: Module, images: Tensor) -> Module:
    """Move `module` to the device and dtype of `images`, and return it: features run where the walk runs."""
    first = next(module.parameters())
    if (first.dtype, first.device) != (images.dtype, images.device):  # a needless `to` breaks forward mode
        module.to(images.device, images.dtype)
    return module


def promote_half(images: Images) -> Images:
    """Return `images`, in single precision where theirs is lower: half precision loses what networks tell apart."""
    return images if images.dtype in (torch.float32, torch.float64) else images.float()


def check_box(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the four sides (x0, y0, x1, y1) of a box in shares of width and height, from the top left.

    Raises:
        OptionError: they are not four, leave the image, or enclose nothing.
    """
    if len(box) != 4 or not all(0 <= side <= 1 for side in box):
        raise OptionError(f"box must be four numbers (x0, y0, x1, y1) from 0 to 1, got {tuple(box)}")
    x0, y0, x1, y1 = map(float, box)
    if x1 <= x0 or y1 <= y0:
        raise OptionError(f"box (x0, y0, x1, y1) is empty: x0 < x1 and y0 < y1 are needed, got {tuple(box)}")
    return x0, y0, x1, y1
