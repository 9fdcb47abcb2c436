"""What a generator or a feature gives, checked; whatever its code raises is said to be its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from eigenwalk.errors import ContractError, EigenwalkError, NumericalError, OutOfMemory, PluginError, Undefined
from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.shapes import Images, Latents

LACKING = ("can't allocate memory", "not enough memory", "out of memory", "defaultcpuallocator")
"""What torch says of a lack of memory where it raises a RuntimeError like any other: on a CPU, and on MPS."""


def lacks_memory(error: BaseException) -> bool:
    """Whether `error` tells of a lack of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError, OutOfMemory)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in LACKING)


@contextmanager
def named(what: str) -> Iterator[None]:
    """Whatever a plugin's code raises inside is said to be of `what`.

    Raises:
        OutOfMemory: memory did not suffice.
        PluginError: anything else; errors of our own pass through.
    """
    try:
        yield
    except EigenwalkError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise OutOfMemory(
                f"there is too little memory for {what}: compute fewer paths at once (--batch 1), say how much there "
                "is (--memory 4GB), or take a generator of lower resolution or a machine with more"
            ) from error
        raise PluginError(f"{what} failed: {error!r}") from error


def images_of(generator: Generator, latents: Latents, function: Callable[[Tensor], Tensor] | None = None) -> Images:
    """The images of `latents`, by `function` where it stands in for the generator's own call.

    Raises:
        ContractError: they have another shape, or no gradient where one is asked for.
        NumericalError: they are not finite at some rows.
        PluginError, OutOfMemory: as `named`.
    """
    kind = type(generator).__name__
    with named(f"the generator {kind} on latents {tuple(latents.shape)}"):
        images = (function or generator)(latents)
    expected = (latents.shape[0], 3, *generator.resolution)
    if not isinstance(images, Tensor) or tuple(images.shape) != expected or not images.is_floating_point():
        raise ContractError(
            f"the generator {kind} must return floating-point images (batch, 3, height, width) = {expected}, "
            f"got {_a(images)}"
        )
    if torch.is_grad_enabled() and not images.requires_grad:
        raise ContractError(
            f"the images of the generator {kind} carry no gradient: it must not run under torch.no_grad or "
            "inference_mode, nor detach"
        )
    finite(images.detach(), None, "image")
    return images


def values_of(name: str, feature: Feature, images: Images) -> Tensor:
    """The feature's values of `images`, with a gradient where both have one; raises as `images_of`, and Undefined."""
    try:
        with (
            named(f"the feature {name} on images {tuple(images.shape)}"),
            torch.set_grad_enabled(images.requires_grad and feature.differentiable),
        ):
            values: Any = feature(images)
    except Undefined as error:
        raise Undefined(str(error), name, error.rows) from error
    if (
        not isinstance(values, Tensor)
        or values.ndim < 1
        or len(values) != len(images)
        or not values.is_floating_point()
    ):
        raise ContractError(
            f"the feature {name} must return floating-point values (batch, ...), one row for each of "
            f"{len(images)} images, got {_a(values)}"
        )
    finite(values.detach(), name, "value")
    return values


def frozen_near(name: str, feature: Feature, images: Images, remembered: tuple[Tensor, ...]) -> Feature:
    """`feature` near the images, following what it `remembered` where it did.

    An Undefined without rows is asked again row by row, to know which.
    """

    def frozen(rows: slice = slice(None)) -> Feature:
        here = images[rows]
        return feature.follow(here, tuple(m[rows] for m in remembered)) if remembered else feature.at(here)

    try:
        with named(f"the feature {name} in at() on images {tuple(images.shape)}"):
            return _remembering(name, feature, frozen(), len(images))
    except Undefined as error:
        rows = error.rows
        if rows is None:
            rows = tuple(i for i in range(len(images)) if not _defined(frozen, slice(i, i + 1)))
        raise Undefined(str(error), name, rows) from error


def _remembering(name: str, feature: Feature, frozen: Feature, n: int) -> Feature:
    """`frozen`, which remembers as many tensors of `n` rows as `feature` said."""
    sizes = [tuple(tensor.shape) for tensor in frozen.remembered]
    if len(sizes) != feature.memories or any(size[:1] != (n,) for size in sizes):
        raise ContractError(
            f"the feature {name} says that it remembers {feature.memories} tensors of {n} rows, and frozen it "
            f"remembers {sizes or 'none'}"
        )
    return frozen


def _defined(frozen: Callable[[slice], Feature], row: slice) -> bool:
    try:
        frozen(row)
    except Undefined:
        return False
    return True


def finite(tensor: Tensor, name: str | None, what: str) -> None:
    """Nothing, where all of `tensor` ``(batch, ...)`` is finite.

    Raises:
        NumericalError: some rows are not; it names them and the feature, or the generator.
    """
    good = tensor.flatten(1).isfinite().all(1) if tensor.ndim > 1 else tensor.isfinite()
    if not bool(good.all()):
        rows = tuple((~good).nonzero().flatten().tolist())
        whose = f"the feature {name}" if name else "the generator"
        raise NumericalError(f"{whose} gave a {what} that is NaN or infinite", name, rows)


def _a(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"{tuple(found.shape)} {found.dtype}"
    return f"{type(found).__name__}, where a tensor that torch computed was expected"
