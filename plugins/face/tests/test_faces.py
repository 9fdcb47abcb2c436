"""Chips: dlib's place of the mean face, turned upright, equal to a plain crop where the face stands upright already."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from eigenwalk.errors import OptionError, Undefined
from eigenwalk_face.chip import EYES_AND_MOUTH, FFHQ_SQUARE, Chip, ffhq_chip
from eigenwalk_face.crop import Crop
from eigenwalk_face.detector import Detector
from eigenwalk_face.faces import FaceFeature, fixed_box
from eigenwalk_face.portraits import portraits


def marks(left: float, top: float, side: float, tilt: float = 0.0) -> torch.Tensor:
    """MTCNN's points ``(1, 5, 2)`` on the mean face in the square of this corner and side, turned about its middle."""
    eyes = torch.tensor(EYES_AND_MOUTH, dtype=torch.float64) - 0.5
    c, s = math.cos(tilt), math.sin(tilt)
    points = eyes @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64) * side
    points = points + torch.tensor([left, top], dtype=torch.float64) + side / 2
    return points[[0, 1, 0, 2, 3]][None]


def test_the_chip_of_an_aligned_face_is_the_fixed_box():
    images = torch.rand(1, 3, 100, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = Chip(marks(*(100 * one for one in FFHQ_SQUARE)), images, 40, padding=0.25)
    box = torch.tensor([ffhq_chip(0.25)], dtype=torch.float64) * 100
    torch.testing.assert_close(found(images), Crop(box, images, 40)(images))
    assert found.spans == pytest.approx(100 * FFHQ_SQUARE[2] * 1.5)


def test_a_tilted_face_is_turned_upright_and_black_beyond_the_image():
    ramp = (torch.arange(200, dtype=torch.float64) / 200).expand(1, 3, 200, 200)
    for tilt in (0.3, -0.7, math.pi / 2):
        chip = Chip(marks(70, 80, 40, tilt), ramp, 30, padding=0.2)(ramp)[0, 0]
        c, s = math.cos(tilt), math.sin(tilt)
        along = (torch.arange(30, dtype=torch.float64) - 14.5) * 56 / 30
        seen = (along * c - along[:, None] * s + 90 - 0.5) / 200
        torch.testing.assert_close(chip, seen, rtol=0, atol=5e-4)
    white = torch.ones(1, 3, 60, 60, dtype=torch.float64)
    chip = Chip(marks(-30, 10, 40, 0.2), white, 30, padding=0.25)(white)[0, 0]
    assert chip[:, :8].max() == 0 and chip[8:20, 24:].min() > 0.999


def test_a_chip_is_differentiable_every_way():
    images = torch.rand(2, 3, 30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    chip = Chip(torch.cat([marks(5, 6, 18, 0.2), marks(8, 6, 14, -0.4)]), images, 8, padding=0.2)
    tangents = torch.randn(3, *images.shape, dtype=torch.float64)
    pushed = torch.func.vmap(lambda v: torch.func.jvp(chip, (images,), (v,))[1])(tangents)
    torch.testing.assert_close(pushed, torch.stack([chip(v) for v in tangents]))
    (pulled,) = torch.autograd.grad(chip(images.requires_grad_()), images, pushed[0])
    torch.testing.assert_close((pulled * tangents[0]).sum(), pushed[0].square().sum())


class Mean(FaceFeature):
    """The mean colour of a chip."""

    def values(self, crops):
        return crops.mean((2, 3)) * cast(Tensor, self.network.weight)[0, 0]

    def cut(self, boxes, points, images):
        return Chip(points, images, self.size, padding=0.2)


def test_a_feature_of_faces_finds_follows_and_freezes_them():
    feature, images = Mean("mean", torch.nn.Linear(1, 1), 24, None, Detector(0.7)), portraits()
    frozen = feature.at(images)
    assert feature.memories == len(frozen.remembered) == 1 and frozen(images).shape == (3, 3)
    torch.testing.assert_close(feature.at(images[:1])(images[:1])[0], frozen(images)[0])
    gone = images.clone()
    gone[1] = 0.5
    with pytest.raises(Undefined, match="mean: MTCNN finds no face where it was") as caught:
        feature.follow(gone, frozen.remembered)
    assert caught.value.rows == (1,)
    fixed = Mean("mean", torch.nn.Linear(1, 1), 24, (0.1, 0.1, 0.9, 0.9), None)
    assert fixed.memories == 0 and fixed.at(gone)(gone).shape == (3, 3)


def test_boxes_of_faces_are_parsed():
    assert fixed_box(None, (0.1, 0.1, 0.9, 0.9)) is None
    assert fixed_box("ffhq", (0.1, 0.1, 0.9, 0.9)) == (0.1, 0.1, 0.9, 0.9)
    assert fixed_box((0, 0.5, 1, 1), (0.1, 0.1, 0.9, 0.9)) == (0, 0.5, 1, 1)
    for wrong, said in (("face", "ffhq or four numbers"), ((0, 1, 0.5), "four numbers"), ((0.5, 0, 0.5, 1), "empty")):
        with pytest.raises(OptionError, match=said):
            fixed_box(wrong, (0.1, 0.1, 0.9, 0.9))
