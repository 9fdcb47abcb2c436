"""A feature and a generator that keep the contract, and for every check of the kit one that fails only it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk.errors import Undefined
from eigenwalk.feature import Feature, Projection
from eigenwalk.generator import Generator
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option, Weights


def pooled(images: Tensor, cells: int = 4) -> Tensor:
    """Mean colours of a grid of cells, ``(batch, 3 cells²)``."""
    return F.adaptive_avg_pool2d(images, cells).flatten(1)


class Pooled(Feature):
    """Keeps the contract; those below change one thing."""

    def __init__(self, cells: int = 4, scale: float = 1.0):
        self.cells, self.scale = cells, scale

    def __call__(self, images: Tensor) -> Tensor:
        return self.scale * pooled(images, self.cells)


class WholeNumbers(Pooled):
    def __call__(self, images):
        return pooled(images).argmax(1)


class Logarithm(Pooled):
    def __call__(self, images):
        return (pooled(images) - 0.5).log()


class Single(Pooled):
    def __call__(self, images):
        return pooled(images).float()


class SingleInside(Pooled):
    def __call__(self, images):
        return pooled(images.float()).to(images)


class Matrix(Pooled):
    """Its matrix stays where it was made."""

    def __init__(self):
        self.matrix = torch.randn(48, 8, generator=torch.Generator().manual_seed(0))

    def __call__(self, images):
        return pooled(images) @ self.matrix.to(images.dtype)


class Overwriting(Pooled):
    def __call__(self, images):
        images -= 0.5
        return pooled(images)


class Seeding(Pooled):
    def __call__(self, images):
        torch.manual_seed(0)
        return pooled(images)


class Unfrozen(Pooled):
    """A network whose parameters want gradients."""

    def __init__(self):
        self.network = _linear()

    def __call__(self, images):
        return self.network(pooled(images))


class Training(Unfrozen):
    def __init__(self):
        self.network = _linear().requires_grad_(False).train()


class Noisy(Pooled):
    def __call__(self, images):
        return pooled(images) + 0.01 * torch.randn(48).to(images)


class Mutating(Pooled):
    """at() keeps what it computes on the feature itself."""

    def __call__(self, images):
        level = getattr(self, "level", None)
        return pooled(images) - (_level(images) if level is None or len(level) != len(images) else level)

    def at(self, images):
        self.level = _level(images)
        return self


class Numbered(Pooled):
    def __call__(self, images):
        return pooled(images) + 0.01 * torch.arange(len(images)).to(images)[:, None]


class BatchNorm(Pooled):
    def __call__(self, images):
        return pooled(images) - pooled(images).mean(0)


class Frozen(Pooled):
    """What the features with an at() return: less a level that is frozen."""

    def __init__(self, level: Tensor):
        self.level = level

    def __call__(self, images):
        return pooled(images) - self.level


class SharedLevel(Pooled):
    def __call__(self, images):
        return pooled(images) - _level(images)

    def at(self, images):
        return Frozen(_level(images).mean().expand(len(images), 1))


class OtherLevel(Pooled):
    def __call__(self, images):
        return pooled(images) - _level(images)

    def at(self, images):
        return Frozen(0.5 * _level(images))


class Forgetful(Pooled):
    memories = 1


class Brightest(Pooled):
    """Where nothing stands out, it fails instead of raising Undefined."""

    def at(self, images):
        for image in images:
            torch.nonzero((image - image.mean()).abs() > 0.05)[0]
        return self


class WrongRows(Pooled):
    def at(self, images):
        if bool((images.flatten(1).std(1) < 1e-3).any()):
            raise Undefined("nothing is found", rows=(0,))
        return self


class OneSize(Pooled):
    def __call__(self, images):
        return pooled(images.flatten(1).unflatten(1, (3, 64, 64)))


class Keeping(Pooled):
    """Keeps a weight for each size, made under inference_mode where the first call was."""

    def __init__(self):
        self.kept: dict[Any, Tensor] = {}

    def __call__(self, images):
        key = (images.shape[-2:], images.dtype, images.device)
        if key not in self.kept:
            self.kept[key] = torch.linspace(0.5, 1, images.shape[-1]).to(images)
        return pooled(images * self.kept[key])


class Rounded(Pooled):
    def __call__(self, images):
        return (10 * pooled(images)).round() / 10


class Detached(Pooled):
    def __call__(self, images):
        return pooled(images.detach())


class Clipped(Pooled):
    def __call__(self, images):
        return pooled(images.clamp(0, 1))


class Threshold(Pooled):
    def __call__(self, images):
        x = pooled(images)
        return x * (1 + (x > 0.5))


class StraightThrough(Pooled):
    """Its value is sin 3x, its gradient that of x."""

    def __call__(self, images):
        x = pooled(images)
        return x + (torch.sin(3 * x) - x).detach()


class WrongJvp(torch.autograd.Function):
    """x², whose forward mode forgets the 2."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, *grads):
        return 2 * ctx.saved_tensors[0] * grads[0]

    @staticmethod
    def jvp(ctx, *tangents):
        return ctx.saved_tensors[0] * tangents[0]


