"""One-step diffusion models as generators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError, OptionError
from eigenwalk.generator import Generator
from eigenwalk.shapes import Images, Latents
from eigenwalk_diffusers.decoder import Decoder, halves, sides
from eigenwalk_diffusers.folder import INDEX, class_of, described, licence
from eigenwalk_diffusers.load import network, scheduler
from eigenwalk_diffusers.prompt import CLASSES, Prompt, encoded
from eigenwalk_diffusers.step import Step, only_step

UNCONDITIONAL = "ConsistencyModelPipeline"
SUPPORTED = (UNCONDITIONAL, *CLASSES)


class Denoiser(nn.Module):
    """Standard normal ``(batch, channels, h, w)`` to images: one run of a U-Net, one step, and the decoder, if any.

    Beside the latent the U-Net is given a prompt, or the class `label`, or neither.
    """

    label: Tensor | None

    def __init__(
        self, unet: Any, step: Step, decoder: Decoder | None, prompt: Prompt | None = None, label: int | None = None
    ) -> None:
        super().__init__()
        self.unet, self.step, self.decoder, self.prompt = unet, step, decoder, prompt
        self.register_buffer("label", None if label is None else torch.tensor([label]))

    def forward(self, z: Tensor) -> Images:
        """Return the images ``(batch, 3, height, width)``, nominally in [0, 1]."""
        x = self.step.of_latent * z + self.step.of_output * self.predicted(self.step.scale * z)
        return x * 0.5 + 0.5 if self.decoder is None else self.decoder(x)

    def predicted(self, noisy: Tensor) -> Tensor:
        """Return the U-Net's output of `noisy`, guided."""
        # A tensor, as a UNet2DModel cuts the fraction off a number; made here, as `to` would round a buffer to half.
        t = torch.tensor(self.step.timestep, dtype=torch.float32, device=noisy.device)
        if self.prompt is None:
            labels = None if self.label is None else self.label.expand(len(noisy))
            return self.unet(noisy, t, class_labels=labels, return_dict=False)[0]
        inputs = self.prompt.inputs(len(noisy))
        rows = torch.cat([noisy] * self.prompt.rows)
        return self.prompt.guided(self.unet(rows, t, **inputs, return_dict=False)[0])


class OneStep(Generator):
    """Standard normal latents ``(batch, channels h w)`` to images; see `Denoiser`.

    Attributes:
        facts: what it is, in words.
    """

    def __init__(self, denoiser: Denoiser, shape: tuple[int, int, int], resolution: tuple[int, int]) -> None:
        self.denoiser, self.shape, self.resolution = denoiser, shape, resolution
        self.latent_dim = shape[0] * shape[1] * shape[2]

    def __call__(self, latents: Latents) -> Images:
        """Return the images ``(batch, 3, height, width)``."""
        return self.denoiser(latents.unflatten(1, self.shape))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> OneStep:
        """Move this generator to `device` and `dtype`."""
        self.denoiser.to(device, dtype)
        if self.denoiser.decoder is not None:
            self.denoiser.decoder.settle(device, dtype)
        return self


def onestep(
    path: str | Path,
    prompt: str = "",
    negative: str | None = None,
    guidance: float | None = None,
    label: int | None = None,
    resolution: tuple[float, ...] | None = None,
    timestep: int | None = None,
) -> OneStep:
    """Return the generator of the one-step pipeline in the folder at `path`.

    Raises:
        FileError: no such folder, an unsupported pipeline, or a part of it that is missing or damaged.
        OptionError: an option that this pipeline does not have.
    """
    folder = Path(path).expanduser()
    name = class_of(folder, INDEX, SUPPORTED, ", and autoencoder(FOLDER) for a decoder alone")
    index = described(folder, INDEX)
    step = only_step(scheduler(folder / "scheduler"), timestep)
    if name == UNCONDITIONAL:
        _none_of(name, prompt=prompt or None, negative=negative, guidance=guidance)
        made = _unconditional(folder, step, label, resolution)
    else:
        _none_of(name, label=label)
        made = _with_prompt(folder, index, step, resolution, (prompt, negative, guidance))
    made.facts = _facts(folder, index, made.denoiser, prompt)
    return made


