"""Names and options that this package offers to eigenwalk; no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import GeneratorSpec, Option
from eigenwalk_diffusers.folder import kind

if TYPE_CHECKING:
    from eigenwalk.checkpoint import Checkpoint

FOLDER = Option("path", "path", None, "the folder that save_pretrained wrote, on this machine", required=True)
RESOLUTION = Option("resolution", "numbers", None, "pixels: 512, or (height, width); by default the folder's own")
ONESTEP = (
    Option("prompt", "str", "", "the text that every image shows, of a model that takes one"),
    Option("negative", "str", None, "the text that guidance leads away from"),
    Option("guidance", "float", None, "scale of guidance; by default none, and 8.5 where the model takes it as input"),
    Option("label", "int", None, "class of a model with classes, from 0"),
    RESOLUTION,
    Option("timestep", "int", None, "the only timestep, by default the scheduler's own, such as 999"),
)
AUTOENCODER = (
    Option("images", "path", None, "a folder of pictures, whose encodings are the samples; else they are noise"),
    RESOLUTION,
)


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """Folders of diffusers: one-step pipelines (model_index.json), autoencoders (config.json)."""
    found = kind(checkpoint) if checkpoint.is_folder else None
    if found is None:
        return None
    return _onestep(ONESTEP) if found == "pipeline" else _autoencoder(AUTOENCODER)


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    return [_autoencoder((FOLDER, *AUTOENCODER)), _onestep((FOLDER, *ONESTEP))]


def _onestep(options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(
        name="onestep",
        load="eigenwalk_diffusers.onestep:onestep",
        summary="a one-step diffusion model from a local diffusers folder: consistency models, LCM, turbo",
        options=options,
        licence="the folder's own; see its model card",
        cites=(
            "Song, Dhariwal, Chen, Sutskever: Consistency models, ICML 2023, arXiv 2303.01469",
            "Luo, Tan, Huang, Li, Zhao: Latent consistency models, 2023, arXiv 2310.04378",
            "Sauer, Lorenz, Blattmann, Rombach: Adversarial diffusion distillation, ECCV 2024, arXiv 2311.17042",
        ),
        half=True,
        api=1,
    )


def _autoencoder(options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(
        name="autoencoder",
        load="eigenwalk_diffusers.autoencoder:autoencoder",
        summary="the decoder of an image autoencoder from a local diffusers folder, around pictures of yours",
        options=options,
        licence="the folder's own; see its model card",
        cites=(
            "Kingma, Welling: Auto-encoding variational Bayes, ICLR 2014, arXiv 1312.6114",
            "van den Oord, Vinyals, Kavukcuoglu: Neural discrete representation learning, 2017, arXiv 1711.00937",
            "Rombach, Blattmann, Lorenz, Esser, Ommer: Latent diffusion models, CVPR 2022, arXiv 2112.10752",
        ),
        half=True,
        api=1,
    )
