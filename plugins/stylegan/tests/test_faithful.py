"""Our networks, from files in every format's layout, against what the formats' own code computed."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch

from eigenwalk.checkpoint import Checkpoint
from eigenwalk_stylegan.generator import StyleGAN
from eigenwalk_stylegan.recognise import load, recognise

LARGEST = 3e-6
"""Difference from the other code as a share of the images' largest number: both sum in float32, in other orders."""


def test_images_are_those_of_the_formats_own_code(configuration, kind, file, layouts: ModuleType) -> None:
    expected, _ = layouts.reference(configuration)
    path = file(configuration)
    assert recognise(Checkpoint.of(path)) is not None
    network, _ = load(path)
    label = 1 if network.sizes.mapping.labels else None
    wide = network.sizes.mapping
    if kind == "wplus":
        generator = StyleGAN(network, space="w+", label=label)
        latents = layouts.filled("w+", (2, network.sizes.layers, wide.w_dim)).flatten(1)
    else:
        drawn = {"truncation": 0.7, "cutoff": 3} if kind == "truncated" else {}
        generator = StyleGAN(network, label=label, noise="none" if kind == "quiet" else "const", **drawn)
        latents = layouts.filled("z", (2, wide.z_dim))
    with torch.no_grad():
        images = (generator(latents).numpy() - 0.5) * 2
    theirs = expected[kind]
    assert images[: len(theirs)].shape == theirs.shape
    assert np.abs(images[: len(theirs)] - theirs).max() < LARGEST * np.abs(theirs).max()
    assert not (path.parent / "run").exists()


def test_it_says_what_a_file_is(configuration, file) -> None:
    found = recognise(Checkpoint.of(file(configuration)))
    assert found is not None
    words = {
        "ada": "StyleGAN2-ADA pickle of PyTorch",
        "sg3": "StyleGAN3 pickle of PyTorch",
        "tf": "pickle of TensorFlow",
        "ros": "rosinality",
        "genforce": "genforce",
        "hammer": "Hammer",
        "hammer3": "StyleGAN3 checkpoint of Hammer",
    }
    expected = "StyleGAN2" if configuration == "sg3-sg2-16" else words[configuration.partition("-")[0]]
    assert expected in found.words
    source = load(file(configuration))[1].source
    assert source.startswith("StyleGAN3" if "StyleGAN3" in found.words else "StyleGAN2")