def _unconditional(folder: Path, step: Step, label: int | None, resolution: tuple[float, ...] | None) -> OneStep:
    """Return a consistency model in pixels."""
    unet = _square(network(folder / "unet", ("UNet2DModel",)), folder)
    classes = unet.config.num_class_embeds
    if classes is None and label is not None:
        raise OptionError(f"label must be left out: the model has no classes, got {label}")
    if classes is not None and (label is None or not 0 <= label < classes):
        raise OptionError(f"label must be a class of the model, from 0 to {classes - 1}, got {label}")
    side = unet.config.sample_size
    declared = (side, side) if isinstance(side, int) else tuple(side)
    pixels, least = sides(resolution, declared), 2 ** (len(unet.config.block_out_channels) - 1)
    if pixels[0] % least or pixels[1] % least:
        raise OptionError(f"resolution must be multiples of {least} pixels, got {pixels[0]} x {pixels[1]}")
    return OneStep(Denoiser(unet, step, None, label=label).eval(), (3, *pixels), pixels)


def _with_prompt(
    folder: Path,
    index: Mapping[str, Any],
    step: Step,
    resolution: tuple[float, ...] | None,
    words: tuple[str, str | None, float | None],
) -> OneStep:
    """Return a latent consistency model or a turbo one, for one prompt."""
    unet = _square(network(folder / "unet", ("UNet2DConditionModel",)), folder)
    wanted = "text_time" if index["_class_name"] == "StableDiffusionXLPipeline" else None
    others = {"addition_embed_type": wanted, "encoder_hid_dim_type": None, "class_embed_type": None}
    for key, expected in others.items():
        if unet.config[key] != expected:
            raise FileError(
                f"{folder / 'unet'} has {key} {unet.config[key]!r}, {expected!r} was expected of a "
                f"{index['_class_name']}: models with image prompts or other inputs are not supported"
            )
    decoder = halves(folder / "vae")[0]
    if decoder.channels != unet.config.in_channels:
        raise FileError(
            f"{folder}: the U-Net has {unet.config.in_channels} channels, the autoencoder {decoder.channels}"
        )
    side = unet.config.sample_size
    height, width = (side, side) if isinstance(side, int) else side
    pixels = sides(resolution, (height * decoder.factor, width * decoder.factor))
    shape = decoder.latent_shape(pixels)
    prompt = encoded(folder, index, unet, pixels, *words)
    return OneStep(Denoiser(unet, step, decoder, prompt).eval(), shape, pixels)


def _square(unet: Any, folder: Path) -> Any:
    """Return `unet` if it predicts as many channels as it is given."""
    if unet.config.in_channels != unet.config.out_channels:
        raise FileError(
            f"{folder / 'unet'} maps {unet.config.in_channels} channels to {unet.config.out_channels}: inpainting "
            "models and those that predict a variance are not supported"
        )
    return unet


def _none_of(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise OptionError(f"{option} must be left out: a {name} takes none, got {value!r}")


def _facts(folder: Path, index: Mapping[str, Any], made: Denoiser, prompt: str) -> dict[str, str]:
    kinds = {
        UNCONDITIONAL: "consistency model",
        "LatentConsistencyModelPipeline": "latent consistency model",
        "StableDiffusionPipeline": "one step of Stable Diffusion",
        "StableDiffusionXLPipeline": "one step of Stable Diffusion XL",
    }
    facts = {
        "architecture": kinds[index["_class_name"]],
        "licence": licence(folder) or "the folder does not say",
        "scheduler": f"{described(folder / 'scheduler', 'scheduler_config.json')['_class_name']}, "
        f"timestep {made.step.timestep:g}",
    }
    if made.prompt is not None:
        facts |= {"prompt": prompt or "(empty)", "guidance": f"{made.prompt.guidance:g}"}
    if made.label is not None:
        facts["label"] = str(int(made.label))
    return facts
