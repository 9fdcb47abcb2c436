"""What timm does to an image before a network sees it, as a differentiable map."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from eigenwalk.errors import InputError, OptionError
from eigenwalk.feature import promote_half
from eigenwalk.shapes import Images
from eigenwalk_attributes.resample import KERNELS, longer, windowed

LARGEST = 4096
"""Pixels of a side that a network sees."""


@dataclass(frozen=True)
class Preprocessing:
    """Resizing, cropping and normalising, as a network of timm declares them in its data configuration.

    Attributes:
        input_size: ``(3, height, width)`` of what the network sees.
        interpolation: bilinear, bicubic or lanczos, antialiased.
        crop_pct: the share of the resized image's side that is kept.
        crop_mode: ``center`` resizes the shorter side, ``squash`` each side on its own, ``border`` the longer one and
            fills the rest with the mean.
        mean, std: of each channel, of images in [0, 1].
    """

    input_size: tuple[int, int, int]
    interpolation: str
    crop_pct: float
    crop_mode: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        channels, *sides = self.input_size
        if channels != 3 or len(sides) != 2 or not all(1 <= side <= LARGEST for side in sides):
            raise OptionError(
                f"input_size must be (3, height, width), at most {LARGEST} pixels a side, got {self.input_size}: an "
                "image has the three channels RGB, and a network of another number of channels cannot see it"
            )
        if self.interpolation not in KERNELS:
            raise OptionError(f"interpolation must be one of {', '.join(KERNELS)}, got {self.interpolation!r}")
        if self.crop_mode not in ("center", "squash", "border"):
            raise OptionError(f"crop_mode must be center, squash or border, got {self.crop_mode!r}")
        if not 0 < self.crop_pct <= 1:
            raise OptionError(f"crop_pct must be above 0 and at most 1, got {self.crop_pct}")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            raise OptionError(f"mean and std must be three numbers each, std positive, got {self.mean} and {self.std}")

    @classmethod
    def of(cls, model: nn.Module, entries: Mapping[str, Any]) -> Preprocessing:
        """What `model` declares, overridden by `entries`.

        Raises:
            OptionError: an entry is unknown or wrong.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := [name for name in entries if name not in known]:
            raise OptionError(f"preprocessing has no entry {unknown[0]!r}: it takes {', '.join(known)}")
        config = {**resolve_model_data_config(model), **entries}
        try:
            return cls(
                input_size=tuple(int(side) for side in config["input_size"]),  # type: ignore[arg-type]
                interpolation=str(config["interpolation"]),
                crop_pct=float(config["crop_pct"]),
                crop_mode=str(config["crop_mode"]),
                mean=tuple(float(one) for one in config["mean"]),  # type: ignore[arg-type]
                std=tuple(float(one) for one in config["std"]),  # type: ignore[arg-type]
            )
        except (TypeError, ValueError) as error:
            raise OptionError(f"preprocessing is not as timm has it ({error}): {dict(entries)}") from error

    def entries(self) -> dict[str, Any]:
        """All entries, as `of` takes them, for a file."""
        return dataclasses.asdict(self)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image after resizing, before the crop."""
        _, tall, wide = self.input_size
        tall, wide = math.floor(tall / self.crop_pct), math.floor(wide / self.crop_pct)
        if self.crop_mode == "squash":
            return tall, wide
        if self.crop_mode == "center" and tall == wide:
            if height <= width:
                return tall, longer(height, width, tall)
            return longer(width, height, wide), wide
        either = max if self.crop_mode == "border" else min
        ratio = either(height / tall, width / wide)
        return round(height / ratio), round(width / ratio)

    def __call__(self, images: Images) -> Tensor:
        """What the network sees, ``(batch, 3, *input_size[1:])``, of images ``(batch, 3, height, width)``.

        Nothing is clipped or rounded: a bicubic kernel overshoots at edges, where timm's transform, on bytes, clips.

        Raises:
            InputError: the images are not RGB.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(
                f"images must be (batch, 3, height, width), RGB, got {tuple(images.shape)}: repeat a grey channel "
                "three times, and leave an alpha channel out"
            )
        exact = promote_half(images)
        mean, std = (torch.tensor(one, dtype=exact.dtype, device=exact.device) for one in (self.mean, self.std))
        rows, columns = (one.to(exact) for one in self.matrices(*images.shape[-2:]))
        # Normalised first: rows sum to 1, and zeros beyond the image then stand for the mean.
        return (rows @ ((exact - mean[:, None, None]) / std[:, None, None]) @ columns.T).to(images.dtype)

    def matrices(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """The matrices ``(input height, height)`` and ``(input width, width)`` that resize and crop, float64."""
        tall, wide = self.resized(height, width)
        return (
            _windowed(height, tall, self.input_size[1], self.interpolation),
            _windowed(width, wide, self.input_size[2], self.interpolation),
        )


@lru_cache(maxsize=64)
def _windowed(pixels: int, size: int, window: int, interpolation: str) -> Tensor:
    with torch.inference_mode(False):  # kept, and later differentiated through
        return windowed(pixels, size, window, interpolation)