class Squared(Pooled):
    def __call__(self, images):
        return WrongJvp.apply(pooled(images))


class Coarse(Pooled):
    """It rounds to more than its own step moves it."""

    differentiable, step = False, 1e-4

    def __call__(self, images):
        return (20 * pooled(images)).round() / 20


class OneWay(Pooled):
    def distance(self, a, b):
        return (a - b).clamp(min=0).mean(1)


class Cosine(Pooled):
    """A cosine distance with the radius of another distance."""

    unit = "cosine distance"

    def __call__(self, images):
        return F.normalize(pooled(images), dim=1)

    def distance(self, a, b):
        return 1 - (a * b).sum(1)


class Half(Projection):
    """The image's left half; keeps the contract."""

    def __call__(self, images):
        return images * self.weights(images)

    def weights(self, images: Tensor) -> Tensor:
        """1 on the left, 0 on the right, ``(width,)``."""
        return (torch.arange(images.shape[-1], device=images.device) < images.shape[-1] // 2).to(images.dtype)

    def coverage(self, images):
        return self.weights(images).expand(len(images), 1, *images.shape[-2:])


class Grey(Half):
    def __call__(self, images):
        return images.mean(1, keepdim=True)


class Both(Half):
    def complement(self):
        return self


class Twice(Half):
    def coverage(self, images):
        return 2 * super().coverage(images)


class Overflowing(Pooled):
    def __call__(self, images):
        return pooled(1e6 * images) / 1e6


def _linear() -> nn.Linear:
    linear = nn.Linear(48, 8)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random))
    return linear.eval()


def _level(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))[:, None]


CELLS = Option("cells", "int", 4, "cells along each side")
SCALE = Option("scale", "float", 1.0, "a factor")
LOAD = "nonconforming:Pooled"


def feature_spec(**other: Any) -> FeatureSpec:
    """The spec of `Pooled`, complete but for `other`."""
    known: dict[str, Any] = {"name": "pooled", "load": LOAD, "summary": "mean colours", "options": (CELLS, SCALE)}
    return FeatureSpec(**(known | other))


