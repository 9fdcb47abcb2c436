"""Our networks, from files in both formats' layouts, against what the formats' own code computed."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch

from eigenwalk_biggan.generator import biggan
from eigenwalk_biggan.heads import recognised

LARGEST = 2e-5
"""Difference from the other code, of images in [-1, 1]: both sum in float32, in other orders."""


def test_images_are_those_of_the_formats_own_code(configuration, file, layouts: ModuleType) -> None:
    theirs, layout = layouts.reference(configuration)
    every = layout["stride"]
    for row, label in enumerate(layout["labels"]):
        generator = biggan(file(configuration), label=str(label), **layout["options"])
        z = layouts.filled("z", (2, generator.latent_dim))[row : row + 1]
        with torch.no_grad():
            images = (generator(z)[..., ::every, ::every].numpy() - 0.5) * 2
        assert theirs[row].std() > 0.1
        assert np.abs(images[0] - theirs[row]).max() < LARGEST


def test_both_is_z_and_the_class(configuration, file, layouts: ModuleType) -> None:
    theirs, layout = layouts.reference(configuration)
    every, count = layout["stride"], layout["labels"][1]
    generator = biggan(file(configuration), label=count, space="both", **layout["options"])
    latents = generator.sample(1, 0)
    z_dim = generator.network.sizes.z_dim
    latents[:, :z_dim] = layouts.filled("z", (2, z_dim))[1:]
    with torch.no_grad():
        images = (generator(latents)[..., ::every, ::every].numpy() - 0.5) * 2
    # A class's embedding comes back from its coordinates with the rounding of float32.
    assert np.abs(images[0] - theirs[1]).max() < 1e-4


def test_it_says_what_a_file_is(configuration, file) -> None:
    found = recognised(file(configuration))
    assert found is not None
    words = {
        "biggan": "BigGAN of BigGAN-PyTorch",
        "deep": "BigGAN-deep of BigGAN-PyTorch",
        "hf": "BigGAN-deep of pytorch-pretrained-biggan",
    }
    assert found.words == words[configuration.partition("-")[0]]
