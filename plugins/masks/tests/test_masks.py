"""Masks: exact coverage, files as people make them, and distances of what lies inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from eigenwalk.errors import FileError, OptionError, Undefined
from eigenwalk_masks.fixed import BoxMask
from eigenwalk_masks.mask import mask


def weights(feature, height=8, width=8) -> torch.Tensor:
    """The mask at this size, float64."""
    return feature(torch.ones(1, 3, height, width, dtype=torch.float64))[0, 0]


@pytest.fixture
def saved(tmp_path):
    """Save an array as an image and give its path."""

    def save(array: np.ndarray, name: str = "mask.png") -> str:
        Image.fromarray(array).save(tmp_path / name)
        return str(tmp_path / name)

    return save


def test_a_box_covers_its_exact_area():
    m = weights(mask(box=(0.1, 0.25, 0.55, 0.9)), 10, 7)
    assert float(m.sum()) == pytest.approx(0.45 * 7 * 0.65 * 10)
    assert m[0].abs().max() == 0
    assert m[2, 1] == pytest.approx(0.5)  # y from 2.5, x from 0.7
    assert m[5, 0] == pytest.approx(0.3)


def test_inside_and_outside_add_up_to_the_image():
    images = torch.rand(2, 3, 9, 11, dtype=torch.float64)
    for feature in (mask(box=(0.2, 0.1, 0.7, 0.8)), mask(box=(0.2, 0.1, 0.7, 0.8), feather=3)):
        torch.testing.assert_close(feature(images) + feature.complement()(images), images)
        torch.testing.assert_close(feature.complement().complement()(images), feature(images))


def test_a_feathered_edge_fades_and_borders_stay():
    m = weights(mask(box=(0, 0, 0.5, 1), feather=4), 32, 32)
    assert m[:, 0].min() == pytest.approx(1)
    assert (m[16].diff() <= 1e-12).all()
    assert m[16, 15] + m[16, 16] == pytest.approx(1)
    assert 0.05 < m[16, 17] < 0.4


def test_a_mask_is_averaged_down(saved):
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:2] = 255
    m = weights(mask(file=saved(pixels)), 4, 8)
    torch.testing.assert_close(m[:, 0], torch.tensor([0.5, 0, 0, 0]).double())


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("feather", [0.0, 2.0])
def test_a_uniform_change_has_its_own_size_as_distance(outside, feather):
    feature = BoxMask((0.3, 0.3, 0.5, 0.6), feather=feather, outside=outside)
    images = torch.rand(2, 3, 17, 16, dtype=torch.float64)
    a, b = feature(images), feature(images + 0.1)
    torch.testing.assert_close(feature.distance(a, b), torch.full((2,), 0.1, dtype=torch.float64))
    torch.testing.assert_close(feature.radius(0.1, a), (b - a).flatten(1).norm(dim=1))


def test_an_empty_mask_is_undefined(saved):
    file = saved(np.zeros((4, 4), np.uint8))
    with pytest.raises(Undefined, match=r"inside .*mask\.png is empty at 8 x 8"):
        weights(mask(file=file))
    with pytest.raises(Undefined, match="outside box"):
        weights(mask(box=(0, 0, 1, 1)).complement())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "got none of them"),
        ({"box": (0, 0, 1, 1), "file": "m.png"}, "got file and box"),
        ({"box": (0, 0, 1, 1), "model": "faces"}, "model of mask goes with label="),
        ({"label": ("sofa",), "point": (0.5, 0.5)}, "point of mask goes with sam="),
        ({"sam": "vit_b", "model": "faces", "point": (0.5, 0.5)}, "goes with label=…, not with sam="),
        ({"box": (0, 0, 1)}, "four numbers"),
        ({"box": (0, 0, 64, 64)}, "from 0 to 1"),
        ({"box": (0.5, 0, 0.5, 1)}, "is empty"),
        ({"box": (0, 0.7, 1, 0.3)}, "is empty"),
        ({"box": (0, 0, 1, 1), "feather": -1}, "feather"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        mask(**options)


def test_masks_are_read_from_pictures(saved):
    white = np.zeros((16, 16, 4), np.uint8)
    white[:, :8] = 255
    white[:8, :, 3] = 0  # what is transparent is outside
    m = weights(mask(file=saved(white)))
    torch.testing.assert_close(m, weights(mask(box=(0, 0.5, 0.5, 1))), rtol=0, atol=1e-6)
    with pytest.raises(FileError, match="cannot read the picture none"):
        mask(file="none.png")
