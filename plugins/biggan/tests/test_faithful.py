"""Our networks, from files in both formats' layouts, compared with the formats' own code."""

from __future__ import annotations

import biggan_files
import numpy as np
import pytest
import torch

from eigenwalk.checkpoint import Checkpoint
from eigenwalk_biggan.generator import biggan
from eigenwalk_biggan.recognise import recognise

LARGEST = 2e-5
"""Difference from the other code, of images in [-1, 1]: both sum in float32, in other orders."""
WORDS = {
    "biggan": "BigGAN of BigGAN-PyTorch",
    "deep": "BigGAN-deep of BigGAN-PyTorch",
    "hf": "BigGAN-deep of pytorch-pretrained-biggan",
}


@pytest.mark.parametrize("name", biggan_files.names())
def test_images_are_those_of_the_formats_own_code(name, file) -> None:
    found = recognise(Checkpoint(file(name)))
    assert found is not None
    assert found.words == WORDS[name.partition("-")[0]]
    theirs, layout = biggan_files.reference(name)
    every = layout["stride"]

    @torch.no_grad()
    def images(latents: torch.Tensor) -> np.ndarray:
        return (generator(latents)[..., ::every, ::every].numpy()[0] - 0.5) * 2

    for row, label in enumerate(layout["labels"]):
        generator = biggan(file(name), label=str(label), **layout["options"])
        z = biggan_files.filled("z", (2, generator.latent_dim))[row : row + 1]
        assert theirs[row].std() > 0.1
        assert np.abs(images(z) - theirs[row]).max() < LARGEST
    generator = biggan(file(name), label=layout["labels"][1], space="both", **layout["options"])
    latents = generator.sample(1, 0)
    z_dim = generator.network.sizes.z_dim
    latents[:, :z_dim] = biggan_files.filled("z", (2, z_dim))[1:]
    # A class's embedding comes back from its coordinates with the rounding of float32.
    assert np.abs(images(latents) - theirs[1]).max() < 1e-4
