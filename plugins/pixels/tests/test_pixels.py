"""The image itself, and in grey."""

from __future__ import annotations

import pytest
import torch
from torch.func import jvp, vjp, vmap

from eigenwalk.errors import CompositionError, OptionError
from eigenwalk_pixels.pixels import Luminance, Pixels

FEATURES = [Pixels(), Pixels(size=4), Luminance(), Luminance().complement()]


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 3, 9, 7)])
def test_derivatives(feature, shape):
    images, v, w = (torch.randn(shape, dtype=torch.float64) for _ in range(3))
    values, pushed = feature(images), jvp(feature, (images,), (v,))[1]
    u = torch.randn_like(values)
    pulled = vjp(feature, images)[1](u)[0]
    torch.testing.assert_close((u * pushed).sum(), (pulled * v).sum())
    central = (feature(images + 1e-4 * v) - feature(images - 1e-4 * v)) / 2e-4
    torch.testing.assert_close(pushed, central, rtol=1e-7, atol=1e-8)
    many = vmap(lambda t: jvp(feature, (images,), (t,))[1])(torch.stack([v, w]))
    torch.testing.assert_close(many[0], pushed)
    torch.testing.assert_close(values[1:], feature(images[1:]))


@pytest.mark.parametrize("feature", FEATURES)
def test_distance_and_radius_agree(feature):
    a = feature(torch.rand(2, 3, 12, 16, dtype=torch.float64))
    v = torch.randn_like(a)
    v = v / v.flatten(1).norm(dim=1)[:, None, None, None] * feature.radius(0.3, a)[:, None, None, None]
    torch.testing.assert_close(feature.distance(a, a + v), torch.full((2,), 0.3, dtype=torch.float64))


def test_pixels_are_averaged():
    images = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    torch.testing.assert_close(Pixels(size=2)(images)[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    assert Pixels()(images) is images


def test_luminance_and_colour_are_the_image():
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    grey, colour = Luminance()(images), Luminance().complement()(images)
    torch.testing.assert_close(grey + colour, images)
    torch.testing.assert_close(Luminance()(grey), grey)
    torch.testing.assert_close(Luminance()(colour), torch.zeros_like(grey), rtol=0, atol=1e-15)


def test_wrong_options():
    with pytest.raises(OptionError, match="at least 1"):
        Pixels(size=0)
    with pytest.raises(OptionError, match=r"shorter side, 4, got 8"):
        Pixels(size=8)(torch.rand(1, 3, 4, 6))
    with pytest.raises(CompositionError, match="leaves nothing out"):
        Pixels().complement()
