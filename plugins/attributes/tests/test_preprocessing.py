"""Preprocessing is timm's own, up to the bytes that timm rounds to, and is differentiable."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from eigenwalk.errors import InputError, OptionError
from eigenwalk_attributes.preprocessing import Preprocessing
from eigenwalk_attributes.resample import matrix

from .cases import network, picture, tensor

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def preprocessing(**entries) -> Preprocessing:
    told = {"input_size": (3, 24, 24), "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center", **IMAGENET}
    return Preprocessing(**{**told, **entries})


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("pixels", "size"), [(64, 224), (64, 63), (100, 31), (7, 7), (5, 1)])
def test_the_matrix_equals_torchs_antialiased_interpolation(interpolation, pixels, size):
    images = torch.rand(2, 3, pixels, pixels + 3, dtype=torch.float64)
    rows, columns = matrix(pixels, size, interpolation), matrix(pixels + 3, size + 1, interpolation)
    theirs = F.interpolate(images, (size, size + 1), mode=interpolation, antialias=True, align_corners=False)
    torch.testing.assert_close(rows @ images @ columns.T, theirs, rtol=0, atol=1e-12)


def test_lanczos_equals_pillows():
    from PIL import Image

    grey = picture(60, 60).convert("F")
    theirs = torch.from_numpy(np.array(grey.resize((23, 23), Image.Resampling.LANCZOS)))
    plane = torch.from_numpy(np.array(grey))
    rows = matrix(60, 23, "lanczos").float()
    torch.testing.assert_close(rows @ plane @ rows.T, theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(64, 64), (50, 81), (131, 40)])
@pytest.mark.parametrize("input_size", [(3, 48, 48), (3, 40, 56)])
def test_preprocessing_equals_timms_transform(crop_mode, size, input_size):
    ours = preprocessing(input_size=input_size, interpolation="bilinear", crop_mode=crop_mode, crop_pct=0.9)
    entries = {key: value for key, value in ours.entries().items() if key != "input_size"}
    theirs = create_transform(input_size, **entries)
    image = picture(*size)
    expected = theirs(image)[None]  # type: ignore[operator]
    assert ours(tensor(image)).shape == expected.shape
    # timm resamples bytes: each of its two passes is rounded by half a level at most, as is the colour of the border.
    torch.testing.assert_close(ours(tensor(image)), expected, rtol=0, atol=1.01 / 255 / min(IMAGENET["std"]))


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "vit_small_patch14_dinov2.lvd142m"])
def test_preprocessing_is_what_the_network_declares(architecture):
    model = timm.create_model(architecture, num_classes=0)
    ours, theirs = Preprocessing.of(model, {}).entries(), resolve_model_data_config(model)
    assert {key: theirs[key] for key in ours} == ours


def test_entries_of_a_labels_file_replace_the_networks():
    model = network("test_resnet", 0)
    assert Preprocessing.of(model, {"input_size": [3, 32, 40]}).input_size == (3, 32, 40)
    with pytest.raises(OptionError, match="no entry 'crop'"):
        Preprocessing.of(model, {"crop": 1})
    with pytest.raises(OptionError, match="not as timm has it"):
        Preprocessing.of(model, {"mean": 0.5})


def test_an_image_of_the_networks_size_is_only_normalised():
    images = torch.rand(2, 3, 24, 24)
    mean, std = (torch.tensor(one)[:, None, None] for one in IMAGENET.values())
    torch.testing.assert_close(preprocessing(crop_pct=1.0)(images), (images - mean) / std)


@pytest.mark.parametrize("channels", [1, 4])
def test_images_that_are_not_rgb_are_refused(channels):
    with pytest.raises(InputError, match="RGB"):
        preprocessing()(torch.rand(2, channels, 8, 8))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"input_size": (1, 24, 24)}, "three channels RGB"),
        ({"interpolation": "nearest"}, "bilinear, bicubic, lanczos"),
        ({"crop_mode": "middle"}, "center, squash or border"),
        ({"crop_pct": 1.5}, "at most 1"),
        ({"std": (0.2, 0.2, 0.0)}, "std positive"),
    ],
)
def test_unsupported_preprocessing_is_refused(entries, message):
    with pytest.raises(OptionError, match=message):
        preprocessing(**entries)
