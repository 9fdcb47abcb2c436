"""Toy generators and features whose answers are known exactly.

A generator embeds what it makes of a latent isometrically in the pixels, so that a feature reads it back with
`Embedding.read`: whatever is said of numbers then holds of images.

    circle()    |z|² fixed while the angle in the plane of the first two coordinates varies: the exact path is a circle
    linear()    matrices for Jacobians: every direction, step and correction is a formula
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eigenwalk.errors import Undefined
from eigenwalk.feature import Feature, FunctionFeature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.problem import Problem
from eigenwalk.path import Path, Role
from eigenwalk.walk import WalkOptions, walk

Function = Callable[[Tensor], Tensor]


def orthonormal(rows: int, columns: int, seed: int = 0) -> Tensor:
    """A matrix with orthonormal columns, float64."""
    return torch.linalg.qr(normal(rows, columns, seed=seed))[0]


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Embedding(Generator):
    """Images ``½ + E m(z)``, with E an isometry from numbers to pixels: `read` gives ``m(z)`` back.

    Args:
        latent_dim: d.
        inner: m, from ``(batch, d)`` to ``(batch, width)``; the identity by default.
        width: numbers that m gives; d by default.
        sample: of n latents from a seed; standard normal by default.
    """

    def __init__(
        self,
        latent_dim: int,
        inner: Function = lambda z: z,
        width: int | None = None,
        sample: Callable[[int, int], Tensor] | None = None,
    ):
        self.latent_dim, self.inner, self._sample = latent_dim, inner, sample
        side = math.ceil(math.sqrt((width or latent_dim) / 3))
        self.resolution = (side, side + 1)
        self.E = orthonormal(3 * side * (side + 1), width or latent_dim)

    def __call__(self, latents: Tensor) -> Tensor:
        """The images ``(batch, 3, height, width)``."""
        return 0.5 + (self.inner(latents) @ self.E.T.to(latents)).unflatten(1, (3, *self.resolution))

    def read(self, images: Tensor) -> Tensor:
        """The numbers m(z) ``(batch, width)`` in images."""
        return (images - 0.5).flatten(1) @ self.E.to(images)

    def sample(self, n: int, seed: int) -> Tensor:
        """`n` latents."""
        return self._sample(n, seed) if self._sample else super().sample(n, seed)

    def feature(self, function: Function, **kind) -> FunctionFeature:
        """The feature that reads the numbers in an image and gives `function` of them."""
        return FunctionFeature(lambda images: function(self.read(images)), **kind)


class Counting(Generator):
    """A generator that counts the images that it was asked for outside of derivatives."""

    def __init__(self, inner: Generator):
        self.inner, self.images = inner, 0
        self.latent_dim, self.resolution = inner.latent_dim, inner.resolution

    def __call__(self, latents: Tensor) -> Tensor:
        """The inner generator's images."""
        if not torch._C._functorch.is_functorch_wrapped_tensor(latents):  # pyright: ignore[reportAttributeAccessIssue]  # pyright: ignore[reportAttributeAccessIssue]
            self.images += len(latents)
        return self.inner(latents)

    def sample(self, n: int, seed: int) -> Tensor:
        """The inner generator's samples."""
        return self.inner.sample(n, seed)


def curved(latent_dim: int = 6, width: int = 12, seed: int = 0) -> Embedding:
    """A smooth generator that bends: ``m(z) = M tanh(W z)``."""
    W, M = normal(2 * width, latent_dim, seed=seed) / math.sqrt(latent_dim), normal(width, 2 * width, seed=seed + 1)
    return Embedding(latent_dim, lambda z: (z @ W.T.to(z)).tanh() @ M.T.to(z) / math.sqrt(width), width)


def assemble(
    generator: Generator,
    fixed: Mapping[str, tuple[Feature, float]],
    varied: Mapping[str, Feature],
    dtype: torch.dtype = torch.float64,
    latent_scale: float = 10.0,
    typical: float = 1.0,
    **linearisation,
) -> Problem:
    """The problem of these features; a fixed one comes with its tolerance."""
    named = tuple((name, feature) for name, (feature, _) in fixed.items()) + tuple(varied.items())
    roles = tuple(Role(name, "fixed", f.unit, typical, tolerance) for name, (f, tolerance) in fixed.items())
    roles += tuple(Role(name, "varied", f.unit, typical) for name, f in varied.items())
    return Problem(Linearisation(generator, named, dtype=dtype, **linearisation), roles, "toy", latent_scale)


def circle(
    d: int = 2, tolerance: float = 10.0, dtype: torch.dtype = torch.float64, fixed: bool = True, **also
) -> Problem:
    """|z|² fixed while the angle θ of (z_1, z_2) varies; starts lie at distance 1 from the axis.

    The varied feature is (cos θ, sin θ), whose RMS distance 1 is a length √2: a stride s turns by ``√2 s``. From
    any start the exact path turns about the axis and changes no other coordinate.
    """

    def sample(n: int, seed: int) -> Tensor:
        z = normal(n, d, seed=seed)
        return torch.cat([z[:, :2] / z[:, :2].norm(dim=1, keepdim=True), 0.3 * z[:, 2:]], 1)

    generator = Embedding(d, sample=sample)
    square = generator.feature(lambda z: z.square().sum(1))
    angle = generator.feature(lambda z: z[:, :2] / z[:, :2].norm(dim=1, keepdim=True))
    return assemble(generator, {"square": (square, tolerance)} if fixed else {}, {"angle": angle}, dtype, **also)