FEATURES: tuple[tuple[str, str, Any], ...] = (
    ("spec", "no summary", feature_spec(summary="")),
    ("spec", "an option without a summary", feature_spec(options=(CELLS, Option("scale", "float", 1.0)))),
    (
        "spec",
        "weights without a licence",
        feature_spec(weights=(Weights("x.pt", "0" * 64, 1, "", "https://example.org/x.pt"),), cites=("a paper",)),
    ),
    ("options", "another default", feature_spec(options=(Option("cells", "int", 8, "cells along a side"), SCALE))),
    ("options", "an undeclared option", feature_spec(options=(CELLS,))),
    ("declared", "another unit", feature_spec(unit="logit")),
    ("shape", "argmax", WholeNumbers()),
    ("finite", "log of a negative", Logarithm()),
    ("dtype", "always float32", Single()),
    ("dtype", "float32 inside", SingleInside()),
    ("device", "a matrix on the CPU", Matrix()),
    ("pure", "x -= 0.5", Overwriting()),
    ("pure", "torch.manual_seed", Seeding()),
    ("parameters", "no requires_grad_(False)", Unfrozen()),
    ("parameters", "no eval()", Training()),
    ("determinism", "noise", Noisy()),
    ("frozen", "at() returns self, changed", Mutating()),
    ("order", "a row's number", Numbered()),
    ("independence", "mean over the batch", BatchNorm()),
    ("rows", "at() averages the batch", SharedLevel()),
    ("reference", "at() computes another level", OtherLevel()),
    ("follow", "nothing remembered", Forgetful()),
    ("undefined", "IndexError where nothing is found", Brightest()),
    ("undefined", "the wrong row", WrongRows()),
    ("size", "64 x 64 alone", OneSize()),
    ("modes", "a cache made under inference_mode", Keeping()),
    ("gradient", "round", Rounded()),
    ("gradient", "detach", Detached()),
    ("clip", "clamp(0, 1)", Clipped()),
    ("continuity", "a threshold", Threshold()),
    ("pullback", "straight-through", StraightThrough()),
    ("pushforward", "wrong jvp", Squared()),
    ("step", "a step below the rounding", Coarse()),
    ("distance", "asymmetric", OneWay()),
    ("radius", "cosine distance, default radius", Cosine()),
    ("projection", "one channel", Grey()),
    ("complement", "its own complement", Both()),
    ("coverage", "2 inside", Twice()),
    ("half", "overflow in float16", feature_spec(load="nonconforming:Overflowing", half=True)),
)
"""The check that catches it, what is wrong, and the feature or its spec."""


class Waves(Generator):
    """Keeps the contract: plane waves with the latent's amplitudes; those below change one thing."""

    def __init__(self, space: str = "z"):
        self.latent_dim, self.resolution, self.space = 16, (16, 20), space

    def __call__(self, latents: Tensor) -> Tensor:
        return 0.5 + 0.05 * self.waves(latents)

    def waves(self, latents: Tensor) -> Tensor:
        """Sums of waves ``(batch, 3, 16, 20)``, plus a quadratic part."""
        height, width = self.resolution
        y = torch.arange(height, dtype=latents.dtype, device=latents.device)[:, None] / height
        x = torch.arange(width, dtype=latents.dtype, device=latents.device) / width
        basis = torch.stack([torch.cos(3 * (k + 1) * x + 2 * (k % 3) * y + c) for k in range(16) for c in range(3)])
        linear = torch.einsum("bk,kchw->bchw", latents, basis.unflatten(0, (16, 3)))
        return linear + 0.1 * linear.square()


class Drawn(Waves):
    def sample(self, n, seed):
        return torch.randn(n, self.latent_dim)


class ByNumber(Waves):
    def sample(self, n, seed):
        return torch.randn(n, 16, generator=torch.Generator().manual_seed(100 * seed + n))


class Turned(Waves):
    def __call__(self, latents):
        return super().__call__(latents).transpose(2, 3)


class Root(Waves):
    def __call__(self, latents):
        return self.waves(latents).sqrt()


class SingleWaves(Waves):
    def __call__(self, latents):
        return super().__call__(latents).float()


class FixedNoise(Waves):
    """Its noise stays where it was made."""

    def __init__(self):
        super().__init__()
        self.noise = torch.randn(16, 20, generator=torch.Generator().manual_seed(0))

    def __call__(self, latents):
        return super().__call__(latents) + 0.01 * self.noise.to(latents.dtype)


class Bytes(Waves):
    def __call__(self, latents):
        return 255 * super().__call__(latents)


