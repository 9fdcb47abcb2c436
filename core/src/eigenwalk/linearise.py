"""The features of a generator's images near some latents: values, pushforward, pullback.

The only module that differentiates. With `G` the generator and `f_i` the features, a `Point` at latents `z`
holds the images `G(z)`, every feature as it stands near them, and its values, and gives

    push(V)     J_i V           for tangents V at each latent: through the generator once for all features, then
                                through each feature
    pull(u)     Σ_i J_iᵀ u_i    for cotangents u_i of the values: the image-space cotangents of all features are
                                added before the single pass back through `G`

Several tangents are pushed by forward mode under vmap, where they share the primal pass. For one or two, that
pass costs more than they do, and reverse passes are cheaper: u ↦ Jᵀu is linear, so its own transpose is J (Townsend
2017, "A new trick for calculating Jacobian vector products"). Its graph is recorded once at each point, and a tangent
then costs one pass through it. Each way stands in where an operation has no rule for the other.

A feature that says it is not differentiable is pushed forward by central differences of its image along
the pushed image tangent, and contributes nothing to a pullback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from eigenwalk.errors import ContractError, EigenwalkError, NumericalError, PluginError, Undefined
from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.path import Cost
from eigenwalk.shapes import Basis, Images, Latents

Pushes = Callable[[Tensor], Tensor]
"""A tangent to its pushforward."""
UNABLE = (RuntimeError, NotImplementedError, ValueError)
"""What torch raises where an operation has no rule for the derivative that is asked for."""
FEW = 2
"""Up to so many tangents, two reverse passes are cheaper than forward mode (benchmarks/passes.py)."""
Named = tuple[str, Feature]
"""A feature under its canonical expression."""
Memories = tuple[Tensor, ...]
"""What all features together remember of a waypoint, in their order: tensors ``(batch, ...)``."""


@dataclass
class Meter:
    """What one row of a batch has cost so far, in forwards, pushforwards and pullbacks."""

    cost: Cost = field(default_factory=Cost)

    def add(self, forwards: int = 0, pushforwards: int = 0, pullbacks: int = 0) -> None:
        """Counts more of each."""
        self.cost = self.cost + Cost(forwards, pushforwards, pullbacks)


@dataclass(frozen=True)
class Linearisation:
    """A generator with named features, to be looked at from any latents.

    Attributes:
        generator: from latents to images.
        features: the named features, in the order in which values are returned.
        tangents: how many tangents go through the generator at once, times rows; None for all of them.
        differences: None for automatic differentiation; a length for forward differences of the whole map with that
            step in the latent, which is what the published method does.
    """

    generator: Generator
    features: tuple[Named, ...]
    tangents: int | None = None
    differences: float | None = None
    dtype: torch.dtype = torch.float32

    def at(self, latents: Latents, meter: Meter | None = None, memories: Memories = ()) -> Point:
        """The point at `latents` ``(batch, latent)``: one forward pass.

        `memories` are those of the waypoint before, for features that follow what they found there.

        Raises:
            Undefined: a feature has no value at some rows.
            NumericalError: an image or a value is not finite at some rows.
            PluginError: the generator's or a feature's own code fails, or breaks the contract.
        """
        meter = Meter() if meter is None else meter
        z = latents.detach().requires_grad_(self.differences is None)
        with torch.set_grad_enabled(self.differences is None):
            images = _images(self.generator, z)
        meter.add(forwards=1)
        pixels = images.detach().requires_grad_(self.differences is None)
        frozen = tuple(
            (name, _freeze(name, feature, pixels.detach(), own))
            for (name, feature), own in zip(self.features, self._shared_out(memories), strict=True)
        )
        values = tuple(_values(name, feature, pixels) for name, feature in frozen)
        return Point(self, z, images, pixels, frozen, values, meter)

    def _shared_out(self, memories: Memories) -> Iterator[Memories]:
        """Each feature's own part of `memories`; nothing for all where there are none yet."""
        rest = iter(memories)
        for _, feature in self.features:
            yield tuple(islice(rest, feature.memories))

    def footprint(self, latents: Latents) -> tuple[int, int]:
        """Bytes that one point at `latents` keeps for its derivatives, and those of its largest activation."""
        sizes: dict[int, int] = {}

        def note(saved: Tensor) -> Tensor:
            sizes[saved.data_ptr()] = saved.numel() * saved.element_size()
            return saved

        with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
            self.at(latents).push(torch.ones_like(latents)[:, None])
        return sum(sizes.values()), max(sizes.values(), default=0)


