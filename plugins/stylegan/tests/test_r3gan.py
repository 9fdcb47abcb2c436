"""R3GAN: our network compared with its public code, its pickles, and other files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import r3gan_files
import torch

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk_stylegan.formats.r3gan import r3gan
from eigenwalk_stylegan.generator import stylegan
from eigenwalk_stylegan.plugin import eigenwalk_generators, eigenwalk_open

LARGEST = 1e-5
"""Difference from the other code as a share of the images' largest number: both sum in float32, in other orders."""


@pytest.mark.parametrize("name", r3gan_files.names())
def test_images_equal_those_of_r3gans_own_code(name, tmp_path) -> None:
    theirs, _ = r3gan_files.reference(name)
    path = r3gan_files.write(name, tmp_path)
    generator = r3gan(path, label=1 if "labels" in name else None)
    with torch.no_grad():
        images = (generator(r3gan_files.filled("z", (2, generator.latent_dim))).numpy() - 0.5) * 2
    assert images.shape == theirs.shape
    assert theirs.std() > 0.1
    assert np.abs(images - theirs).max() < LARGEST * np.abs(theirs).max()


def test_a_path_is_a_generator_and_so_is_the_name(tmp_path) -> None:
    path = r3gan_files.write("r3gan-16", tmp_path)
    spec = eigenwalk_open(path, Checkpoint(path))
    assert spec is not None
    assert (spec.name, spec.summary) == ("r3gan", "R3GAN pickle of PyTorch")
    by_name = next(one for one in eigenwalk_generators() if one.name == "r3gan")
    alone, named = spec.factory()(path=path), by_name.factory()(path=str(path))
    assert torch.equal(alone(alone.sample(2, 0)), named(named.sample(2, 0)))
    assert repr(alone) == "<R3GAN, 16 x 16 pixels, space z of 8 coordinates>"
    assert not any(parameter.requires_grad for parameter in alone.network.parameters())
    assert alone(alone.sample(1, 0).double()).dtype == torch.float64


def test_writing_a_pickle_leaves_torch_unchanged(tmp_path) -> None:
    before = torch.nn.Linear, set(sys.modules)
    r3gan_files.write("r3gan-16", tmp_path)
    assert torch.nn.modules.linear.Linear is before[0]
    assert not [name for name in set(sys.modules) - before[1] if name.startswith(("R3GAN", "training"))]
    torch.save(torch.nn.Linear(2, 2), tmp_path / "linear.pt")


def test_wrong_options_of_r3gan_raise(tmp_path) -> None:
    plain, labels = (r3gan_files.write(name, tmp_path) for name in ("r3gan-16", "r3gan-16-labels"))
    with pytest.raises(OptionError, match="has no classes, got 0"):
        r3gan(plain, label=0)
    for label in (None, 3):
        with pytest.raises(OptionError, match=f"from 0 to 2, got {label}"):
            r3gan(labels, label=label)
    with pytest.raises(FileError, match=r"is an R3GAN, which has no styles: open it by its path alone, or as r3gan\("):
        stylegan(plain)
    with pytest.raises(FileError, match="there is no file"):
        r3gan(tmp_path / "none.pkl")
    plain.write_bytes(b"\x80\x04]\x94.")
    with pytest.raises(FileError, match="is no R3GAN, but a pickle that holds a list"):
        r3gan(plain)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"Model__AggregationLayer__Layer__weight": torch.ones(1, 8, 1, 1)}, "three channels are expected"),
        ({"Model__AggregationLayer__Layer__weight": torch.full((3, 8, 1, 1), torch.nan)}, "NaN or infinity in rgb"),
        ({"Model__MainLayers__0__Layers__0__Basis": None}, "is no R3GAN, but a pickle with G_ema"),
        ({"Model__MainLayers__1__Layers__1__NonLinearity1__Bias": torch.ones(7)}, "stages.1.0.before"),
        ({"Model__MainLayers__1__Layers__0__Resampler__Kernel": torch.ones(4, 4).triu()}, "not the same in all"),
    ],
)
def test_a_damaged_network_is_refused(others, says, tmp_path) -> None:
    path = r3gan_files.write("r3gan-16", tmp_path, **others)
    with pytest.raises(FileError, match=says):
        r3gan(path)


def test_class_names_do_not_matter_and_truncated_pickles_are_refused(tmp_path) -> None:
    path = r3gan_files.write("r3gan-16", tmp_path)
    whole = path.read_bytes()
    images = r3gan(path)(torch.ones(1, 8))
    path.write_bytes(whole.replace(b"UpsampleLayer", b"UnheardOfClas"))
    assert "R3GAN.Networks.UnheardOfClas" in Checkpoint(path).foreign
    assert torch.equal(r3gan(path)(torch.ones(1, 8)), images)  # a class is a name, which nothing calls
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="was not opened and nothing of it was run"):
        r3gan(path)