@dataclass(frozen=True)
class LinearProblem:
    """Features F_i z (fixed) and C_j z (varied) of a linear generator, and the matrices themselves."""

    problem: Problem
    F: tuple[Tensor, ...]
    C: tuple[Tensor, ...]

    def A(self, typical: float = 1.0) -> Tensor:
        """``Σ CᵀC / r²``, r the length of the typical distance."""
        return sum((C.T @ C / (len(C) * typical**2) for C in self.C), torch.zeros(()))

    def B(self) -> Tensor:
        """``Σ FᵀF / t²``, t the length of the tolerance."""
        tolerances = [role.tolerance or math.nan for role in self.problem.roles]
        d = self.C[0].shape[1]
        return sum(
            (F.T @ F / (len(F) * t**2) for F, t in zip(self.F, tolerances, strict=False)), torch.zeros(d, d).double()
        )


def linear(
    d: int = 8,
    fixed: int = 2,
    varied: int = 2,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    tolerance: float = 0.5,
    **also,
) -> LinearProblem:
    """Several fixed and varied features, each a random matrix of three rows."""
    generator = Embedding(d)
    F = tuple(normal(3, d, seed=100 * seed + i) for i in range(fixed))
    C = tuple(normal(3, d, seed=100 * seed + 50 + i) for i in range(varied))
    hold = {f"f{i}": (generator.feature(lambda z, M=M: z @ M.T.to(z)), tolerance * (i + 1)) for i, M in enumerate(F)}
    vary = {f"c{i}": generator.feature(lambda z, M=M: z @ M.T.to(z)) for i, M in enumerate(C)}
    return LinearProblem(assemble(generator, hold, vary, dtype, **also), F, C)


class Defined(Feature):
    """The numbers in an image, undefined where the first is above `limit`; `tell` says whether it names the rows."""

    def __init__(self, generator: Embedding, limit: float, tell: bool = True):
        self.generator, self.limit, self.tell = generator, limit, tell

    def __call__(self, images: Tensor) -> Tensor:
        """The numbers ``(batch, width)``."""
        return self.generator.read(images)

    def at(self, images: Tensor) -> Feature:
        """Itself, where it is defined."""
        bad = (self.generator.read(images)[:, 0] > self.limit).nonzero().flatten().tolist()
        if bad:
            raise Undefined("nothing there", rows=tuple(bad) if self.tell else None)
        return self


class Frozen(Feature):
    """The numbers in an image times themselves as they stood when the feature was frozen: a mask of sorts."""

    def __init__(self, generator: Embedding, mask: Tensor | None = None):
        self.generator, self.mask = generator, mask

    def __call__(self, images: Tensor) -> Tensor:
        """``m · z`` ``(batch, width)``; m is z itself where nothing is frozen."""
        z = self.generator.read(images)
        return z * (z if self.mask is None else self.mask)

    def at(self, images: Tensor) -> Feature:
        """With the mask of these images."""
        return Frozen(self.generator, self.generator.read(images))


class Anchored(Feature):
    """The numbers in an image less those of the start, which it remembers from waypoint to waypoint.

    It drags its anchor after it by a share `drag` of the way at each waypoint.
    """

    memories = 1

    def __init__(self, generator: Embedding, drag: float = 0.0, anchor: Tensor | None = None):
        self.generator, self.drag = generator, drag
        self.remembered = () if anchor is None else (anchor,)

    def __call__(self, images: Tensor) -> Tensor:
        """``z - anchor`` ``(batch, width)``."""
        z = self.generator.read(images)
        return z - self.remembered[0] if self.remembered else 0 * z

    def at(self, images: Tensor) -> Feature:
        """Anchored at these images."""
        return Anchored(self.generator, self.drag, self.generator.read(images))

    def follow(self, images: Tensor, remembered: tuple[Tensor, ...]) -> Feature:
        """Anchored where it was, but for the drag."""
        (anchor,) = remembered
        return Anchored(self.generator, self.drag, anchor.lerp(self.generator.read(images), self.drag))


def rounded(z: Tensor) -> Tensor:
    """|z|² to the nearest thousandth: no derivative follows it."""
    return (1000 * z.square().sum(1)).round() / 1000


def nan_beyond(limit: float) -> Function:
    """The root of what is left up to `limit` of the first number: NaN beyond, an infinite derivative at it."""
    return lambda z: (limit - z[:, :1]).sqrt()


