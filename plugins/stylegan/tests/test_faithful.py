"""Our networks, from files in every format's layout, compared with the formats' own code."""

from __future__ import annotations

import numpy as np
import pytest
import stylegan_files
import torch

from eigenwalk.checkpoint import Checkpoint
from eigenwalk_stylegan.generator import StyleGAN
from eigenwalk_stylegan.recognise import load, recognise

LARGEST = 3e-6
"""Difference from the other code as a share of the images' largest number: both sum in float32, in other orders."""
WORDS = {
    "ada": "StyleGAN2-ADA pickle of PyTorch",
    "sg3": "StyleGAN3 pickle of PyTorch",
    "tf": "pickle of TensorFlow",
    "ros": "rosinality",
    "genforce": "genforce",
    "hammer": "Hammer",
    "hammer3": "StyleGAN3 checkpoint of Hammer",
}


@pytest.mark.parametrize("name", stylegan_files.names())
def test_images_are_those_of_the_formats_own_code(name, file) -> None:
    path = file(name)
    found = recognise(Checkpoint(path))
    assert found is not None
    assert ("StyleGAN2" if name == "sg3-sg2-16" else WORDS[name.partition("-")[0]]) in found.words
    network, description = load(path)
    assert description.source.startswith("StyleGAN3" if "StyleGAN3" in found.words else "StyleGAN2")
    label = 1 if network.sizes.mapping.labels else None
    wide, expected = network.sizes.mapping, stylegan_files.reference(name)[0]
    for kind in stylegan_files.kinds(name):
        if kind == "wplus":
            generator = StyleGAN(network, space="w+", label=label)
            latents = stylegan_files.filled("w+", (2, network.sizes.layers, wide.w_dim)).flatten(1)
        else:
            drawn = {"truncation": 0.7, "cutoff": 3} if kind == "truncated" else {}
            generator = StyleGAN(network, label=label, noise="none" if kind == "quiet" else "const", **drawn)
            latents = stylegan_files.filled("z", (2, wide.z_dim))
        with torch.no_grad():
            images = (generator(latents).numpy() - 0.5) * 2
        theirs = expected[kind]
        assert images[: len(theirs)].shape == theirs.shape
        assert np.abs(images[: len(theirs)] - theirs).max() < LARGEST * np.abs(theirs).max(), kind
    assert not (path.parent / "run").exists()
