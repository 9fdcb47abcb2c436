"""Calls of generators and features: what they return is checked, and what they raise names them."""

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
"""Words of the plain RuntimeError that torch raises on a CPU or on MPS when memory runs out."""


def lacks_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError, OutOfMemory)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in LACKING)


@contextmanager
def blame(what: str) -> Iterator[None]:
    """Re-raise what a plugin's code raises as an error that names `what`.

    Raises:
        OutOfMemory: memory ran out.
        PluginError: anything else went wrong; eigenwalk's own errors pass through.
    """
    try:
        yield
    except EigenwalkError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:  # sys.exit(0) would end a walk as if it had succeeded
        if lacks_memory(error):
            raise OutOfMemory(
                f"there is too little memory for {what}: compute fewer paths at once (--batch 1), say how much there "
                "is (--memory 4GB), or take a generator of lower resolution or a machine with more"
            ) from error
        raise PluginError(f"{what} failed: {error!r}") from error


def images_of(generator: Generator, latents: Latents, function: Callable[[Tensor], Tensor] | None = None) -> Images:
    """Return the images of `latents`, made by `function` if it stands in for the generator's own call.

    Raises:
        ContractError: they have another shape, or no gradient although one is needed.
        NumericalError: they are not finite at some rows.
        PluginError, OutOfMemory: as `blame`.
    """
    kind = type(generator).__name__
    with blame(f"the generator {kind} on latents {tuple(latents.shape)}"):
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
    check_finite(images.detach(), None, "image")
    return images


def values_of(name: str, feature: Feature, images: Images) -> Tensor:
    """Return values of `images`, with a gradient if both have one; raises as `images_of`, and Undefined."""
    try:
        with (
            blame(f"the feature {name} on images {tuple(images.shape)}"),
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
    check_finite(values.detach(), name, "value")
    return values


def freeze_near(name: str, feature: Feature, images: Images, remembered: tuple[Tensor, ...]) -> Feature:
    """Return `feature` frozen near the images, following the object that it `remembered`, if any.

    If it is undefined without saying at which rows, each row is tried by itself.
    """

    def frozen(rows: slice = slice(None)) -> Feature:
        here = images[rows]
        return feature.follow(here, tuple(m[rows] for m in remembered)) if remembered else feature.at(here)

    try:
        with blame(f"the feature {name} in at() on images {tuple(images.shape)}"):
            return _check_remembered(name, feature, frozen(), len(images))
    except Undefined as error:
        rows = error.rows
        if rows is None:
            rows = tuple(i for i in range(len(images)) if not _is_defined(frozen, slice(i, i + 1)))
        raise Undefined(str(error), name, rows) from error


def _check_remembered(name: str, feature: Feature, frozen: Feature, n: int) -> Feature:
    """Return `frozen`, checked to remember as many tensors of `n` rows as `feature` declares."""
    sizes = [tuple(tensor.shape) for tensor in frozen.remembered]
    if len(sizes) != feature.memories or any(size[:1] != (n,) for size in sizes):
        raise ContractError(
            f"the feature {name} says that it remembers {feature.memories} tensors of {n} rows, and frozen it "
            f"remembers {sizes or 'none'}"
        )
    return frozen


def _is_defined(frozen: Callable[[slice], Feature], row: slice) -> bool:
    try:
        frozen(row)
    except Undefined:
        return False
    return True


def check_finite(tensor: Tensor, name: str | None, what: str) -> None:
    """Raise NumericalError, naming rows and feature or generator, if `tensor` ``(batch, ...)`` is not finite."""
    good = tensor.flatten(1).isfinite().all(1) if tensor.ndim > 1 else tensor.isfinite()
    if not bool(good.all()):
        rows = tuple((~good).nonzero().flatten().tolist())
        whose = f"the feature {name}" if name else "the generator"
        raise NumericalError(f"{whose} gave a {what} that is NaN or infinite", name, rows)


def _a(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"{tuple(found.shape)} {found.dtype}"
    return f"{type(found).__name__}, where a tensor that torch computed was expected"
