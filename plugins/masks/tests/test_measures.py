"""Appearance and position of painted objects that move, grow or change colour: one changes, the other stays."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from eigenwalk.errors import CompositionError, OptionError, Undefined
from eigenwalk.feature import Projection
from eigenwalk_masks.appearance import MARGIN, Appearance, appearance, frame
from eigenwalk_masks.mask import mask
from eigenwalk_masks.position import Position, moments, position
from eigenwalk_masks.soft import FrozenMask, SoftMask

SIDE = 64


def painted(z: Tensor) -> Tensor:
    """Images ``(batch, 3, 64, 64)`` of latents ``(batch, 7)``: an orange lozenge on blue.

    Its centre (0, 1), width and height (2, 3), green (4), brightness (5), and stripes in its own frame (6).
    """
    at = (torch.arange(SIDE, dtype=z.dtype) + 0.5) / SIDE
    y, x = torch.meshgrid(at, at, indexing="ij")
    v = z[:, :, None, None]
    u = (x - 0.5 - 0.1 * v[:, 0]) / (0.5 * torch.exp(0.2 * v[:, 2]))
    w = (y - 0.5 - 0.1 * v[:, 1]) / (0.4 * torch.exp(0.2 * v[:, 3]))
    inside = torch.sigmoid(16 * (0.5 - (u**2 + w**2 + 1e-6).sqrt()))
    stripes = 0.15 * torch.tanh(v[:, 6]) * torch.sin(12 * u)
    red = 0.8 + 0.1 * torch.tanh(v[:, 5]) + stripes
    colour = torch.stack([red, 0.4 + 0.2 * torch.tanh(v[:, 4]) + stripes, 0 * red], 1)
    ground = z.new_tensor([0.05, 0.1, 0.7])[:, None, None]
    return ground + inside[:, None] * (colour - ground)


class Orange(SoftMask):
    """What is redder than blue: a soft mask whose gradient is exact, and wider than a pixel at its edge."""

    def __init__(self, traced: bool = True):
        super().__init__("orange")
        self.traced = traced

    def coverage(self, images):
        found = torch.sigmoid(10 * (images[:, :1] - images[:, 2:]))
        return self.edged(found if self.traced else found.detach())

    def at(self, images):
        return self.freeze(self.coverage(images).detach())


@pytest.fixture
def z() -> Tensor:
    torch.manual_seed(0)
    return 0.5 * torch.randn(3, 7, dtype=torch.float64)


def moved(z: Tensor, **by: float) -> Tensor:
    names = {"x": 0, "y": 1, "width": 2, "height": 3, "green": 4, "bright": 5, "stripes": 6}
    other = z.clone()
    for name, amount in by.items():
        other[:, names[name]] += amount
    return other


def test_moments_of_a_box_are_its_own():
    images = torch.zeros(1, 3, 40, 50, dtype=torch.float64)
    box = mask(box=(0.2, 0.3, 0.6, 0.9)).at(images)
    expected = torch.tensor([[0.4, 0.6, 0.4, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(Position(box)(images), expected)
    torch.testing.assert_close(position(mask(box=(0, 0, 1, 1)))(images)[0], torch.tensor([0.5, 0.5, 1, 1]).double())


def test_a_constant_added_to_a_soft_mask_does_not_count():
    c = torch.full((1, 1, 32, 32), 0.01)
    c[..., 2:8, 2:8] = 0.99
    torch.testing.assert_close(moments(c)[0, :2], torch.full((2,), 5 / 32), rtol=0, atol=0.005)


def test_position_is_where_the_object_was_painted(z):
    # The second moments of an ellipse of diameter d are those of a box √3 d / 2 wide.
    found = position(Orange()).at(painted(z))(painted(z))
    torch.testing.assert_close(found[:, :2], 0.5 + 0.1 * z[:, :2], rtol=0, atol=0.004)
    sides = torch.stack([0.5 * torch.exp(0.2 * z[:, 2]), 0.4 * torch.exp(0.2 * z[:, 3])], 1)
    torch.testing.assert_close(found[:, 2:], sides * 3**0.5 / 2, rtol=0.04, atol=0)


@pytest.mark.parametrize("by", [{"x": 1.0}, {"y": -0.8}, {"width": 0.8}, {"height": -0.7, "x": 0.5}])
def test_moving_and_growing_changes_only_the_position(z, by):
    looks, stands = appearance(Orange(), 16), position(Orange())
    before, after = painted(z), painted(moved(z, **by))
    near, there = looks.at(before), stands.at(before)
    recoloured = painted(moved(z, green=0.8))
    assert (there.distance(there(before), there(after)) > 0.03).all()
    drift = near.distance(near(before), looks.at(after)(after))
    assert (drift < 0.15 * near.distance(near(before), near(recoloured))).all()


@pytest.mark.parametrize("by", [{"green": 0.8}, {"bright": -3.0}, {"stripes": 2.0}])
def test_a_new_colour_changes_only_the_appearance(z, by):
    looks, stands = appearance(Orange(), 16).at(painted(z)), position(Orange()).at(painted(z))
    before, after = painted(z), painted(moved(z, **by))
    assert (looks.distance(looks(before), looks(after)) > 0.015).all()
    assert (stands.distance(stands(before), stands(after)) < 0.006).all()


def test_a_change_of_every_pixel_has_its_own_size_as_distance(z):
    looks = appearance(mask(box=(0.2, 0.3, 0.7, 0.8)), 16)
    images = painted(z)
    near = looks.at(images)
    torch.testing.assert_close(near.distance(near(images), near(images + 0.1)), torch.full((3,), 0.1).double())
    v = torch.randn_like(near(images))
    v = v / v.flatten(1).norm(dim=1)[:, None, None, None] * near.radius(0.3, v)[:, None, None, None]
    torch.testing.assert_close(near.distance(v, 2 * v), torch.full((3,), 0.3, dtype=torch.float64))
    # Not frozen, the object is taken to be a box that fills its share of the frame.
    apart = looks.distance(looks(images), looks(images + 0.1))
    torch.testing.assert_close(apart, torch.full((3,), 0.1).double(), rtol=0.1, atol=0)


def test_the_frame_is_a_larger_box_about_the_object():
    images = torch.rand(1, 3, 60, 60, dtype=torch.float64)
    coverage = mask(box=(0.3, 0.2, 0.7, 0.6)).coverage(images)
    pixels, covered = frame(coverage, torch.ones_like(images), 30)
    torch.testing.assert_close(pixels, covered.expand(-1, 3, -1, -1))
    inside = covered[0, 0] > 0.5
    assert int(inside.sum()) == (30 / MARGIN) ** 2
    assert covered[0, 0, 15, 15] == pytest.approx(1, abs=1e-3)
    assert covered[0, 0, 0, 0] == pytest.approx(0, abs=1e-3)


def test_without_a_gradient_the_frame_stands_still_and_positions_take_differences(z):
    images = painted(z)
    looks, stands = appearance(Orange(traced=False), 16), position(Orange(traced=False))
    assert looks.at(images).differentiable
    assert not stands.at(images).differentiable
    assert position(Orange()).at(images).differentiable
    near = looks.at(images)
    torch.testing.assert_close(near(images), appearance(Orange(), 16).at(images)(images))
    elsewhere = painted(moved(z, x=0.5))
    assert (near.distance(near(images), near(elsewhere)) > 0.05).all()
    torch.testing.assert_close(stands.at(images)(elsewhere), position(Orange()).at(elsewhere)(elsewhere))


class Following(Orange):
    """Remembers how often it was found."""

    memories = 1
    asked: ClassVar[list] = []

    def at(self, images):
        return FrozenMask(self.coverage(images), (images.new_zeros(len(images), 1),), self.coverage)

    def follow(self, images, remembered):
        self.asked.append(remembered)
        return FrozenMask(self.coverage(images), (remembered[0] + 1,), self.coverage)


@pytest.mark.parametrize("measure", [position, appearance])
def test_the_memory_of_the_mask_is_passed_on(z, measure):
    feature = measure(Following())
    first = feature.at(painted(z))
    assert feature.memories == first.memories == 1
    second = feature.follow(painted(z), first.remembered)
    assert second.remembered[0].flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("measure", [position, appearance])
def test_an_empty_mask_has_no_position_or_appearance(z, measure):
    images = painted(z)
    images[1, 0] = 0
    with pytest.raises(Undefined) as caught:
        measure(Orange()).at(images)
    assert caught.value.rows == (1,)

    class Thin(Projection):
        def __call__(self, images):
            return images

        def coverage(self, images):
            return torch.zeros_like(images[:, :1])

    with pytest.raises(Undefined, match="no object to measure") as caught:
        measure(Thin()).at(images)
    assert caught.value.rows == (0, 1, 2)


def test_frequency_bands_have_no_position_or_appearance(z):
    class Band(Projection):
        def __call__(self, images):
            return images

    with pytest.raises(CompositionError, match="keeps no region"):
        position(Band()).at(painted(z))


def test_a_frame_needs_pixels():
    with pytest.raises(OptionError, match="at least 2 pixels"):
        Appearance(Orange(), 1)
