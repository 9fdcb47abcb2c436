"""The generator's derivatives in half precision; latents, images, values and the eigenproblem keep float32.

Under autocast, which rounds what enters a convolution or a matrix product and leaves weights as they are. Latents
themselves must stay as they are: in bfloat16 a step that changes no coordinate by more than half a per cent is no step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eigenwalk.errors import InputError
from eigenwalk.generator import Generator

DTYPES = {"full": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def half_dtype(word: str, device: torch.device, dtype: torch.dtype) -> torch.dtype | None:
    """Return the dtype that `word` names; None for ``full``.

    Raises:
        InputError: it gains nothing on `device`, or with latents of `dtype`.
    """
    precision = DTYPES[word]
    if precision is torch.float16 and device.type == "cpu":
        raise InputError("precision fp16 is hundreds of times slower than float32 on a CPU: take bf16")
    if precision is not None and dtype != torch.float32:
        raise InputError(f"precision {word} goes with dtype float32: leave one of the two out")
    return precision


def in_precision(generator: Generator, precision: torch.dtype | None) -> Callable[[Tensor], Tensor]:
    """Return the generator with its convolutions and matrix products in `precision`, from and to the latents' dtype."""
    if precision is None:
        return generator

    def lower(latents: Tensor) -> Tensor:
        with torch.autocast(latents.device.type, precision, cache_enabled=False):
            return generator(latents).to(latents.dtype)

    return lower


def scale_rows(u: Tensor, precision: torch.dtype | None) -> tuple[Tensor, Tensor | float]:
    """Return `u` ``(batch, ...)`` and factors; for float16, rows are scaled to a largest entry of 1."""
    if precision is not torch.float16:
        return u, 1.0
    factors = u.flatten(1).abs().amax(1).clamp_min(torch.finfo(u.dtype).tiny)
    return u / factors.reshape(-1, *[1] * (u.ndim - 1)), factors[:, None]
