"""Whether a feature has a derivative where a walk begins: without one it would seem to hold whatever happened."""

from __future__ import annotations

from typing import Literal

import torch

from eigenwalk.feature import Feature
from eigenwalk.maths.linearise.calls import freeze_near, images_of
from eigenwalk.maths.linearise.point import Linearisation
from eigenwalk.shapes import Images

Slope = Literal["some", "zero", "none"]
"""``none``: values carry no gradient; ``zero``: they do, and it is zero."""


def slopes(look: Linearisation, latents: torch.Tensor) -> tuple[Slope, ...]:
    """Return each feature's slope at the images of `latents` ``(batch, latent)``; ``some`` if differences are taken.

    Raises:
        WalkError: as `Linearisation.at`.
    """
    if look.differences is not None:
        return ("some",) * len(look.features)
    with torch.no_grad():
        images = images_of(look.generator, latents)
    return tuple(_slope(look, name, feature, images) for name, feature in look.features)


def _slope(look: Linearisation, name: str, feature: Feature, images: Images) -> Slope:
    if not feature.differentiable:
        return "some"
    pixels, (values,) = look.recorded_features(((name, freeze_near(name, feature, images, ())),), images)
    if not values.requires_grad:
        return "none"
    random = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    (gradient,) = torch.autograd.grad(values, pixels, random, allow_unused=True)
    return "some" if gradient is not None and bool(gradient.any()) else "zero"
