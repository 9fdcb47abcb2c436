"""Whether generator and features keep those parts of the contract that a walk would otherwise break on in silence."""

from __future__ import annotations

from collections.abc import Callable

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
def check_contract(look: Linearisation, latents: Tensor) -> None:
    """Check generator and features at `latents` ``(1, latent)``, by itself and beside another sample.

    Raises:
        ContractError: values have a wider dtype than images, or what is given differs from call to call, or with the
            batch; it names which.
        PluginError, OutOfMemory: as `Linearisation.at`.
    """
    generator = look.generator
    other = generator.sample(1, SEED).to(latents)
    alone = images_of(generator, latents)
    try:
        pair = images_of(generator, torch.cat([latents, other]))
    except OutOfMemory:  # one path at a time is walked then
        return
    what = f"the generator {type(generator).__name__}"
    _check_row(what, "images", pair, alone, lambda: images_of(generator, latents))
    for name, feature in look.features:
        _check_feature(name, feature, alone, pair)


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
    except Undefined:  # where a path begins, or ends, it is told
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