class _Sine(torch.autograd.Function):
    """The sine, without a forward-mode rule."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, *cotangents: Tensor) -> Tensor:
        return cotangents[0] * ctx.saved_tensors[0].cos()


class _SingleSine(_Sine):
    """The sine with a forward-mode rule, for one tangent."""

    generate_vmap_rule = False

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def jvp(ctx, *tangents: Tensor) -> Tensor:
        return tangents[0] * ctx.saved_tensors[0].cos()


class _OnceSine(_SingleSine):
    """The sine with a forward-mode rule for one tangent, whose gradient cannot be differentiated."""

    @staticmethod
    @once_differentiable
    def backward(ctx, *cotangents: Tensor) -> Tensor:
        return cotangents[0] * ctx.saved_tensors[0].cos()


class _OldSine(torch.autograd.Function):
    """The sine as functions were written before torch 2.0: no transform of torch.func takes it."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, *cotangents: Tensor) -> Tensor:
        return cotangents[0] * ctx.saved_tensors[0].cos()


def no_forward_mode(z: Tensor) -> Tensor:
    """sin z, which only reverse mode can follow."""
    return _Sine.apply(z)  # type: ignore[return-value]


def no_transform(z: Tensor) -> Tensor:
    """sin z, which only plain autograd can follow."""
    return _OldSine.apply(z)  # type: ignore[return-value]


def looks_at_the_data(z: Tensor) -> Tensor:
    """sin z through control flow that looks at the data."""
    return z.sin() if z.sum().item() < math.inf else z


def no_second_gradient(z: Tensor) -> Tensor:
    """sin z, which only forward mode can follow, one tangent at a time."""
    return _OnceSine.apply(z)  # type: ignore[return-value]


def no_vmap(z: Tensor) -> Tensor:
    """sin z, which no batch of tangents can follow."""
    return _SingleSine.apply(z)  # type: ignore[return-value]


SINES: dict[str, Function] = {
    "all tangents at once": lambda z: z.sin(),
    "all tangents, looking at the data": looks_at_the_data,
    "one tangent at a time": no_vmap,
    "no forward mode": no_forward_mode,
    "no torch.func": no_transform,
    "no second gradient": no_second_gradient,
}


@dataclass
class Matrices:
    """The sight of a linear generator whose Jacobians are C ``(batch, p, dim)`` and F ``(batch, q, dim)``."""

    C: Tensor
    F: Tensor
    blocks: tuple[int, ...] = ()
    generator = Embedding(1)
    images = torch.zeros(0, 3, 1, 1)

    @property
    def batch(self) -> int:
        """Rows."""
        return self.C.shape[0]

    @property
    def dim(self) -> int:
        """Coordinates of one latent."""
        return self.C.shape[2]

    @property
    def like(self) -> Tensor:
        """Latents: the origin."""
        return self.C.new_zeros(self.batch, self.dim)

    def push(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``."""
        return V @ self.C.mT, V @ self.F.mT

    def pull(self, c: Tensor | None, f: Tensor | None) -> Tensor:
        """``Cᵀ c + Fᵀ f``."""
        parts = [(u[:, None] @ J)[:, 0] for u, J in ((c, self.C), (f, self.F)) if u is not None]
        return sum(parts, self.like)

    def values(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """``(C z, F z)``."""
        c, f = self.push(latents[:, None])
        return c[:, 0], f[:, 0]


class Tally(Matrices):
    """Matrices that count the tangents pushed and the cotangents pulled, by row."""

    def __init__(self, inner: Matrices):
        super().__init__(inner.C, inner.F, inner.blocks)
        self.pushed = self.pulled = 0

    def push(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``."""
        self.pushed += V.shape[1]
        return super().push(V)

    def pull(self, c: Tensor | None, f: Tensor | None) -> Tensor:
        """``Cᵀ c + Fᵀ f``."""
        self.pulled += 1
        return super().pull(c, f)


def spectrum(d: int) -> Tensor:
    """Eigenvalues like those of real generators: 1 down to 1e-2 at the 10th, 1e-4 at the 40th, 1e-9 in the end."""
    i = torch.arange(d).double()
    return 10 ** torch.where(i < 10, -i / 5, -2 - (i - 10) / 15).clamp_min(-9)


def decaying(
    d: int = 128, time: float = 0.0, seed: int = 0, batch: int = 2, dtype: torch.dtype = torch.float64
) -> Matrices:
    """A and B with eigenvalues as in `spectrum`, whose eigenvectors differ, and turn slowly as time goes on."""
    F, C = [], []
    for row in range(batch):
        U, turn, other = (normal(d, d, seed=1000 * seed + 10 * row + i) / d**0.5 for i in range(3))
        U = torch.linalg.qr(U)[0]
        turn, other = (torch.linalg.matrix_exp(t * (S - S.T)) for t, S in ((time, turn), (0.6, other)))
        F.append(spectrum(d).sqrt()[:, None] * (U @ turn).T)
        C.append(spectrum(d).sqrt()[:, None] * (U @ other @ turn).T)
    return Matrices(torch.stack(C).to(dtype), torch.stack(F).to(dtype))


def walked(problem: Problem, seeds: Sequence[int] = (0,), **options) -> tuple[Path, ...]:
    """The paths at the end of a walk through `problem`."""
    *_, front = walk(problem, seeds, WalkOptions(**{"smooth": 0.0} | options))
    return front.paths
