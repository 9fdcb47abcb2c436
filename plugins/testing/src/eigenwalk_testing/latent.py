"""Checks of generators alone: their latents, samples, spaces, and the range of their images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eigenwalk.generator import Generator
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.subject import SEED, GeneratorSubject, apart, normal, what
from eigenwalk_testing.values import same

TYPICAL = (-0.5, 1.5)
"""Where 98 of 100 pixels lie: [0, 1], with room for overshoot; images in [-1, 1] or [0, 255] leave it."""
PILED = 0.005
"""Share of the pixels that may stand exactly at an end of [0, 1]."""


def sample(s: GeneratorSubject) -> str:
    """sample(n, seed) gives (n, latent_dim) float latents, the same for the same seed, others for another."""
    generator, wanted = s.generator, (5, s.generator.latent_dim)
    state = torch.get_rng_state()
    latents: Any = generator.sample(5, seed=SEED)
    if not isinstance(latents, Tensor) or tuple(latents.shape) != wanted or not latents.is_floating_point():
        fail(f"sample(5, seed) gives {what(latents)}", f"return floating-point latents (n, latent_dim) = {wanted}")
    remedy = "draw from torch.Generator().manual_seed(seed), which nothing else shares"
    if not torch.equal(state, torch.get_rng_state()):
        torch.set_rng_state(state)
        fail("sample() changes torch's global random state", remedy)
    if not torch.equal(latents, generator.sample(5, seed=SEED)):
        fail("the same seed gives other latents the second time", remedy)
    if torch.equal(latents, generator.sample(5, seed=SEED + 1)) or apart(latents[0], latents[1]) == 0:
        fail("another seed, or another row, gives the same latents", remedy)
    return f"(n, {generator.latent_dim}), RMS {float(latents.square().mean().sqrt()):.3g}"


def prefix(s: GeneratorSubject) -> str:
    """The first m of n samples are the m that a smaller call gives."""
    few, many = s.generator.sample(3, seed=SEED), s.generator.sample(9, seed=SEED)
    remedy = "draw row after row, as torch.randn(n, d, generator=g) does, and map them row by row"
    return same(few, many[:3], "the first 3 of 9 samples and 3 samples differ", remedy, 0.0)


def image(s: GeneratorSubject) -> str:
    """Images are (batch, 3, height, width) in the declared resolution, of one latent as of several."""
    for latents in (s.inputs, s.inputs[:1]):
        with torch.no_grad():
            images: Any = s.generator(latents.clone())
        wanted = (len(latents), 3, *s.generator.resolution)
        if not isinstance(images, Tensor) or not images.is_floating_point() or tuple(images.shape) != wanted:
            fail(f"{len(latents)} latents give {what(images)}", f"return floating-point RGB images {wanted}")
    height, width = s.generator.resolution
    return f"{width} x {height} pixels from {s.generator.latent_dim} coordinates, space {s.generator.space}"


def typical(s: GeneratorSubject) -> str:
    """Images lie nominally in [0, 1]: not in [-1, 1], not in bytes."""
    low, high = (float(torch.quantile(s.reference.flatten().float()[:1_000_000], q)) for q in (0.01, 0.99))
    if low < TYPICAL[0] or high > TYPICAL[1]:
        fail(
            f"98 of 100 pixels lie between {low:.3g} and {high:.3g}",
            "map the network's own range to [0, 1]: (x + 1) / 2 where it ends in tanh, x / 255 where it makes bytes",
        )
    if high - low < 1e-3:
        fail(f"all pixels lie between {low:.3g} and {high:.3g}", "images are empty: look at one")
    return f"98 of 100 pixels between {low:.3g} and {high:.3g}"


def clip(s: GeneratorSubject) -> str:
    """Images are not clipped: pixels do not pile up at 0 and 1, not even far from typical latents."""
    with torch.no_grad():
        drawn = (s.generator(factor * s.inputs) for factor in (1.0, 4.0))
        worst = max(float(((images == 0) | (images == 1)).float().mean()) for images in drawn)
    if worst > PILED:
        fail(
            f"{100 * worst:.1f} % of the pixels stand exactly at 0 or 1, and {100 * PILED:g} % is allowed",
            "leave out clamp: beyond it there is no gradient; eigenwalk clips when it shows an image",
        )
    return f"{100 * worst:.2g} % of the pixels stand exactly at 0 or 1, {100 * PILED:g} % allowed"


def spaces(s: GeneratorSubject) -> str:
    """Every declared space opens, with latents of its own that give images."""
    if len(s.offers) != 1 or s.rebuilt is None:
        raise Inapplicable("no spec declares its spaces")
    declared, told = s.offers[0].spec.spaces, []
    names = [option.name for option in s.offers[0].spec.options]
    if len(declared) > 1 and "space" not in names:
        fail(f"spaces {', '.join(declared)} are declared, and no option 'space'", "declare Option('space', choices=…)")
    for space in declared:
        generator = s.rebuilt(space=space) if "space" in names else s.generator
        if not isinstance(generator, Generator) or generator.space != space:
            fail(f"asked for {space!r}, it opens {getattr(generator, 'space', None)!r}", "set `space` on the generator")
        latents = generator.sample(2, SEED)
        with torch.no_grad():
            images = generator(latents)
        if tuple(latents.shape) != (2, generator.latent_dim) or tuple(images.shape) != (2, 3, *generator.resolution):
            said = f"in space {space} 2 latents are {tuple(latents.shape)}, their images {tuple(images.shape)}"
            fail(said, "let latent_dim and sample() belong to the space")
        told.append(f"{space} ({generator.latent_dim})")
    return ", ".join(told)


def latents(n: int, generator: Generator) -> Tensor:
    """Return `n` latents to check a generator at: its own samples, float32."""
    drawn = generator.sample(n, seed=SEED)
    return drawn.float() if isinstance(drawn, Tensor) else normal(torch.empty(n, generator.latent_dim))