@dataclass(frozen=True)
class Point:
    """Everything known at some latents; see the module.

    Attributes:
        latents: ``(batch, latent)``.
        features: each as it stands near these images, under its name.
        values: each feature's values ``(batch, ...)``.
    """

    owner: Linearisation
    latents: Tensor
    _images: Tensor
    _pixels: Tensor
    features: tuple[Named, ...]
    _values: tuple[Tensor, ...]
    meter: Meter
    _recorded: dict[int, Pushes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def images(self) -> Images:
        """The images ``(batch, 3, height, width)``."""
        return self._images.detach()

    @property
    def values(self) -> tuple[Tensor, ...]:
        """Each feature's values ``(batch, ...)``."""
        return tuple(v.detach() for v in self._values)

    @property
    def memories(self) -> Memories:
        """What the features remember of this waypoint."""
        return tuple(tensor.detach() for _, feature in self.features for tensor in feature.remembered)

    def push(self, tangents: Basis) -> tuple[Tensor, ...]:
        """Each feature's change ``(batch, k, values)`` along `tangents` ``(batch, k, latent)``.

        Raises:
            NumericalError: a derivative is not finite; it names the feature.
        """
        k = tangents.shape[1]
        if self.owner.differences is not None:
            pushed = self._differences(tangents, self.owner.differences)
            self.meter.add(forwards=k)
        else:
            generator = self.owner.generator
            with _named(f"the derivative of the generator {type(generator).__name__}"):
                moved = self._along(generator, self._images, self.latents, tangents.transpose(0, 1))
            pushed = tuple(self._push_feature(i, moved) for i in range(len(self.features)))
            self.meter.add(pushforwards=k)
        for (name, _), change in zip(self.features, pushed, strict=True):
            _finite(change, name, "derivative")
        return pushed

    def pull(self, cotangents: Sequence[Tensor | None]) -> Latents:
        """Σ_i J_iᵀ u_i ``(batch, latent)`` for cotangents u_i ``(batch, values)``; None for a feature left out."""
        together = [
            (name, value, u.reshape(value.shape).to(value.dtype))
            for (name, _), value, u in zip(self.features, self._values, cotangents, strict=True)
            if u is not None and value.requires_grad
        ]
        image_cotangent = self._pull_features(together)
        if image_cotangent is None:
            return torch.zeros_like(self.latents)
        if not bool(image_cotangent.isfinite().all()):
            for one in together:  # to say whose it is
                _finite(self._pull_features([one]), one[0], "gradient")
        with _named(f"the gradient of the generator {type(self.owner.generator).__name__}"):
            pulled = torch.autograd.grad(self._images, self.latents, image_cotangent, retain_graph=True)[0]
        self.meter.add(pullbacks=1)
        _finite(pulled, None, "gradient")
        return pulled

    def _chunk(self) -> int | None:
        limit = self.owner.tangents
        return None if limit is None else max(1, limit // self.latents.shape[0])

    def _push_feature(self, i: int, moved: Tensor) -> Tensor:
        name, feature = self.features[i]
        with _named(f"the derivative of the feature {name}"):
            if feature.differentiable:
                changed = self._along(feature, self._values[i], self._pixels, moved)
            else:
                changed = torch.stack([_central(feature, self.images, tangent) for tangent in moved])
        return changed.reshape(*changed.shape[:2], -1).transpose(0, 1)

    def _along(self, function: Callable[[Tensor], Tensor], outputs: Tensor, inputs: Tensor, tangents: Tensor) -> Tensor:
        """J t for tangents ``(k, batch, ...)`` of the function that led from `inputs` to `outputs`."""

        def recorded() -> Tensor:
            if id(outputs) not in self._recorded:
                self._recorded[id(outputs)] = _transposed(outputs, inputs)
            return torch.stack([self._recorded[id(outputs)](tangent) for tangent in tangents])

        def shared() -> Tensor:
            return _jvp(function, inputs.detach(), tangents, self._chunk())

        for way in (recorded, shared) if len(tangents) <= FEW else (shared, recorded):
            with suppress(*UNABLE), _memory():
                return way()
        with torch.no_grad():  # forward mode without vmap: the last that is left
            return torch.stack([torch.func.jvp(function, (inputs.detach(),), (t,))[1] for t in tangents])

    def _pull_features(self, together: list[tuple[str, Tensor, Tensor]]) -> Tensor | None:
        """The cotangent of the images that all features' cotangents add up to; None where nothing depends on them."""
        if not together:
            return None
        names, values, u = zip(*together, strict=True)
        with _named(f"the gradient of {', '.join(names)}"):
            return torch.autograd.grad(values, self._pixels, u, retain_graph=True, allow_unused=True)[0]

    def _differences(self, tangents: Tensor, h: float) -> tuple[Tensor, ...]:
        rows = []
        for tangent in tangents.unbind(1):
            with torch.no_grad():
                images = self.owner.generator(self.latents.detach() + h * tangent)
                values = [feature(images) for _, feature in self.features]
            rows.append([((v - v0) / h).reshape(len(v), -1) for v, v0 in zip(values, self.values, strict=True)])
        return tuple(torch.stack(column, 1) for column in zip(*rows, strict=True))


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Whatever a plugin's code raises inside is said to be of `what`."""
    try:
        yield
    except EigenwalkError:
        raise
    except Exception as error:
        raise PluginError(f"{what} failed: {error!r}") from error


def _images(generator: Generator, latents: Latents) -> Images:
    try:
        images = generator(latents)
    except EigenwalkError:
        raise
    except Exception as error:
        raise PluginError(
            f"the generator {type(generator).__name__} failed on latents {tuple(latents.shape)}: {error!r}"
        ) from error
    expected = (latents.shape[0], 3, *generator.resolution)
    if not isinstance(images, Tensor) or tuple(images.shape) != expected or not images.is_floating_point():
        got = f"{tuple(images.shape)} {images.dtype}" if isinstance(images, Tensor) else type(images).__name__
        raise ContractError(
            f"the generator {type(generator).__name__} must return floating-point images (batch, 3, height, width) = "
            f"{expected}, got {got}"
        )
    if torch.is_grad_enabled() and not images.requires_grad:
        raise ContractError(
            f"the images of the generator {type(generator).__name__} carry no gradient: it must not run under "
            "torch.no_grad or inference_mode, nor detach"
        )
    _finite(images.detach(), None, "image")
    return images


def _freeze(name: str, feature: Feature, images: Images, remembered: Memories) -> Feature:
    """`feature` near the images, following what it `remembered` where it did.

    An Undefined without rows is asked again row by row, to know which.
    """

    def frozen(rows: slice = slice(None)) -> Feature:
        here = images[rows]
        return feature.follow(here, tuple(m[rows] for m in remembered)) if remembered else feature.at(here)

    try:
        return _remembering(name, feature, frozen(), len(images))
    except Undefined as error:
        rows = error.rows
        if rows is None:
            rows = tuple(i for i in range(len(images)) if not _defined(frozen, slice(i, i + 1)))
        raise Undefined(str(error), name, rows) from error
    except EigenwalkError:
        raise
    except Exception as error:
        raise PluginError(f"the feature {name} failed in at() on images {tuple(images.shape)}: {error!r}") from error


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


def _values(name: str, feature: Feature, images: Images) -> Tensor:
    try:
        with torch.set_grad_enabled(images.requires_grad and feature.differentiable):
            values: Any = feature(images)
    except Undefined as error:
        raise Undefined(str(error), name, error.rows) from error
    except EigenwalkError:
        raise
    except Exception as error:
        raise PluginError(f"the feature {name} failed on images {tuple(images.shape)}: {error!r}") from error
    if (
        not isinstance(values, Tensor)
        or values.ndim < 1
        or len(values) != len(images)
        or not values.is_floating_point()
    ):
        got = f"{tuple(values.shape)} {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
        raise ContractError(
            f"the feature {name} must return floating-point values (batch, ...), one row for each of "
            f"{len(images)} images, got {got}"
        )
    _finite(values.detach(), name, "value")
    return values


def _finite(tensor: Tensor | None, name: str | None, what: str) -> None:
    if tensor is None:
        return
    good = tensor.flatten(1).isfinite().all(1) if tensor.ndim > 1 else tensor.isfinite()
    if not bool(good.all()):
        rows = tuple((~good).nonzero().flatten().tolist())
        whose = f"the feature {name}" if name else "the generator"
        raise NumericalError(f"{whose} gave a {what} that is NaN or infinite", name, rows)


def _transposed(outputs: Tensor, inputs: Tensor) -> Pushes:
    """t ↦ J t for the graph that leads from `inputs` to `outputs`, by two reverse passes."""
    with torch.enable_grad():
        u = torch.zeros_like(outputs, requires_grad=True)
        pulled = torch.autograd.grad(outputs, inputs, u, create_graph=True, allow_unused=True)[0]
    if pulled is None:  # the inputs do not matter
        return lambda tangent: torch.zeros_like(outputs)
    return lambda tangent: torch.autograd.grad(pulled, u, tangent.to(pulled.dtype), retain_graph=True)[0]


def _jvp(function: Callable[[Tensor], Tensor], primal: Tensor, tangents: Tensor, chunk: int | None) -> Tensor:
    """J t for tangents ``(k, batch, ...)`` at `primal` ``(batch, ...)``, by forward mode under vmap."""

    def one(tangent: Tensor) -> Tensor:
        return torch.func.jvp(function, (primal,), (tangent,))[1]

    with torch.no_grad():
        return torch.func.vmap(one, chunk_size=chunk)(tangents)


@contextmanager
def _memory() -> Iterator[None]:
    """Lets a lack of memory through, which torch tells as one of the errors of a missing rule."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error


def _central(feature: Feature, images: Images, tangent: Tensor) -> Tensor:
    """The central difference of `feature` along an image tangent ``(batch, 3, height, width)``.

    The images move by `feature.step` (RMS pixel) each way, whatever the tangent's length: a detector does
    not see less.
    """
    length = tangent.flatten(1).square().mean(1).sqrt().clamp_min(1e-12)
    h = (feature.step / length)[:, None, None, None]
    with torch.no_grad():
        change = feature(images + h * tangent) - feature(images - h * tangent)
    return change / (2 * h.reshape(-1, *[1] * (change.ndim - 1)))
