"""Whether generator and features keep those parts of the contract that a walk would otherwise break on in silence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from eigenwalk.errors import ContractError, OutOfMemory, Undefined
from eigenwalk.feature import Feature
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.linearise.calls import freeze_near, images_of, values_of
from eigenwalk.maths.typical import SEED
from eigenwalk.shapes import Images

ALLOWED = 0.01
"""Largest difference of a row from itself, as a share of its difference from another row: rounding is far less."""
ROUNDING = 1e-3
"""What a row may differ from itself by anyhow, as a share of its own RMS."""


@torch.no_grad()
def check_contract(look: Linearisation, latents: Tensor) -> list[str]:
    """Check generator and features at `latents` ``(1, latent)``, alone and beside another sample; return notes.

    Raises:
        ContractError: values have a wider dtype than images, carry no gradient, or differ from call to call or with
            the rest of the batch; it names the feature, or the generator.
        WalkError, PluginError, OutOfMemory: as `Linearisation.at`.
    """
    generator, notes = look.generator, []
    other = generator.sample(1, SEED).to(latents)
    alone = images_of(generator, latents)
    with suppress(OutOfMemory):  # two images do not fit: paths will be walked one at a time
        pair = images_of(generator, torch.cat([latents, other]))
        what = f"the generator {type(generator).__name__}"
        _check_row(what, "images", pair, alone, lambda: images_of(generator, latents))
        for name, feature in look.features:
            _check_feature(name, feature, alone, pair)
    for name, feature in look.features if look.differences is None else ():
        if feature.differentiable and not _has_slope(look, name, feature, alone):
            notes.append(f"the derivative of {name} at the start is zero: there it neither holds nor varies anything")
    return notes


def _has_slope(look: Linearisation, name: str, feature: Feature, images: Tensor) -> bool:
    """Whether values change with the image; a feature without a gradient would seem to hold whatever happened."""
    pixels, (values,) = look.recorded_features(((name, freeze_near(name, feature, images, ())),), images)
    if not values.requires_grad:
        raise ContractError(
            f"the values of {name} carry no gradient, so it can neither be held nor varied: leave out detach, "
            "no_grad and NumPy, or make it a Feature with differentiable = False, of which differences are taken"
        )
    random = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    (gradient,) = torch.autograd.grad(values, pixels, random, allow_unused=True)
    return gradient is not None and bool(gradient.any())


def _check_feature(name: str, feature: Feature, alone: Tensor, pair: Tensor) -> None:
    def measure(images: Images) -> Tensor:
        return values_of(name, freeze_near(name, feature, images, ()), images)

    try:
        values = measure(alone)
        if torch.promote_types(values.dtype, alone.dtype) != alone.dtype:
            raise ContractError(
                f"the values of {name} are {_word(values.dtype)} for images of {_word(alone.dtype)}: make constants "
                "with .to(images), and leave out NumPy"
            )
        try:
            together = measure(pair)
        except Undefined:  # at the other image, most likely; the mirror image of the first is more like it
            together = measure(torch.cat([alone, alone.flip(-1)]))
    except Undefined:  # a path that begins there ends, and says so
        return
    _check_row(name, "values", together, values, lambda: measure(alone))


def _check_row(name: str, what: str, together: Tensor, alone: Tensor, again: Callable[[], Tensor]) -> None:
    first, second = together.double().reshape(2, -1)
    alone = alone.double().flatten()
    allowed = ALLOWED * float((first - second).norm()) + ROUNDING * float(alone.norm())
    if float((first - alone).norm()) <= allowed:
        return
    if float((again().double().flatten() - alone).norm()) > allowed:
        raise ContractError(
            f"the {what} of {name} differ from call to call: draw from torch.Generator().manual_seed(…), and put "
            "networks into eval mode"
        )
    raise ContractError(
        f"the {what} of {name} depend on what else is in the batch: reduce over single rows, never over the batch "
        "(batch norm in eval mode, means over dimensions 1 and on)"
    )


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
