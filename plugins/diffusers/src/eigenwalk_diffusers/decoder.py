"""Both halves of an autoencoder: from scaled latents, as diffusion models use them, to images and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.errors import OptionError
from eigenwalk.shapes import Images
from eigenwalk_diffusers.load import network

SUPPORTED = ("AutoencoderKL", "AutoencoderTiny", "VQModel")
"""The autoencoders whose decoder gives one image of one latent: no noise of its own, no video."""


class Scale(nn.Module):
    """The affine map between an autoencoder's own latents and scaled ones, of about unit variance.

    own = scaled · std / scaling_factor + mean + shift_factor, with what the configuration declares.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__()
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        both = mean is not None and std is not None
        factor = torch.tensor(std if both else [1.0]) / config.scaling_factor
        shift = torch.tensor(mean if both else [0.0]) + (getattr(config, "shift_factor", None) or 0.0)
        self.register_buffer("factor", factor.float().view(-1, 1, 1))
        self.register_buffer("shift", shift.float().view(-1, 1, 1))

    def own(self, scaled: Tensor) -> Tensor:
        """Return the autoencoder's own latents."""
        return scaled * self.factor + self.shift

    def scaled(self, own: Tensor) -> Tensor:
        """Return latents of about unit variance."""
        return (own - self.shift) / self.factor


class Decoder(nn.Module):
    """Scaled latents ``(batch, channels, h, w)`` to images ``(batch, 3, height, width)`` nominally in [0, 1].

    Attributes:
        channels: of the latents.
        factor: pixels of an image's side for each of the latent's.
        declared: pixels of the sides of the images that it was trained on; None where its configuration does not say.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.scale = model, Scale(model.config)
        self.channels = int(getattr(model.config, "vq_embed_dim", None) or model.config.latent_channels)
        self.factor = 2 ** (len(model.config.block_out_channels) - 1)
        side = getattr(model.config, "sample_size", None)
        self.declared = (side, side) if isinstance(side, int) else tuple(side) if side else None
        # Codes are not rounded to the codebook: rounding has no slope.
        self.given = {"force_not_quantize": True} if type(model).__name__ == "VQModel" else {}
        self.wide = bool(getattr(model.config, "force_upcast", False))

    def forward(self, scaled: Tensor) -> Images:
        """Return the images of latents `scaled`, in their dtype."""
        own = self.scale.own(scaled.to(self.scale.factor.dtype))
        return (self.model.decode(own, return_dict=False, **self.given)[0] * 0.5 + 0.5).to(scaled.dtype)

    def settle(self, device: torch.device | str, dtype: torch.dtype | None) -> Decoder:
        """Move this decoder to `device` and `dtype`; with force_upcast, float32 replaces float16."""
        return self.to(device, torch.float32 if self.wide and dtype == torch.float16 else dtype)

    def latent_shape(self, resolution: tuple[int, int]) -> tuple[int, int, int]:
        """Return (channels, h, w) of the latents for images of `resolution`.

        Raises:
            OptionError: its sides are not multiples of `factor`.
        """
        height, width = resolution
        if height % self.factor or width % self.factor:
            raise OptionError(f"resolution must be multiples of {self.factor} pixels, got {height} x {width}")
        return self.channels, height // self.factor, width // self.factor


class Encoder(nn.Module):
    """Images ``(batch, 3, height, width)`` in [0, 1] to their likeliest scaled latents ``(batch, channels, h, w)``."""

    def __init__(self, model: Any, channels: int) -> None:
        super().__init__()
        convolution = getattr(model, "quant_conv", None)
        self.network = nn.Sequential(model.encoder, *([] if convolution is None else [convolution]))
        self.scale, self.channels = Scale(model.config), channels

    def forward(self, images: Images) -> Tensor:
        """Return the mean of the latents' distribution; for AutoencoderKL, the first half of the encoder's output."""
        return self.scale.scaled(self.network(images * 2 - 1)[:, : self.channels])


def halves(folder: Path, remedy: str = "") -> tuple[Decoder, Encoder]:
    """Return the decoder and the encoder of the autoencoder in `folder`; they share nothing.

    Raises:
        FileError: as `load.network` does.
    """
    model = network(folder, SUPPORTED, remedy)
    decoder = Decoder(model)
    encoder = Encoder(model, decoder.channels)
    model.encoder, model.quant_conv = None, None
    return decoder.eval(), encoder.eval()


def sides(resolution: tuple[float, ...] | int | None, default: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) from the option `resolution`, or `default` if it is not given.

    Raises:
        OptionError: it is not one or two positive whole numbers.

    >>> sides((512,), (64, 64)), sides(None, (64, 64))
    ((512, 512), (64, 64))
    """
    if resolution is None:
        return default
    told = (resolution,) if isinstance(resolution, (int, float)) else tuple(resolution)
    told = told * 2 if len(told) == 1 else told
    if len(told) != 2 or not all(side > 0 and side == int(side) for side in told):
        raise OptionError(f"resolution must be pixels, 512 or (height, width), got {resolution}")
    return int(told[0]), int(told[1])
