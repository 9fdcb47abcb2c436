"""The point of a linearisation: see the package.

A feature that says it is not differentiable is pushed forward by central differences of its image along
the pushed image tangent, and contributes nothing to a pullback.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn

from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import derivative
from eigenwalk.maths.linearise.attention import plain_attention
from eigenwalk.maths.linearise.blocks import recomputing
from eigenwalk.maths.linearise.calls import blame, check_finite, freeze_near, images_of, values_of
from eigenwalk.maths.linearise.convolution import LinearConvolutions
from eigenwalk.maths.linearise.precision import in_precision, scale_rows
from eigenwalk.path import Cost
from eigenwalk.shapes import Basis, Images, Latents

Named = tuple[str, Feature]
"""A feature under its canonical expression."""
Tracked = tuple[Tensor, ...]
"""What all features together carry from waypoint to waypoint, in their order: tensors ``(batch, ...)``."""
Record = Literal["twice", "once", "blocks"]
"""What a point keeps for its derivatives: all activations and those of the gradient; all activations; or only what
flows between blocks. Each takes less memory than the one before, and more time."""


@dataclass
class Meter:
    """What one row of a batch has cost so far, in forwards, pushforwards and pullbacks."""

    cost: Cost = field(default_factory=Cost)

    def add(self, cost: Cost) -> None:
        """Add to each count."""
        self.cost = self.cost + cost


def _ignore(passes: float) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Linearisation:
    """A generator with named features, ready to be linearised at any latents.

    Attributes:
        generator: from latents to images.
        features: the named features, in the order in which values are returned.
        tangents: how many tangents go through the generator at once, times rows; None for all of them.
        differences: None for automatic differentiation; a length for forward differences of the whole map with that
            step in the latent, which is what the published method does.
        dtype: of latents, images and values.
        precision: of the generator's derivatives where that is another one; images are never made in it.
        record: what points keep for their derivatives.
        blocks: modules whose activations are computed again, where `record` says so.
        watch: called after every pass through the generator, with its cost in forward passes of one row.
    """

    generator: Generator
    features: tuple[Named, ...]
    tangents: int | None = None
    differences: float | None = None
    dtype: torch.dtype = torch.float32
    precision: torch.dtype | None = None
    record: Record = "twice"
    blocks: tuple[nn.Module, ...] = ()
    watch: Callable[[float], object] = _ignore

    def at(self, latents: Latents, meter: Meter | None = None, tracked: Tracked = ()) -> Point:
        """Return the point at `latents` ``(batch, latent)``: one forward pass.

        `tracked` comes from the waypoint before, for features that follow an object.

        Raises:
            Undefined: a feature has no value at some rows.
            NumericalError: an image or a value is not finite at some rows.
            PluginError: the generator's or a feature's own code fails, or breaks the contract.
            OutOfMemory: memory does not suffice.
        """
        meter, z, graph = Meter() if meter is None else meter, latents.detach(), Graph()
        if self.differences is None and self.precision is None:
            graph.generator = self.recorded_generator(z)
            images = graph.generator[1].detach()
        else:
            with torch.no_grad():
                images = images_of(self.generator, z)
        self.count(meter, len(z), Cost(forwards=1))
        frozen = tuple(
            (name, freeze_near(name, feature, images, own))
            for (name, feature), own in zip(self.features, self._by_feature(tracked), strict=True)
        )
        if self.differences is None:
            graph.features = self.recorded_features(frozen, images)
            values = tuple(value.detach() for value in graph.features[1])
        else:
            values = tuple(values_of(name, feature, images) for name, feature in frozen)
        return Point(self, z, images, frozen, values, meter, graph)

    @plain_attention()
    def recorded_generator(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents, and their images with a graph back to them."""
        z = latents.detach().requires_grad_()
        with torch.enable_grad(), self._kept():
            return z, images_of(self.generator, z, in_precision(self.generator, self.precision))

    @plain_attention()
    def recorded_features(self, features: Sequence[Named], images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return images, and the features' values with a graph back to them."""
        pixels = images.detach().requires_grad_()
        with self._kept():
            return pixels, tuple(values_of(name, feature, pixels) for name, feature in features)

    def count(self, meter: Meter, rows: int, cost: Cost) -> None:
        """Add to the meter, and tell who watches, what `rows` rows have cost each."""
        meter.add(cost)
        self.watch(rows * cost.passes)

    def _kept(self) -> AbstractContextManager[object]:
        """How activations are kept. Blocks are computed again outside, so that what they record must be torch's own."""
        return recomputing(self.blocks) if self.record == "blocks" else LinearConvolutions()

    def _by_feature(self, tracked: Tracked) -> Iterator[Tracked]:
        """Yield each feature's own part of `tracked`; empty at a start."""
        rest = iter(tracked)
        for _, feature in self.features:
            yield tuple(islice(rest, feature.memories))


@dataclass
class Graph:
    """What a point has recorded so far; empty after `Point.forget`.

    Attributes:
        generator: latents, and images with a graph back to them.
        features: images, and each feature's values.
        pushes: of the generator (None) and of each feature (its place), tangents to their pushforward.
    """

    generator: tuple[Tensor, Tensor] | None = None
    features: tuple[Tensor, tuple[Tensor, ...]] | None = None
    pushes: dict[int | None, derivative.Function] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """Everything known at some latents; see the package.

    Attributes:
        latents: ``(batch, latent)``.
        images: ``(batch, 3, height, width)``.
        features: each as it stands near these images, under its name.
        values: each feature's values ``(batch, ...)``.
        meter: what the point has cost so far.
    """

    owner: Linearisation
    latents: Latents
    images: Images
    features: tuple[Named, ...]
    values: tuple[Tensor, ...]
    meter: Meter
    _graph: Graph = field(default_factory=Graph, repr=False, compare=False)

    @property
    def tracked(self) -> Tracked:
        """What the features carry on from this waypoint."""
        return tuple(tensor.detach() for _, feature in self.features for tensor in feature.remembered)

    def forget(self) -> None:
        """Free what was recorded, nearly all memory that a point holds; it is recorded again when needed."""
        self._graph.generator = self._graph.features = None
        self._graph.pushes.clear()

    def push(self, tangents: Basis, without: Container[int] = ()) -> tuple[Tensor, ...]:
        """Each feature's change ``(batch, k, values)`` along `tangents` ``(batch, k, latent)``; nought if left out.

        Raises:
            NumericalError: a derivative is not finite; it names the feature.
            OutOfMemory: memory does not suffice.
        """
        k = tangents.shape[1]
        if self.owner.differences is not None:
            pushed = self._differences(tangents, self.owner.differences)
            self._count(Cost(forwards=k))
        else:
            moved = self._push_generator(tangents.transpose(0, 1))
            pushed = tuple(
                value.new_zeros(len(value), k, value[0].numel()) if i in without else self._push_feature(i, moved)
                for i, value in enumerate(self.values)
            )
            self._count(Cost(pushforwards=k))
        for (name, _), change in zip(self.features, pushed, strict=True):
            check_finite(change, name, "derivative")
        return pushed

    @plain_attention()
    def pull(self, cotangents: Sequence[Tensor | None]) -> Latents:
        """Σ_i J_iᵀ u_i ``(batch, latent)`` for cotangents u_i ``(batch, values)``; None for a feature left out."""
        together = [
            (name, value, u.reshape(value.shape).to(value.dtype))
            for (name, _), value, u in zip(self.features, self._recorded_features()[1], cotangents, strict=True)
            if u is not None and value.requires_grad
        ]
        image_cotangent = self._pull_features(together)
        if image_cotangent is None:
            return torch.zeros_like(self.latents)
        if not bool(image_cotangent.isfinite().all()):
            for one in together:  # to name the feature
                part = self._pull_features([one])
                if part is not None:
                    check_finite(part, one[0], "gradient")
        latents, images = self._recorded_generator()
        u, factors = scale_rows(image_cotangent, self.owner.precision)
        with blame(f"the gradient of the generator {type(self.owner.generator).__name__}"):
            pulled = torch.autograd.grad(images, latents, u, retain_graph=True)[0] * factors
        self._count(Cost(pullbacks=1))
        check_finite(pulled, None, "gradient")
        return pulled

    def _count(self, cost: Cost) -> None:
        self.owner.count(self.meter, len(self.latents), cost)

    def _recorded_generator(self) -> tuple[Tensor, Tensor]:
        if self._graph.generator is None:
            self._graph.generator = self.owner.recorded_generator(self.latents)
            self._count(Cost(forwards=1))
        return self._graph.generator

    def _recorded_features(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self._graph.features is None:
            self._graph.features = self.owner.recorded_features(self.features, self.images)
        return self._graph.features

    def _push_generator(self, tangents: Tensor) -> Tensor:
        generator = self.owner.generator
        with blame(f"the derivative of the generator {type(generator).__name__}"):
            function = in_precision(generator, self.owner.precision)
            return self._along(None, function, self.latents, tangents, self._recorded_generator)

    def _push_feature(self, i: int, moved: Tensor) -> Tensor:
        name, feature = self.features[i]

        def recorded() -> tuple[Tensor, Tensor]:
            pixels, values = self._recorded_features()
            return pixels, values[i]

        with blame(f"the derivative of the feature {name}"):
            if feature.differentiable:
                changed = self._along(i, feature, self.images, moved, recorded)
            else:
                changed = torch.stack([derivative.central(feature, self.images, tangent) for tangent in moved])
        return changed.reshape(*changed.shape[:2], -1).transpose(0, 1)

    @plain_attention()
    def _along(
        self,
        which: int | None,
        function: derivative.Function,
        primal: Tensor,
        tangents: Tensor,
        graph: Callable[[], tuple[Tensor, Tensor]],
    ) -> Tensor:
        """J t for tangents ``(k, batch, ...)`` of `function` at `primal`, where `graph` gives its recorded pass."""

        def recorded() -> Tensor:
            if which not in self._graph.pushes:
                inputs, outputs = graph()
                self._graph.pushes[which] = derivative.transpose(outputs, inputs)
            return torch.stack([self._graph.pushes[which](tangent) for tangent in tangents])

        def shared() -> Tensor:
            limit = self.owner.tangents
            chunk = None if limit is None else max(1, limit // len(self.latents))
            return derivative.jvp(function, primal, tangents, chunk)

        def singly() -> Tensor:
            return derivative.singly(function, primal, tangents)

        if self.owner.record != "twice":
            return derivative.first_able((shared, singly, recorded))
        return derivative.first_able((recorded, shared, singly))

    @plain_attention()
    def _pull_features(self, together: list[tuple[str, Tensor, Tensor]]) -> Tensor | None:
        """The cotangent of the images that all features' cotangents add up to; None where nothing depends on them."""
        if not together:
            return None
        names, values, u = zip(*together, strict=True)
        pixels = self._recorded_features()[0]
        with blame(f"the gradient of {', '.join(names)}"):
            return torch.autograd.grad(values, pixels, u, retain_graph=True, allow_unused=True)[0]

    def _differences(self, tangents: Tensor, h: float) -> tuple[Tensor, ...]:
        rows = []
        for tangent in tangents.unbind(1):
            with torch.no_grad():
                images = self.owner.generator(self.latents + h * tangent)
                values = [feature(images) for _, feature in self.features]
            rows.append([((v - v0) / h).reshape(len(v), -1) for v, v0 in zip(values, self.values, strict=True)])
        return tuple(torch.stack(column, 1) for column in zip(*rows, strict=True))