class ClippedWaves(Waves):
    def __call__(self, latents):
        return super().__call__(latents).clamp(0, 1)


class Scaling(Waves):
    def __call__(self, latents):
        latents *= 0.9
        return super().__call__(latents)


class Wanting(Waves):
    """A parameter wants a gradient."""

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(16, 16, bias=False).eval()
        with torch.no_grad():
            self.network.weight.copy_(torch.eye(16))

    def __call__(self, latents):
        return super().__call__(self.network(latents))


class NoisyWaves(Waves):
    def __call__(self, latents):
        return super().__call__(latents) + 0.01 * torch.randn(16, 20).to(latents)


class NumberedWaves(Waves):
    def __call__(self, latents):
        return super().__call__(latents) + 0.01 * torch.arange(len(latents)).to(latents)[:, None, None, None]


class Centred(Waves):
    def __call__(self, latents):
        return super().__call__(latents - 0.5 * latents.mean(0))


class DetachedWaves(Waves):
    def __call__(self, latents):
        return super().__call__(latents.detach())


class ModalWaves(Waves):
    def __call__(self, latents):
        return super().__call__(latents) + 0.01 * torch.is_grad_enabled()


class StraightWaves(Waves):
    def __call__(self, latents):
        x = self.waves(latents)
        return 0.5 + 0.1 * (x + (torch.tanh(x) - x).detach())


class SquaredWaves(Waves):
    def __call__(self, latents):
        return 0.3 + 0.001 * WrongJvp.apply(self.waves(latents))


class OneSpace(Waves):
    def __init__(self, space: str = "z"):
        super().__init__("z")


class OverflowingWaves(Waves):
    def __call__(self, latents):
        return 1e6 * super().__call__(latents) / 1e6


SPACE = Option("space", "str", "z", "where the walk happens")


def generator_spec(**other: Any) -> GeneratorSpec:
    """The spec of `Waves`, complete but for `other`."""
    known: dict[str, Any] = {"name": "waves", "load": "nonconforming:Waves", "summary": "waves", "options": (SPACE,)}
    return GeneratorSpec(**(known | other))


GENERATORS: tuple[tuple[str, str, Any], ...] = (
    ("spec", "an option without a summary", generator_spec(options=(Option("space", "str", "z"),))),
    ("options", "a factory without the option", generator_spec(load="nonconforming:Bare")),
    ("declared", "a space that is not declared", generator_spec(load="nonconforming:Undeclared", spaces=())),
    ("sample", "samples from torch's own state", Drawn()),
    ("prefix", "samples that depend on their number", ByNumber()),
    ("shape", "width and height exchanged", Turned()),
    ("finite", "root of a negative", Root()),
    ("dtype", "always float32", SingleWaves()),
    ("device", "noise on the CPU", FixedNoise()),
    ("range", "images in [0, 255]", Bytes()),
    ("clip", "clamp(0, 1)", ClippedWaves()),
    ("pure", "z *= 0.9", Scaling()),
    ("parameters", "no requires_grad_(False)", Wanting()),
    ("determinism", "noise", NoisyWaves()),
    ("order", "a row's number", NumberedWaves()),
    ("independence", "mean over the batch", Centred()),
    ("gradient", "detach", DetachedWaves()),
    ("modes", "other images with gradients", ModalWaves()),
    ("pullback", "straight-through", StraightWaves()),
    ("pushforward", "wrong jvp", SquaredWaves()),
    ("spaces", "w declared, z opened", generator_spec(load="nonconforming:OneSpace", spaces=("z", "w"))),
    ("half", "overflow in float16", generator_spec(load="nonconforming:OverflowingWaves", half=True)),
)
"""The check that catches it, what is wrong, and the generator or its spec."""


def Bare() -> Waves:
    """Waves without an option."""
    return Waves()


def Undeclared(space: str = "z") -> Waves:
    """Waves in a space that the spec does not declare."""
    return Waves(space)
